"""The jobs: which assets run together, with which config by default.

Every job runs its steps in one process: the broker connection is made once a run, and the steps are short.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.checks.completeness_check import COMPLETE
from trading_assets.checks.rule_checks import ALL_RULES
from trading_assets.collecting.accepted_units import accept_units as accept
from trading_assets.collecting.identity import resolve
from trading_assets.contract_changes import Decision
from trading_assets.monitoring.agenda import BARS, COMPUTED, POSITIONS, SNAPSHOTS
from trading_assets.monitoring.live_agenda import LIVE_MERGE
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.resources.run_config import SETUP_JOB, UPDATE_JOB


def own_checks(assets: Iterable[str]) -> list[dg.AssetCheckKey]:
    """The checks that these assets emit themselves, while they collect; what is computed has no check `complete`.

    A run of some assets of a job names them: without, Dagster adds all single rules of these assets.
    """
    return [
        dg.AssetCheckKey(dg.AssetKey(name), check)
        for name in assets
        for check in (COMPLETE, ALL_RULES)
        if check != COMPLETE or name in (*SNAPSHOTS, *BARS)
    ]


def _collecting(*assets: str) -> dg.AssetSelection:
    """Assets to collect, with their own checks; the single rules are left to `quality_check`."""
    return dg.AssetSelection.assets(*assets).without_checks() | dg.AssetSelection.checks(*own_checks(assets))


RETRIES = {"dagster/max_retries": "2"}
"""Runs that fail on a broken connection are started again by the daemon; answers that came are not asked for twice."""


_SYMBOLS: dict[str, Any] = {"ops": {"contracts": {"config": {"symbols": []}}}}
"""Run config that the launchpad opens with: the one field to fill."""


setup_symbol = dg.define_asset_job(
    SETUP_JOB,
    selection=_collecting(*SNAPSHOTS, *BARS, *COMPUTED),
    description=(
        "Collect new symbols from nothing: contracts, option chain, equity bars, option bars, in that order, with a"
        " year of history, and add them to the universe. Run it on the newest partition (on a holiday on that of the"
        " last session); write the symbols into the config of contracts."
    ),
    config=_SYMBOLS,
    tags=RETRIES,
)

daily_update = dg.define_asset_job(
    UPDATE_JOB,
    selection=_collecting(*SNAPSHOTS, *BARS, *COMPUTED),
    description=(
        "The day's increment of every active symbol, or of those named in the config of contracts. Run it on the"
        " current session's partition after the close."
    ),
    config=_SYMBOLS,
    tags=RETRIES,
)

snapshot = dg.define_asset_job(
    "snapshot",
    selection=_collecting(*SNAPSHOTS, *COMPUTED),
    description="Contracts and option chains of the current session, which the broker answers at no later time.",
    tags=RETRIES,
)

backfill_bars = dg.define_asset_job(
    "backfill_bars",
    selection=_collecting(*BARS, *COMPUTED),
    description=(
        "Equity and option bars of any range of sessions, in one run. Bars of options are available until they expire."
    ),
    tags=RETRIES,
)

quality_check = dg.define_asset_job(
    "quality_check",
    selection=dg.AssetSelection.assets("quality_metrics")
    | dg.AssetSelection.checks_for_assets(*SNAPSHOTS, *BARS, *COMPUTED)
    - dg.AssetSelection.checks(*own_checks((*SNAPSHOTS, *BARS, *COMPUTED)))
    | dg.AssetSelection.checks_for_assets("live_bars"),
    description=(
        "All rules over the latest sessions as asset checks, and the quality metrics. Sends nothing to a broker."
    ),
    tags=RETRIES,
)


positions = dg.define_asset_job(
    "positions",
    selection=dg.AssetSelection.assets(*POSITIONS),
    description=(
        "A look at the positions of all accounts, valued and stored, and what has changed since the look before. Two"
        " messages to the broker; sends no order."
    ),
    tags=RETRIES,
)

live_merge = dg.define_asset_job(
    LIVE_MERGE,
    selection=dg.AssetSelection.assets(*(dataset.name for dataset in LIVE_DATASETS)),
    description="Seal what was streamed in any range of sessions and merge it into one file a session. Sends nothing.",
    tags=RETRIES,
)


class NewSymbols(dg.Config):
    """Run config of `add_symbols`."""

    symbols: list[str] = Field(description="Symbols to keep the archive for, for example AAPL or SPX.")
    sec_type: str | None = Field(default=None, description="STK or IND, where the symbol is not known by name.")
    primary_exchange: str | None = Field(
        default=None,
        description=(
            "Listing exchange, e.g. NASDAQ or ARCA, where several contracts have the symbol. Data still come from all"
            " exchanges."
        ),
    )
    exchange: str | None = Field(
        default=None,
        description=(
            "Route: SMART (default of stocks) or, of an index, its exchange, e.g. CBOE. Any other one limits the data"
            " to that exchange."
        ),
    )


@dg.op
def join_universe(context: dg.OpExecutionContext, config: NewSymbols, archive: ArchiveResource) -> None:
    """Make the symbols active."""
    with raise_as_dagster_failure(context):
        if not config.symbols:
            raise ValueError("No symbol was given: write them into the config of join_universe.")
        opened = archive.open()
        entries = opened.universe.add(
            config.symbols,
            sec_type=config.sec_type,
            exchange=config.exchange,
            primary_exchange=config.primary_exchange,
            now=opened.now,
        )
    context.log.info(
        f"Active now: {', '.join(entry.symbol for entry in entries)}. The sensor new_symbols sets them up."
    )


@dg.job(
    description="Add symbols to the universe; the sensor `new_symbols` sets them up by itself.",
    config={"ops": {"join_universe": {"config": {"symbols": []}}}},
    tags=RETRIES,
)
def add_symbols() -> None:
    """Add symbols to the universe."""
    join_universe()


class ChangedContract(dg.Config):
    """Run config of `resolve_contract`."""

    symbol: str = Field(description="Symbol whose contract has changed (alert contract_changed).")
    decision: Decision = Field(
        description=(
            "SAME: the same company under a new contract, the series goes on. NEW: another company, its series is"
            " closed, a new one begins."
        )
    )


@dg.op
def decide_contract(context: dg.OpExecutionContext, config: ChangedContract, archive: ArchiveResource) -> None:
    """Carry out what the user decided."""
    with raise_as_dagster_failure(context):
        sentence = resolve(archive.open(), config.symbol, Decision(config.decision.value))
    context.log.info(sentence)


@dg.job(
    description=(
        "Decide whose data a symbol's new contract is, after the alert contract_changed. Sends nothing to a broker."
    ),
    config={"ops": {"decide_contract": {"config": {"symbol": "", "decision": Decision.SAME.name}}}},
    tags=RETRIES,
)
def resolve_contract() -> None:
    """Decide whose data a symbol's new contract is."""
    decide_contract()


class HeldAnswers(dg.Config):
    """Run config of `accept_units`."""

    symbols: list[str] = Field(
        default=[],
        description="Symbols whose held answers are accepted (alert unit_changed); none: all, and later ones.",
    )
    first: str | None = Field(default=None, description="First session, YYYY-MM-DD; default: of the first one held.")
    last: str | None = Field(default=None, description="Last session, YYYY-MM-DD; default: until decided otherwise.")
    unit: str | None = Field(
        default=None,
        description=(
            "What the answers are in: shares, round_lots, contracts, cents, hundreds, hours such as -3h; as_is: they"
            " are right as they came. Default: what the comparison found."
        ),
    )


@dg.op
def decide_units(context: dg.OpExecutionContext, config: HeldAnswers, archive: ArchiveResource) -> None:
    """Carry out what the user decided."""
    with raise_as_dagster_failure(context):
        sentence = accept(archive.open(), config.symbols or None, config.first, config.last, unit=config.unit)
    context.log.info(sentence)


@dg.job(
    description=(
        "Accept bars that are held for review because they are in another unit than the stored ones, after the alert"
        " unit_changed; the next update stores them, converted. Sends nothing to a broker."
    ),
    config={"ops": {"decide_units": {"config": {"symbols": []}}}},
    tags=RETRIES,
)
def accept_units() -> None:
    """Accept bars that are in another unit."""
    decide_units()


ALL_JOBS = (
    setup_symbol,
    daily_update,
    snapshot,
    backfill_bars,
    quality_check,
    positions,
    live_merge,
    add_symbols,
    resolve_contract,
    accept_units,
)
