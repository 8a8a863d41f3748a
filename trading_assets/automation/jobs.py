"""The jobs: which assets run together, with which config by default.

Every job runs its steps in one process: the broker connection is made once a run, and the steps are short.
"""

import dagster as dg

SETUP_LOOKBACK_DAYS = 365
"""Calendar days of history that setting up a symbol collects unless told otherwise: the broker's option history reaches no further."""

UPDATE_LOOKBACK_DAYS = 10
"""Calendar days a daily update looks back for sessions it missed; what is covered costs nothing."""

SNAPSHOTS = ("contracts", "option_chains")
BARS = ("equity_bars", "option_bars")

_RETRIES = {"dagster/max_retries": "2"}
"""Runs that fail on a broken connection are started again by the daemon; answers that came are not asked for twice."""


def _config(lookback_days: int, *, add_to_universe: bool = False) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    """Run config that the launchpad opens with: where the symbols go in each asset, and how far the bars look back."""
    by_asset: dict[str, dict[str, object]] = {name: {"symbols": []} for name in (*SNAPSHOTS, *BARS)}
    if add_to_universe:
        by_asset["contracts"]["add_to_universe"] = True
    for name in BARS:
        by_asset[name]["lookback_days"] = lookback_days
    return {"ops": {name: {"config": config} for name, config in by_asset.items()}}


setup_symbol = dg.define_asset_job(
    "setup_symbol",
    selection=dg.AssetSelection.assets(*SNAPSHOTS, *BARS),
    description="Collect new symbols from nothing: contracts, option chain, equity bars, option bars, in that order. Run it on the current session's "
    "partition with the symbols in each asset's config; `lookback_days` says how much history.",
    config=_config(SETUP_LOOKBACK_DAYS, add_to_universe=True),
    executor_def=dg.in_process_executor,
    tags=_RETRIES,
)

daily_update = dg.define_asset_job(
    "daily_update",
    selection=dg.AssetSelection.assets(*SNAPSHOTS, *BARS),
    description="The day's increment of every active symbol. Run it on the current session's partition after the close.",
    config=_config(UPDATE_LOOKBACK_DAYS),
    executor_def=dg.in_process_executor,
    tags=_RETRIES,
)

snapshot = dg.define_asset_job(
    "snapshot",
    selection=dg.AssetSelection.assets(*SNAPSHOTS),
    description="Contracts and option chains of the current session: what the broker tells only now.",
    executor_def=dg.in_process_executor,
    tags=_RETRIES,
)

backfill_bars = dg.define_asset_job(
    "backfill_bars",
    selection=dg.AssetSelection.assets(*BARS),
    description="Equity and option bars of any range of sessions, in one run. Options can be had until they expire.",
    executor_def=dg.in_process_executor,
    tags=_RETRIES,
)

ALL_JOBS = (setup_symbol, daily_update, snapshot, backfill_bars)
