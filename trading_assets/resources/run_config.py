"""What the config of a run says, whichever asset it was written to.

Dagster keeps the config of each asset apart, and a config typed in the UI replaces that of the job. So symbols and
history are given once, to any asset of a run, and what is given nowhere follows from the run: as `trading-assets setup`
or `update` would do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from trading_assets.arguments import checked_config
from trading_assets.monitoring.agenda import BARS, SNAPSHOTS, UPDATE_LOOKBACK_DAYS
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings

SETUP_JOB = "setup_symbol"
UPDATE_JOB = "daily_update"

ASSET_JOB = "__ASSET_JOB"
"""Dagster's name for what is materialized in the UI without a job."""

ASSETS = (*SNAPSHOTS, *BARS)
"""The collected assets, in the order in which they run."""


def range_tags(first: date, last: date) -> dict[str, str]:
    """The tags of a run on the partitions from one session to another."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


def symbols_of(run: dg.DagsterRun) -> list[str]:
    """The symbols given to the first asset of the run that has any; empty: every active symbol of the universe."""
    return next((list(given["symbols"]) for given in _configs(run) if given.get("symbols")), [])


def sets_up(run: dg.DagsterRun) -> bool:
    """Whether the run sets its symbols up: history is collected and the symbols join the universe, unless the config
    says otherwise.

    That is the job `setup_symbol`, and all assets materialized together without a job for symbols that are named.
    """
    if run.job_name == SETUP_JOB:
        return True
    together = run.asset_selection is None or {dg.AssetKey(name) for name in ASSETS} <= run.asset_selection
    return run.job_name == ASSET_JOB and together and any(given.get("symbols") for given in _configs(run))


def joins_universe(run: dg.DagsterRun) -> bool:
    """Whether the symbols of the run become active once their contract is known: as the config of `contracts` says,
    else of a set-up."""
    given = _configs(run)[0].get("add_to_universe")
    return sets_up(run) if given is None else bool(given)


def lookback_days(run: dg.DagsterRun, settings: Settings, asset: str) -> int:
    """Calendar days of history before the last partition that the bars `asset` collects: its own, those of the other
    bars, or the run's."""
    by_asset = run.run_config.get("ops", {}) if isinstance(run.run_config, dict) else {}
    given = [by_asset.get(name, {}).get("config", {}).get("lookback_days") for name in (asset, *BARS)]
    days = next((days for days in given if days is not None), None)
    if days is not None:
        return int(days)
    if sets_up(run):
        return settings.setup_lookback_days
    return UPDATE_LOOKBACK_DAYS if run.job_name == UPDATE_JOB else 0


def check_run_config(run_config: object, selection: SelectionRules) -> None:
    """See that every value in the config of a run is allowed, `selection` being the rules of the settings.

    Raises `InvalidRequest`, `pydantic.ValidationError` for rules of selection that contradict each other.
    """
    ops = run_config.get("ops", {}) if isinstance(run_config, Mapping) else {}
    for op in ops.values() if isinstance(ops, Mapping) else ():
        config = op.get("config") if isinstance(op, Mapping) else None
        if isinstance(config, Mapping):
            checked_config(config)
            selection.changed(config.get("selection") or {})


def _configs(run: dg.DagsterRun) -> list[Mapping[str, Any]]:
    """What the run's config gives each of the assets, in their order."""
    ops = run.run_config.get("ops", {}) if isinstance(run.run_config, dict) else {}
    return [ops.get(name, {}).get("config", {}) for name in ASSETS]
