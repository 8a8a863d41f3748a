"""The market of these tests: what it computes for one test it keeps for the next."""

from __future__ import annotations

import pytest

from trading_assets.broker.retries import Waits
from trading_assets.reliability import RetryConfig
from trading_assets.simulator.generated import GeneratedMarket

SOON = RetryConfig(wait_initial=0.02, wait_max=0.1)


@pytest.fixture(autouse=True)
def _waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts, in the same code: hundredths of a second in place of seconds."""
    monkeypatch.setattr("trading_assets.broker.broker.Waits", lambda: Waits(SOON, SOON, SOON))


@pytest.fixture(scope="session")
def market() -> GeneratedMarket:
    """The generated market."""
    return GeneratedMarket(seed=42)
