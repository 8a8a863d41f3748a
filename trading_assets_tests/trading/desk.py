"""A lake with chains of two symbols, and a simulated TWS whose accounts hold positions in them. Not a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.calls import SimulatedAccount, SimulatedPosition
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.lakes import PLAIN_NOW

MARKET = GeneratedMarket()
FIRST, SECOND = f"SIM-GENERATED-{MARKET.identity}", "SIM-GENERATED-SECOND"

SHARES, CALL, PUT, SPY_CALL = 265598, 1214911504, 1214911505, 1835668648
"""AAPL; its 68 strikes that expire on 2024-01-05; the SPY 607 call of that day."""
UNMARKED = 1835668768
"""The SPY 634 call of 2024-01-05, which is listed in the lake and was never quoted."""

Held = Mapping[str, Sequence[tuple[int, float, float]]]
"""By account: contract id, quantity, average cost."""


def held(positions: Held) -> list[SimulatedAccount]:
    """The accounts of a simulator."""
    return [
        SimulatedAccount(
            name, positions=tuple(SimulatedPosition(ContractQuery(con_id=con_id), *rest) for con_id, *rest in rows)
        )
        for name, rows in positions.items()
    ]


@contextmanager
def desk(
    lake: Path, positions: Held, now: datetime = PLAIN_NOW, **settings: Any
) -> Iterator[tuple[Settings, Simulator]]:
    """Settings of the lake, and the TWS they name."""
    with Simulator(MARKET, now=now, accounts=held(positions)) as tws:
        yield Settings(data_dir=lake, ib_port=tws.port, now=now, **settings), tws
        assert not tws.counters.internal_errors
