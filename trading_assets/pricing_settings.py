"""The settings of pricing: the interest rate and the dividends where the market's own prices do not say them."""

from __future__ import annotations

import math
from datetime import date

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class PricingSettings(BaseSettings):
    """The part of `Settings` about pricing."""

    rate: float = Field(
        default=0.04,
        ge=-0.1,
        le=1.0,
        description=(
            "Interest rate a year (0.04 is 4 %, continuously compounded) of the discount, where put-call parity does"
            " not give one: American options, and expiries with fewer than four pairs or in a few days."
        ),
    )
    dividends: dict[str, tuple[tuple[date, float], ...]] = Field(
        default_factory=dict,
        examples=[{"AAPL": [["2026-11-06", 0.26]]}],
        description=(
            "Expected cash dividends by symbol, each an ex-date and dollars a share; they replace what the broker"
            " expects. JSON in the environment."
        ),
    )

    mark_max_age: float = Field(
        default=60.0,
        ge=0,
        description=(
            "Age up to which a live quote is the mark of a position (seconds); after that the last chain or close is."
        ),
    )

    @field_validator("dividends")
    @classmethod
    def _are_dividends(
        cls, value: dict[str, tuple[tuple[date, float], ...]]
    ) -> dict[str, tuple[tuple[date, float], ...]]:
        for symbol, payments in value.items():
            for day, amount in payments:
                if not (math.isfinite(amount) and amount >= 0):
                    raise ValueError(
                        f"A dividend is dollars a share, neither negative nor NaN; {symbol} has {amount} on {day}."
                    )
        return {symbol.upper(): payments for symbol, payments in value.items()}
