"""Fixtures of the simulator's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from trading_assets.simulator import Simulator
from trading_assets_tests.simulator.tiny_market import NOW, TinyMarket


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Starts simulators of the tiny market, pinned at `NOW`; at the end none of them may have failed by itself."""
    with ExitStack() as stack:
        running: list[Simulator] = []

        def start(**settings: Any) -> Simulator:
            simulator = Simulator(TinyMarket(), **{"now": NOW, **settings})
            running.append(stack.enter_context(simulator))
            return simulator

        yield start
        failures = [failure for simulator in running for failure in simulator.counters.internal_errors]
    assert not failures


@pytest.fixture
def tws(simulate: Callable[..., Simulator]) -> Simulator:
    """One such simulator with everything at its default."""
    return simulate()
