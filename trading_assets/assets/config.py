"""Run config of the assets: what the launchpad of the UI shows and documents.

Lists have a `default`, not a `default_factory`: Dagster shows only what it knows before a run (pydantic copies it for each).
"""

import dagster as dg
from pydantic import Field

from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.planning.selection import SelectionRules

_RULES = SelectionRules()


class CollectionConfig(dg.Config):
    """Common to all assets."""

    symbols: list[str] = Field(default=[], description="Symbols to collect; empty: every active symbol of the universe.")
    refresh: bool = Field(
        default=False,
        description="Ask the broker again even for what is already in the lake. Costs requests; changed values are kept as revisions.",
    )


class ContractsConfig(CollectionConfig):
    """Run config of `contracts`."""

    add_to_universe: bool = Field(default=False, description="Add the symbols to the universe once their contract is known.")


class SelectionConfig(dg.Config):
    """Which option contracts are quoted and have their bars collected."""

    min_days_to_expiry: int = Field(default=_RULES.min_days_to_expiry, ge=0, description="Nearest expiry, in calendar days from the session.")
    max_days_to_expiry: int = Field(default=_RULES.max_days_to_expiry, ge=0, description="Farthest expiry, in calendar days from the session.")
    strikes_around_spot: int | None = Field(
        default=_RULES.strikes_around_spot, description="Strikes on each side of the underlying's price, per expiry; null: all of them."
    )
    rights: list[str] = Field(default=list(_RULES.rights), description="C, P or both.")
    trading_classes: list[str] | None = Field(default=None, description="Only these trading classes (e.g. SPXW); null: all.")
    min_open_interest: int | None = Field(default=None, description="Only contracts with at least this open interest, where it is known.")
    max_contracts: int | None = Field(default=_RULES.max_contracts, description="At most so many contracts a symbol, nearest first; null: no cap.")

    def rules(self) -> SelectionRules:
        """The planner's rules of this config."""
        return SelectionRules(
            min_days_to_expiry=self.min_days_to_expiry,
            max_days_to_expiry=self.max_days_to_expiry,
            strikes_around_spot=self.strikes_around_spot,
            rights=tuple(self.rights),
            trading_classes=tuple(self.trading_classes) if self.trading_classes is not None else None,
            min_open_interest=self.min_open_interest,
            max_contracts=self.max_contracts,
        )


class OptionChainsConfig(CollectionConfig):
    """Run config of `option_chains`."""

    selection: SelectionConfig = Field(default_factory=SelectionConfig, description="Contracts to quote.")
    requote_after_minutes: int | None = Field(
        default=None, description="Quote again a complete chain of this session whose quotes are older than so many minutes; null: keep the first."
    )


class BarsConfig(CollectionConfig):
    """Common to the bars."""

    lookback_days: int = Field(default=0, ge=0, description="Calendar days of history before the last partition, beside the partitions themselves.")
    first_session: str | None = Field(default=None, description="First of these sessions to collect, YYYY-MM-DD; null: all of them.")
    last_session: str | None = Field(default=None, description="Last of these sessions to collect, YYYY-MM-DD; null: all of them.")
    max_requests: int | None = Field(
        default=None, ge=0, description="Requests to send at most, the most urgent first; the rest is left to a later run. null: all that is missing."
    )
    leave_resting: bool = Field(
        default=False, description="Leave out what was asked for lately and failed for the moment; it rests longer with each failure, at most a day."
    )


class EquityBarsConfig(BarsConfig):
    """Run config of `equity_bars`."""

    bar_sizes: list[str] = Field(default=[], description="Bar sizes in the broker's words, e.g. `1 day`, `1 hour`; empty: as in the settings.")


class OptionBarsConfig(BarsConfig):
    """Run config of `option_bars`."""

    bar_sizes: list[str] = Field(
        default=[OPTION_BAR_SIZE],
        description="Bar sizes asked for. `1 day` bars are made from `8 hours` bars: the broker has no daily bars of options.",
    )
