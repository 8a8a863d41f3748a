"""Waiting for what another thread or process does, by looking."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # most who wait need no simulator
    from trading_assets.simulator import Simulator

T = TypeVar("T")

BETWEEN_LOOKS = 0.05


def eventually(observe: Callable[[], T], patience: float = 300.0, between_looks: float = BETWEEN_LOOKS) -> T:
    """What `observe` gives as soon as it is true; fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (seen := observe()):
        assert time.monotonic() < deadline, f"not within {patience:.0f} s"
        time.sleep(between_looks)
    return seen


def arrived(simulator: Simulator) -> int:
    """How many requests have reached the simulator, after all that dead processes sent: nobody is connected."""
    eventually(lambda: simulator.counters.open_now["clients"] == 0)
    return len(simulator.counters.log)


def asked_once(simulator: Simulator) -> int:
    """How many questions the simulator was asked, none of them twice and no limit violated."""
    kinds = {"contract_details", "option_parameters", "historical_data", "market_data"}
    asked = [(one.kind, one.subject, one.detail) for one in simulator.counters.log if one.kind in kinds]
    assert len(set(asked)) == len(asked) and simulator.counters.violations == []
    return len(asked)
