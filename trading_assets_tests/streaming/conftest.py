"""Fixtures of the streaming tests: lakes that know the tiny market, and simulators of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trading_assets.simulator import Simulator
from trading_assets_tests.simulator.tiny_market import NOW, TinyMarket
from trading_assets_tests.streaming.tiny_lake import fill


@pytest.fixture(scope="session")
def filled_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that knows the contracts of the tiny market; only to be copied."""
    folder = tmp_path_factory.mktemp("streaming") / "lake"
    fill(folder)
    return folder


@pytest.fixture
def lake(filled_lake: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(filled_lake, tmp_path / "lake"))


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Starts simulators of the tiny market; at the end none may have failed by itself, and no limit was exceeded."""
    with ExitStack() as stack:
        running: list[Simulator] = []

        def start(market: TinyMarket | None = None, **settings: Any) -> Simulator:
            simulator = Simulator(market or TinyMarket(), **{"now": NOW, **settings})
            running.append(stack.enter_context(simulator))
            return simulator

        yield start
        counters = [simulator.counters for simulator in running]
    assert not [failure for one in counters for failure in one.internal_errors]
    assert not [violation for one in counters for violation in one.violations]
