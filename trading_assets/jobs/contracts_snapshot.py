"""Snapshots of option chains: what is listed now, and quotes of the selected contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trading_assets.arguments import MINUTES
from trading_assets.collecting.progress import Progress
from trading_assets.jobs.given import settings_for
from trading_assets.jobs.orchestrator import JobResult, JobType
from trading_assets.jobs.single_step import run_step
from trading_assets.sessions import calendar
from trading_assets.settings import Settings


def refresh_option_chain(
    symbol: str,
    base_path: Path | str | None = None,
    *,
    requote_after_minutes: int | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> JobResult:
    """Take the option chain of the current session (dataset `option_chains`), after the contract details it needs.

    What the session's chain has already costs no request. A complete chain is left as it is; with
    `requote_after_minutes` its selected contracts are quoted again where the quotes are older than that. A failure is
    in the result. Raises `InvalidRequest` for what cannot be a symbol or a number of minutes.
    """
    chosen, config = settings_for(base_path, settings), dict[str, Any]()
    if requote_after_minutes is not None:
        config["requote_after_minutes"] = MINUTES.whole(requote_after_minutes, "requote_after_minutes")
    session, kind = calendar().current(chosen.clock()), JobType.OPTION_CHAINS
    steps = [JobType.CONTRACTS, JobType.OPTION_CHAINS]
    return run_step(chosen, "snapshot", kind, symbol, [session], config, steps=steps, progress=progress)
