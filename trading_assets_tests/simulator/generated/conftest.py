"""One generated market for all tests of this folder: its answers do not depend on the questions before."""

from __future__ import annotations

import pytest

from trading_assets.simulator.generated import GeneratedMarket


@pytest.fixture(scope="session")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=42)
