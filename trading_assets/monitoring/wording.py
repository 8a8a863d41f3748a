"""How counts and instants are worded in the reasons of issues."""

from __future__ import annotations

from datetime import UTC, datetime


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `1,200 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def minute(instant: datetime) -> str:
    """An instant to the minute, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
