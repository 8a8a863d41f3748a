"""The kernels are compiled before the first test: hypothesis measures the time of an example."""

from __future__ import annotations

import pytest

from trading_assets.pricing import american, black_scholes


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """All four entry points, compiled or read from the copy on disk."""
    for model in (black_scholes, american):
        value = model.price(100, 100, 0.5, 0.3, "P", 0.02)
        assert model.implied_volatility(value, 100, 100, 0.5, "P", 0.02) == pytest.approx(0.3, abs=1e-6)
