"""One data folder and one simulated broker, collected through the steps over several days. Not a test."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.identity import resolve
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.collecting.companies import Companies
from trading_assets_tests.rewriting import collect, rows, settings_for

FIRST = datetime.fromisoformat("2026-06-05T16:30-04:00")
LATER = datetime.fromisoformat("2026-06-15T16:30-04:00")
"""Seven days and more after the first: contract details are requested again."""


class Days:
    """One data folder and one simulated broker, over several days."""

    def __init__(self, folder: Path, market: Companies, simulator: Simulator) -> None:
        self.folder, self.market, self.simulator = folder, market, simulator

    @property
    def settings(self) -> Settings:
        return settings_for(self.folder, self.simulator.port, self.simulator.clock.now(), enforce_pacing=False)

    def move(self, now: datetime) -> None:
        self.simulator.clock.set(now)
        self.simulator.reset_counters()

    def collect(self, *symbols: str, steps: str = "cheo", **how: Any) -> dict[str, CollectionReport]:
        return collect(self.settings, symbols, steps, **how)

    def resolve(self, symbol: str, decision: str) -> str:
        with Archive(self.settings) as archive:
            return resolve(archive, symbol, decision)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return rows(self.settings, sql)

    def con_ids(self, dataset: str, symbol: str) -> set[int]:
        column = "under_con_id" if dataset == "option_chains" else "con_id"
        return {row[column] for row in self.rows(f"select distinct {column} from {dataset} where symbol = '{symbol}'")}

    def asked(self) -> dict[str, int]:
        kinds = ("contract_details", "option_parameters", "market_data", "historical_data")
        return {kind: count for kind, count in self.simulator.counters.requests.items() if kind in kinds}


def wrong(reports: dict[str, CollectionReport]) -> list[Problem]:
    """What is missing, but for contracts that expired on days without a run."""
    return [
        problem for report in reports.values() for problem in report.problems if problem.kind is not ProblemKind.LOST
    ]
