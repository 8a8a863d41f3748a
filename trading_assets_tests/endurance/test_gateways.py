"""A whole collection through two gateways, each a process of its own that enforces its limits; also when one of them is
killed in the middle."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.broker.routing import gateway_of
from trading_assets.collecting.progress import Silent, listening
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.counters import Snapshot
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, settings_of
from trading_assets_tests.endurance.gateway_process import Tws, started
from trading_assets_tests.endurance.lakes import asked, broken, contents, difference

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SYMBOLS = ("AAPL", "MSFT", "GOOG", "NVDA", "AMZN", "META")
NAMES = ("east", "west")


@pytest.fixture
def two() -> Iterator[dict[str, Tws]]:
    """Two simulated TWS by the names of their gateways."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(started(NOW, SYMBOLS)) for name in NAMES}


@pytest.fixture(scope="module")
def alone(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What is collected of the symbols through one TWS."""
    settings = settings_of(tmp_path_factory.mktemp("alone"), simulator)
    assert by_the_steps(settings, SYMBOLS)["success"]
    return contents(settings.data_dir)


class Killer(Silent):
    """Kills a TWS after so many requests were sent, keeping what it had seen."""

    def __init__(self, tws: Tws, after: int) -> None:
        self._tws, self._after = tws, after
        self.seen: Snapshot | None = None

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        if self.seen is None and sent >= self._after:
            self.seen = self._tws.counters()
            os.kill(self._tws.pid, signal.SIGKILL)


def settings_through(two: dict[str, Tws], simulator: Simulator, folder: Path) -> Settings:
    gateways = [{"name": name, "port": tws.port} for name, tws in two.items()]
    return settings_of(folder, simulator, ib_port=None, gateways=gateways, enforce_pacing=True, reconnect_timeout=2.0)


def questions_answered_twice(folder: Path) -> list[str]:
    """Keys with several rows in the journal: a question that was answered, and asked again."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        rows = connection.execute("select key from requests group by key having count(*) > 1").fetchall()
    return [row[0] for row in rows]


def test_the_symbols_chosen_use_both() -> None:
    assert set(Counter(gateway_of(symbol, NAMES) for symbol in SYMBOLS)) == set(NAMES)


def test_both_work_within_their_limits_and_ask_nothing_twice(
    two: dict[str, Tws],
    simulator: Simulator,
    alone: dict[str, pa.Table],
    tmp_path: Path,
) -> None:
    settings = settings_through(two, simulator, tmp_path / "lake")
    record = by_the_steps(settings, SYMBOLS)
    assert record["success"], record["problems"]
    seen = {name: tws.counters() for name, tws in two.items()}
    for name, counters in seen.items():
        assert counters.violations == [] and counters.errors == {} and counters.internal_errors == []
        symbols = {symbol for symbol in SYMBOLS if gateway_of(symbol, NAMES) == name}
        details = [entry.subject.split()[0] for entry in counters.of("contract_details") if "STK" in entry.subject]
        assert symbols == set(details), "a symbol was asked through another gateway than its own"
    together = sum((asked(counters.log) for counters in seen.values()), Counter())
    assert set(together.values()) == {1}
    assert together.total() == record["requests"]["sent"]
    assert difference(settings.data_dir, alone) == []
    assert broken(settings.data_dir) == []


@pytest.mark.parametrize("after", [20, 90])
def test_when_one_is_killed_everything_is_collected_through_the_other(
    after: int,
    two: dict[str, Tws],
    simulator: Simulator,
    alone: dict[str, pa.Table],
    tmp_path: Path,
) -> None:
    settings = settings_through(two, simulator, tmp_path / "lake")
    killer = Killer(two["west"], after)
    with listening(killer):
        record = by_the_steps(settings, SYMBOLS)
    assert record["success"], record["problems"]
    assert killer.seen is not None, "it was never killed"
    east = two["east"].counters()
    for counters in (killer.seen, east):
        assert counters.violations == [] and counters.internal_errors == []
    assert asked(killer.seen.log) and asked(east.log)
    assert questions_answered_twice(settings.data_dir) == []
    assert difference(settings.data_dir, alone) == []
    assert broken(settings.data_dir) == []
