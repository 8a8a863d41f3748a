"""The settings of pricing."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from trading_assets.settings import Settings


def test_rate_and_dividends_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_RATE", "0.035")
    monkeypatch.setenv("TRADING_ASSETS_DIVIDENDS", '{"aapl": [["2026-11-06", 0.26], ["2027-02-05", 0.27]]}')
    settings = Settings()
    assert settings.rate == 0.035
    assert settings.dividends == {"AAPL": ((date(2026, 11, 6), 0.26), (date(2027, 2, 5), 0.27))}
    environment = settings.environment()
    monkeypatch.setenv("TRADING_ASSETS_DIVIDENDS", environment["TRADING_ASSETS_DIVIDENDS"])
    assert Settings().dividends == settings.dividends


@pytest.mark.parametrize("amount", [-0.1, float("nan"), float("inf")])
def test_a_wrong_dividend_is_refused(amount: float) -> None:
    with pytest.raises(ValidationError, match=r"AAPL has .* on 2026-11-06"):
        Settings(dividends={"AAPL": ((date(2026, 11, 6), amount),)})


@pytest.mark.parametrize("rate", [4.0, -0.5])
def test_a_rate_in_percent_is_refused(rate: float) -> None:
    with pytest.raises(ValidationError, match="rate"):
        Settings(rate=rate)
