"""Two and four processes that collect overlapping symbols at once, against a TWS that enforces its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.conftest import NOW, settings_of
from trading_assets_tests.endurance.crew import Crew
from trading_assets_tests.endurance.lakes import asked, broken, broken_runs, contents, difference, partitions

SYMBOLS = ("AAPL", "MSFT", "GOOG", "NVDA")

OVERLAPPING: dict[int, list[tuple[str, ...]]] = {
    2: [("AAPL", "MSFT", "GOOG"), ("NVDA", "GOOG", "MSFT")],
    4: [("AAPL", "MSFT", "GOOG"), ("NVDA", "GOOG", "MSFT"), ("AAPL", "MSFT", "GOOG", "NVDA"), ("MSFT", "AAPL")],
}
"""The symbols of each process. MSFT is everybody's."""


@pytest.fixture(scope="module")
def strict(market: GeneratedMarket) -> Iterator[Simulator]:
    """A simulator that enforces every limit."""
    with Simulator(market, now=NOW) as running:
        yield running
        assert not running.counters.internal_errors


@pytest.fixture(scope="module")
def alone(crew: Crew, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What one process alone collects of all the symbols."""
    folder = tmp_path_factory.mktemp("alone")
    end = crew.run(settings_of(folder, simulator), SYMBOLS, dagster=False)
    assert end.success, end.words
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("count", list(OVERLAPPING))
def test_processes_at_once_fill_one_lake_without_a_doubled_request(
    count: int, crew: Crew, strict: Simulator, alone: dict[str, pa.Table], tmp_path: Path
) -> None:
    strict.reset_counters()
    settings = settings_of(tmp_path / "lake", strict, enforce_pacing=True)

    children = [crew.start(settings, symbols) for symbols in OVERLAPPING[count]]
    ends = [crew.wait(child) for child in children]

    for symbols, end in zip(OVERLAPPING[count], ends, strict=True):
        assert end.success, f"{symbols}: {end.words}"
    counters = strict.counters
    assert counters.violations == []
    assert counters.errors == {}, "not one request was refused"
    repeated = {question: times for question, times in asked(counters.log).items() if times > 1}
    assert repeated == {}
    assert sum(end.report["requests"]["sent"] for end in ends if end.report) == asked(counters.log).total()
    assert counters.connections["started"] <= count
    assert counters.open_now.get("history", 0) == counters.open_now.get("lines", 0) == 0
    assert difference(settings.data_dir, alone) == []
    assert broken(settings.data_dir) == []
    assert broken_runs(settings) == []
    assert all("2024-06-03" in keys for keys in partitions(settings).values())
