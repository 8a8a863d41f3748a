"""A desk: one data folder and one simulated TWS, worked through the platform's own operations as a user would.

Not a test; the scenarios say what they demand. Nothing here looks into the platform: what was collected is read from
the lake, what was asked is read from the simulator's own counters.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trading_assets.cli.app import run
from trading_assets.jobs import DataPipelineOrchestrator
from trading_assets.jobs.orchestrator import Operation
from trading_assets.jobs.runner import RunReport, run_job
from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state
from trading_assets_tests.homes import furnish
from trading_assets_tests.templates import template

CONVERSATION = frozenset(
    {
        "start_api",
        "market_data_type",
        "cancel_market_data",
        "cancel_historical_data",
        "current_time",
        "managed_accounts",
        "ids",
    }
)
"""Messages that ask for no data: the handshake, the kind of data wanted, the end of a subscription."""

SMALL = {"option_chains": {"selection": {"max_days_to_expiry": 8, "strikes_around_spot": 2}}}
"""A selection of two expiries and four strikes each: enough for scenarios that are not about the selection."""


def at(text: str) -> datetime:
    """An aware instant."""
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None
    return instant


@dataclass
class Desk:
    """The data folder `folder` and the simulator it is filled from. `now` is the market's instant, moved by `move`."""

    folder: Path
    simulator: Simulator
    options: Mapping[str, Mapping[str, Any]] | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paced = self.settings.enforce_pacing
        assert paced or not self.simulator._limits.enforced, "requests above the rate would be dropped, and waited for"
        furnish(self.folder)

    @property
    def settings(self) -> Settings:
        """The settings of a user of this folder at this moment."""
        return settings_of(self.folder, self.simulator, **self.changes)

    def move(self, now: str) -> None:
        """Let the market's clock stand at another instant."""
        self.simulator.clock.set(at(now))

    def setup(self, *symbols: str, lookback_days: int = 10) -> Operation:
        """Set symbols up."""
        return DataPipelineOrchestrator(settings=self.settings).setup(symbols, lookback_days, self.options)

    def update(self, *symbols: str) -> Operation:
        """The increment of the given, else of all active symbols."""
        return DataPipelineOrchestrator(settings=self.settings).update(symbols or None, self.options)

    def job(
        self,
        name: str,
        sessions: Sequence[date],
        config: Mapping[str, Mapping[str, Any]],
        *,
        steps: Sequence[str] | None = None,
    ) -> RunReport:
        """Run one Dagster job on a partition, or on the range between two."""
        return run_job(self.settings, name, sessions, config, steps=steps)

    def command(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, Any]:
        """Run one command line with `--json` in this process; exit code and document (None when nothing was
        printed)."""
        for name, value in self.settings.environment().items():
            monkeypatch.setenv(name, value)
        printed = StringIO()
        with redirect_stdout(printed):
            code = run([*arguments, "--json"])
        return code, json.loads(printed.getvalue()) if printed.getvalue().strip() else None

    def rows(self, sql: str) -> pd.DataFrame:
        """The answer of the lake to a query."""
        return query(self.folder, sql).to_pandas()

    def conditions(self, where: str = "true") -> dict[str, int]:
        """Coverage rows by condition."""
        found = self.rows(f"select condition, count(*) as n from coverage where {where} group by condition")
        return dict(zip(found["condition"], found["n"], strict=True))

    def asked(self) -> dict[str, int]:
        """Questions that reached the simulator since `forget`, in the platform's words: an expiry's listing is no
        resolving of a symbol."""
        counts: Counter[str] = Counter()
        for entry in self.simulator.counters.log:
            if entry.kind in CONVERSATION:
                continue
            option = " OPT" in f" {entry.subject.upper().replace('/', ' ')}"
            counts[_WORDS.get((entry.kind, option), entry.kind)] += 1
        return dict(counts)

    def connections(self) -> int:
        """Connections that were opened since `forget`."""
        return self.simulator.counters.connections.get("accepted", 0)

    def forget(self) -> None:
        """Start counting anew."""
        self.simulator.reset_counters()


def set_up(
    folder: Path,
    simulator: Simulator,
    symbol: str,
    options: Mapping[str, Any],
    *,
    lookback_days: int = 10,
    changes: Mapping[str, Any] | None = None,
) -> Desk:
    """A desk on which `symbol` was set up at the simulator's instant: collected once a test run, and copied into
    `folder` for each test."""

    def make(template_lake: Path) -> None:
        desk = Desk(template_lake, simulator, options, dict(changes or {}))
        assert desk.setup(symbol, lookback_days=lookback_days).success
        connect_state(desk.settings.state_url).dispose()  # SQLite closes its files: they are copied next

    key = repr((simulator.market.identity, simulator.clock.now(), symbol, options, lookback_days, changes))
    shutil.copytree(template(key, make), folder, dirs_exist_ok=True)
    simulator.reset_counters()
    return Desk(folder, simulator, options, dict(changes or {}))


def settings_of(folder: Path, simulator: Simulator, **changes: Any) -> Settings:
    """Settings for a data folder and a running simulator, at the simulator's instant; without pacing unless told
    otherwise."""
    quick = {"enforce_pacing": False, "quote_quiet_time": 0.5}
    given = {"data_dir": folder, "ib_port": simulator.port, "now": simulator.clock.now(), **quick, **changes}
    return Settings(**given)


_WORDS = {
    ("contract_details", False): "contract",
    ("contract_details", True): "listing",
    ("option_parameters", False): "parameters",
    ("market_data", False): "spot",
    ("market_data", True): "quote",
    ("historical_data", False): "equity bars",
    ("historical_data", True): "option bars",
}


def planned(operation: Operation) -> int:
    """Requests that the operation's plans held."""
    return sum(report.planned for run in operation.runs for report in run.reports)


def sent(operation: Operation) -> int:
    """Requests that the operation sent."""
    return sum(report.sent for run in operation.runs for report in run.reports)


def sentences(operation: Operation) -> list[str]:
    """What the operation told of what is missing."""
    return [problem.sentence for run in operation.runs for report in run.reports for problem in report.problems]
