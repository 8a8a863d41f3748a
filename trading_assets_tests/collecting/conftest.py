"""A broker and a data folder for several days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.simulator import Simulator
from trading_assets_tests.collecting.companies import Companies
from trading_assets_tests.collecting.days import FIRST, Days


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    market = Companies()
    with Simulator(market, now=FIRST, limits=False) as simulator:
        yield Days(tmp_path / "lake", market, simulator)
