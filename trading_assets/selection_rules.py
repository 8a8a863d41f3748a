"""Which option contracts of a chain are wanted: the one definition that settings, run config, command and planner
share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.arguments import LIMIT, LOOKBACK_DAYS

RIGHTS = ("C", "P")
"""The rights of an option, in the broker's words: calls and puts."""


class SelectionRules(BaseModel):
    """Which contracts of an underlying are wanted. The defaults hold the liquid middle of the next six weeks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_days_to_expiry: int = Field(
        default=0,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description="Nearest expiry, in calendar days from the session.",
    )
    max_days_to_expiry: int = Field(
        default=45,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description="Farthest expiry, in calendar days from the session.",
    )
    strikes_around_spot: int | None = Field(
        default=10,
        ge=LIMIT.least,
        le=LIMIT.most,
        description=(
            "Strikes below and as many at or above the underlying's price, for each expiry and trading class; null:"
            " all."
        ),
    )
    min_moneyness: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Smallest strike as a part of the underlying's price, e.g. 0.8; null: no bound.",
    )
    max_moneyness: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Largest strike as a part of the underlying's price, e.g. 1.2; null: no bound.",
    )
    rights: tuple[str, ...] = Field(default=RIGHTS, description="C for calls, P for puts, or both.")
    trading_classes: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Only these trading classes, e.g. SPXW; null: all."
    )
    min_open_interest: int | None = Field(
        default=None,
        ge=0,
        description="Only contracts with at least this open interest, where it is known; null: no bound.",
    )
    max_contracts: int | None = Field(
        default=None,
        ge=LIMIT.least,
        le=LIMIT.most,
        description=(
            "At most so many contracts a symbol: the first to expire, of one expiry those nearest to the price; null:"
            " no cap."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _is_a_table_of_rules(cls, given: Any) -> Any:
        if not isinstance(given, Mapping | cls):
            raise ValueError(f"The selection of options is a table of {', '.join(cls.model_fields)}, not {given!r}.")
        unknown = (
            sorted(str(name) for name in given if name not in cls.model_fields) if isinstance(given, Mapping) else []
        )
        if unknown:
            raise ValueError(
                f"The selection of options has no {', '.join(unknown)}; it has {', '.join(cls.model_fields)}."
            )
        return given

    @model_validator(mode="after")
    def _select_something(self) -> Self:
        if self.max_days_to_expiry < self.min_days_to_expiry:
            raise ValueError(
                f"max_days_to_expiry ({self.max_days_to_expiry}) is smaller than min_days_to_expiry"
                f" ({self.min_days_to_expiry}): no contract could be selected."
            )
        if (
            self.min_moneyness is not None
            and self.max_moneyness is not None
            and self.max_moneyness < self.min_moneyness
        ):
            raise ValueError(
                f"max_moneyness ({self.max_moneyness}) is smaller than min_moneyness ({self.min_moneyness}): no"
                " contract could be selected."
            )
        if not self.rights or not set(self.rights) <= set(RIGHTS):
            raise ValueError(
                f"rights can hold {' and '.join(RIGHTS)} only, at least one of them, not {list(self.rights)}."
            )
        return self

    def changed(self, given: Mapping[str, Any]) -> Self:
        """These rules with the fields of `given` in place of their own. Raises `pydantic.ValidationError`, a
        `ValueError`."""
        return type(self).model_validate({**self.model_dump(), **given})

    @property
    def needs_spot(self) -> bool:
        """Whether the rules can be applied only when the underlying's price is known."""
        return any(
            rule is not None
            for rule in (self.strikes_around_spot, self.min_moneyness, self.max_moneyness, self.max_contracts)
        )

    def words(self) -> str:
        """The rules that restrict, in words: the same for the same rules."""
        given = ((name.replace("_", " "), value) for name, value in self.model_dump().items() if value is not None)
        return ", ".join(f"{name} {' '.join(value) if isinstance(value, tuple) else value}" for name, value in given)
