"""The definitions Dagster loads: wiring only. Loading reads no environment, opens no file and connects to nothing."""

from typing import Any

import dagster as dg

from trading_assets.assets.contracts import contracts
from trading_assets.assets.equity_bars import equity_bars
from trading_assets.assets.live_data import LIVE_ASSETS
from trading_assets.assets.live_stream import live_stream, stream_healthy
from trading_assets.assets.option_bars import option_bars
from trading_assets.assets.option_chains import option_chains
from trading_assets.assets.option_greeks import option_greeks
from trading_assets.assets.positions import position_changes, position_snapshots
from trading_assets.assets.quality_metrics import quality_metrics
from trading_assets.automation.distribution import DISTRIBUTION_JOBS, parts
from trading_assets.automation.jobs import ALL_JOBS
from trading_assets.automation.maintenance import MAINTENANCE_JOBS
from trading_assets.automation.schedules import ALL_SCHEDULES
from trading_assets.automation.sensors import ALL_SENSORS
from trading_assets.automation.sessions import SESSION_SENSORS
from trading_assets.checks.live_bars_check import live_bars_agree
from trading_assets.checks.rule_checks import ALL_CHECKS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.io_manager import ParquetIOManager


def build_defs(**overrides: Any) -> dg.Definitions:
    """The platform's definitions. `overrides` are settings by name that win over the environment at run time; Dagster
    never sees them."""
    archive = ArchiveResource.holding(overrides)()
    return dg.Definitions(
        assets=[
            *(contracts, option_chains, equity_bars, option_bars, option_greeks, quality_metrics, live_stream),
            *(position_snapshots, position_changes),
            *LIVE_ASSETS,
        ],
        asset_checks=[*ALL_CHECKS, stream_healthy, live_bars_agree],
        jobs=[*ALL_JOBS, *DISTRIBUTION_JOBS, *MAINTENANCE_JOBS],
        schedules=list(ALL_SCHEDULES),
        sensors=[*SESSION_SENSORS, *ALL_SENSORS, parts],
        resources={"archive": archive, "io_manager": ParquetIOManager(archive=archive)},
        executor=dg.in_process_executor,
    )


defs = build_defs()

__all__ = ["build_defs", "defs"]
