"""Run config of the assets: what the launchpad of the UI shows and documents.

Lists have a `default`, not a `default_factory`: Dagster shows only what it knows before a run (pydantic copies it for
each).
"""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

import dagster as dg
from pydantic import Field, ValidationInfo, create_model, field_validator

from trading_assets.arguments import LOOKBACK_DAYS, MINUTES, REQUESTS, checked_field
from trading_assets.arguments.config_fields import CHECKS
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.selection_rules import SelectionRules


class CollectionConfig(dg.Config):
    """Common to all assets."""

    symbols: list[str] = Field(
        default=[],
        description=(
            "Symbols to collect, for example [AAPL, SPX]. One asset of the run is enough: the others collect the same."
            " Empty everywhere: every active symbol of the universe."
        ),
    )
    refresh: bool = Field(
        default=False,
        description=(
            "Ask the broker again even for what is already in the lake. Costs requests; changed values are kept as"
            " revisions."
        ),
    )

    @field_validator(*CHECKS, mode="before", check_fields=False)
    @classmethod
    def _is_allowed(cls, value: Any, info: ValidationInfo) -> Any:
        return checked_field(info.field_name or "", value)


class ContractsConfig(CollectionConfig):
    """Run config of `contracts`."""

    add_to_universe: bool | None = Field(
        default=None,
        description=(
            "Add the symbols to the universe once their contract is known. null: a set-up does (the job setup_symbol,"
            " or all assets materialized together for named symbols), other runs do not."
        ),
    )


def _launchpad_type(annotation: Any) -> Any:
    """The type of a field of the rules as Dagster knows it: it has lists in place of tuples."""
    if get_origin(annotation) is tuple:
        return list[get_args(annotation)[0]]  # type: ignore[misc]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(_launchpad_type(part) for part in get_args(annotation))]  # noqa: UP007
    return annotation


# A default would be filled in by Dagster, and win over the settings.
_FIELDS: dict[str, Any] = {
    name: (_launchpad_type(field.annotation) | None, Field(default_factory=lambda: None, description=field.description))
    for name, field in SelectionRules.model_fields.items()
}
_OptionalRules: Any = create_model("_OptionalRules", __base__=dg.Config, **_FIELDS)


class SelectionConfig(_OptionalRules):
    """Which option contracts are quoted and have their bars collected: the fields of `SelectionRules`, which checks
    their values."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """What was set: Dagster makes a run config of it."""
        return ((name, value) for name, value in super().__iter__() if name in self.model_fields_set)

    def rules(self, settings: SelectionRules) -> SelectionRules:
        """The rules of the settings with what this config sets. Raises `pydantic.ValidationError`."""
        return settings.changed(dict(self))


class OptionChainsConfig(CollectionConfig):
    """Run config of `option_chains`."""

    selection: SelectionConfig = Field(
        default_factory=SelectionConfig,
        description=(
            "Contracts to quote. What is left out is as in the settings (TRADING_ASSETS_SELECTION), "
            f"and where these say nothing: {SelectionRules().words()}."
        ),
    )
    requote_after_minutes: int | None = Field(
        default=None,
        ge=MINUTES.least,
        le=MINUTES.most,
        description=(
            "Quote again a complete chain of this session whose quotes are older than so many minutes; null: keep the"
            " first."
        ),
    )


class BarsConfig(CollectionConfig):
    """Common to the bars."""

    lookback_days: int | None = Field(
        default=None,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description=(
            "Calendar days of history before the last partition, beside the partitions themselves. null: as given to"
            " the other bars of the run; given to neither, a set-up collects a year"
            " (TRADING_ASSETS_SETUP_LOOKBACK_DAYS), daily_update ten days, other runs their partitions."
        ),
    )
    first_session: str | None = Field(
        default=None, description="First of these sessions to collect, YYYY-MM-DD; null: all of them."
    )
    last_session: str | None = Field(
        default=None, description="Last of these sessions to collect, YYYY-MM-DD; null: all of them."
    )
    max_requests: int | None = Field(
        default=None,
        ge=REQUESTS.least,
        le=REQUESTS.most,
        description=(
            "Requests to send at most, the most urgent first; the rest is left to a later run. null: all that is"
            " missing."
        ),
    )
    respect_backoff: bool = Field(
        default=False,
        description=(
            "Leave out what is in backoff: requested lately and failed for the moment. The backoff doubles with each"
            " failure, up to a day."
        ),
    )


class EquityBarsConfig(BarsConfig):
    """Run config of `equity_bars`."""

    bar_sizes: list[str] = Field(
        default=[], description="Bar sizes in the broker's words, e.g. `1 day`, `1 hour`; empty: as in the settings."
    )


class OptionBarsConfig(BarsConfig):
    """Run config of `option_bars`."""

    bar_sizes: list[str] = Field(
        default=[OPTION_BAR_SIZE],
        description=(
            "Bar sizes asked for. `1 day` bars are made from `8 hours` bars: the broker has no daily bars of options."
        ),
    )


class OptionGreeksConfig(CollectionConfig):
    """Run config of `option_greeks`."""

    refresh: bool = Field(
        default=False,
        description=(
            "Compute all again, also what has values: after a change of the settings `rate` or `dividends`. Changed"
            " values are kept as revisions."
        ),
    )
    lookback_days: int | None = Field(
        default=None,
        ge=LOOKBACK_DAYS.least,
        le=LOOKBACK_DAYS.most,
        description=(
            "Calendar days before the last partition to compute, beside the partitions themselves. null: as given to"
            " the bars of the run."
        ),
    )


CONFIGS: dict[str, type[CollectionConfig]] = {
    "contracts": ContractsConfig,
    "option_chains": OptionChainsConfig,
    "equity_bars": EquityBarsConfig,
    "option_bars": OptionBarsConfig,
}
"""The run config of each collected asset, in their order."""
