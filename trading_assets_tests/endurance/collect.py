"""What every process of these tests does: set symbols up, through Dagster or by the steps below the assets. Not a
test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.jobs.orchestrator import DataPipelineOrchestrator
from trading_assets.repositories.schemas import CONTRACTS, OPTION_CHAINS
from trading_assets.settings import Settings

SELECTION: dict[str, dict[str, dict[str, Any]]] = {
    "option_chains": {"selection": {"max_days_to_expiry": 8, "strikes_around_spot": 2}}
}
"""Two expiries at most and four strikes each of a stock: one run takes a second or two."""

LOOKBACK_DAYS = 10


def through_dagster(settings: Settings, symbols: Sequence[str]) -> dict[str, Any]:
    """As a user's command does: the operation's record."""
    return DataPipelineOrchestrator(settings=settings).setup(symbols, LOOKBACK_DAYS, SELECTION).as_dict()


def by_the_steps(
    settings: Settings, symbols: Sequence[str], open_archive: Callable[[Settings], Archive] = Archive
) -> dict[str, Any]:
    """The same collections and writes as below the assets, without Dagster's second or two for each run; the same
    fields of the record.

    Raises `BrokerError`.
    """
    reports = []
    with open_archive(settings) as archive:
        for step in steps(archive, symbols):
            collected = step()
            archive.write(collected)
            reports.append(collected.report)
    return {
        "success": all(report.complete for report in reports),
        "requests": {"sent": sum(report.sent for report in reports)},
        "problems": [problem.as_row() for report in reports for problem in report.problems],
        "errors": [],
    }


def steps(archive: Archive, symbols: Sequence[str]) -> list[Callable[[], Collected]]:
    """The four collections, in order, and what is computed from them. Each needs what those before it have written."""
    rules = archive.settings.selection.changed(SELECTION["option_chains"]["selection"])
    entries = archive.universe.resolve(symbols)
    current, closed = archive.calendar.current(archive.now), archive.calendar.last_closed(archive.now)
    sessions = archive.calendar.sessions(closed - timedelta(days=LOOKBACK_DAYS), closed)
    contracts, chains = (archive.view(dataset) for dataset in (CONTRACTS, OPTION_CHAINS))
    sizes = archive.settings.equity_bar_sizes
    return [
        lambda: collect_contracts(archive, entries, current),
        lambda: collect_option_chains(archive, entries, current, contracts=contracts, rules=rules),
        lambda: collect_equity_bars(archive, entries, sessions, contracts=contracts, bar_sizes=sizes),
        lambda: collect_option_bars(
            archive, entries, sessions, contracts=contracts, chains=chains, bar_sizes=("8 hours",)
        ),
        lambda: compute_option_greeks(archive, symbols, archive.calendar.sessions(sessions[0], current)),
    ]
