"""Bars of a symbol's selected option contracts, by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trading_assets.arguments import LOOKBACK_DAYS
from trading_assets.collecting.progress import Progress
from trading_assets.jobs.given import settings_for
from trading_assets.jobs.orchestrator import JobResult, JobType
from trading_assets.jobs.single_step import run_step
from trading_assets.sessions import calendar
from trading_assets.settings import Settings


def run_option_backfill(
    symbol: str,
    lookback_days: int | None = None,
    base_path: Path | str | None = None,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> JobResult:
    """Collect the missing bars of the selected contracts (dataset `option_bars`) of the last `lookback_days` calendar
    days (None: `Settings.setup_lookback_days`), up to the last closed session.

    Nothing before it in the order is collected: where contract details, chain or equity bars are missing, nothing is
    requested, and the result says what to run first. One request a contract and missing span. Raises `InvalidRequest`.
    """
    chosen = settings_for(base_path, settings)
    days = chosen.setup_lookback_days if lookback_days is None else LOOKBACK_DAYS.whole(lookback_days, "lookback_days")
    config: dict[str, Any] = {"lookback_days": days}
    last = calendar().last_closed(chosen.clock())
    return run_step(chosen, "backfill_bars", JobType.OPTION_BARS, symbol, [last], config, progress=progress)
