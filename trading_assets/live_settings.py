"""The settings of live streaming: how many lines it may use, when a stream counts as stalled."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class LiveSettings(BaseSettings):
    """The part of `Settings` about streaming."""

    live_lines: int = Field(
        default=60,
        ge=1,
        description=(
            "Market-data lines that streams use at most; when other processes ask for lines, streams give theirs back"
            " down to a fair share."
        ),
    )
    live_options: int = Field(
        default=10,
        ge=0,
        le=100,
        description="Options of each active symbol, nearest the money first, that `up --live` streams.",
    )
    stall_seconds: float = Field(
        default=30.0,
        gt=0,
        description=(
            "Seconds without an update, in regular hours, after which the stream of an underlying counts as stalled."
        ),
    )
