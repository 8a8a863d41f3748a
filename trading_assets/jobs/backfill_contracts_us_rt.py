"""Contract descriptions of underlyings: the first step, before option chains, equity bars and option bars."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from trading_assets.arguments import one_symbol
from trading_assets.collecting.progress import Progress
from trading_assets.jobs.given import settings_for
from trading_assets.jobs.orchestrator import JobResult, JobType
from trading_assets.jobs.single_step import run_step
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.contracts import newest_contract
from trading_assets.sessions import calendar
from trading_assets.settings import Settings


def backfill_us_equity_contracts(
    symbol: str,
    base_path: Path | str | None = None,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> JobResult:
    """Collect the contract details of a stock, ETF or index for the current session (dataset `contracts`).

    One request for a symbol without details, or with details verified `Settings.contract_verify_days` days ago; else
    none. A failure is in the result. Raises `InvalidRequest` for what cannot be a symbol.
    """
    return _contracts(symbol, settings_for(base_path, settings), refresh=False, progress=progress)


def refresh_contract_descriptions(
    symbol: str,
    base_path: Path | str | None = None,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> JobResult:
    """Ask the broker for the contract details of a symbol again, however lately they were verified (dataset
    `contracts`).

    One request; none where they were verified since the current session began. Changed details are stored and the old
    ones kept as revisions. A failure is in the result. Raises `InvalidRequest` for what cannot be a symbol.
    """
    chosen, name = settings_for(base_path, settings), one_symbol(symbol)
    xnys = calendar()
    begun = xnys.opens_at(xnys.current(chosen.clock()))
    verified = _verified_at(chosen, name)
    return _contracts(name, chosen, refresh=verified is None or verified < begun, progress=progress)


def _contracts(symbol: str, settings: Settings, *, refresh: bool, progress: Progress | None) -> JobResult:
    session, kind = calendar().current(settings.clock()), JobType.CONTRACTS
    return run_step(settings, "snapshot", kind, symbol, [session], {"refresh": refresh}, progress=progress)


def _verified_at(settings: Settings, symbol: str) -> datetime | None:
    """When the newest details of the symbol were verified (UTC); None without any."""
    newest = newest_contract(ParquetStore(settings.data_dir), symbol)
    return None if newest is None else newest["verified_at"]
