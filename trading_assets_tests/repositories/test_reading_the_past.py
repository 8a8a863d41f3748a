"""Repositories with `as_of` read what was known at an instant."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from trading_assets.errors import InvalidRequest
from trading_assets.repositories import ContractRepository, EquityBarRepository, ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets_tests.repositories.frames import NOON, bar, contract_row, table

DAY, NEXT = date(2014, 6, 6), date(2014, 6, 9)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """AAPL before its split of 2014-06-09, restated three days later, and a bar that came with the restatement."""
    store, later = ParquetStore(tmp_path), NOON + timedelta(days=3)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY, 645.57), bar(DAY, 195.0, symbol="SPY")]))
    restated = [bar(day, close, collected_at=later, request_id=2) for day, close in ((DAY, 92.22), (NEXT, 93.7))]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, restated))
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(DAY) | {"long_name": "APPLE INC"}]))
    changed = contract_row(DAY) | {"long_name": "ANOTHER NAME", "collected_at": later, "request_id": 2}
    store.upsert(CONTRACTS, table(CONTRACTS, [changed]))
    return tmp_path


def closes(repository: EquityBarRepository, symbol: str = "AAPL") -> dict[date, float]:
    rows = repository.load_symbol_data(symbol, as_="arrow").to_pylist()
    return {row["session"]: row["close"] for row in rows}


def test_prices_as_first_collected_and_as_adjusted_today(lake: Path) -> None:
    assert closes(EquityBarRepository(data_dir=lake)) == {DAY: 92.22, NEXT: 93.7}
    assert closes(EquityBarRepository(data_dir=lake, as_of="first")) == {DAY: 645.57, NEXT: 93.7}
    assert closes(EquityBarRepository(data_dir=lake, as_of=NOON + timedelta(days=1))) == {DAY: 645.57}
    assert closes(EquityBarRepository(data_dir=lake, as_of=NOON + timedelta(days=3))) == {DAY: 92.22, NEXT: 93.7}
    assert closes(EquityBarRepository(data_dir=lake, as_of=NOON - timedelta(days=1))) == {}


def test_every_reading_method_reads_the_past(lake: Path) -> None:
    past = EquityBarRepository(data_dir=lake, as_of=NOON + timedelta(days=1))
    assert past.present_dates("AAPL") == {DAY} and past.symbols() == ["AAPL", "SPY"]
    assert past.load(trade_date=DAY, as_="arrow")["close"].to_pylist() == [645.57, 195.0]
    contracts = ContractRepository(data_dir=lake, as_of=NOON + timedelta(days=1))
    now = ContractRepository(data_dir=lake)
    for method in (lambda found: found.get("AAPL", DAY), lambda found: found.latest("AAPL")):
        assert (method(contracts)["long_name"], method(now)["long_name"]) == ("APPLE INC", "ANOTHER NAME")


def test_the_past_cannot_be_saved(lake: Path) -> None:
    past = EquityBarRepository(data_dir=lake, as_of="first")
    with pytest.raises(InvalidRequest, match="reads the past"):
        past.save(past.load_symbol_data("AAPL"))
    with pytest.raises(InvalidRequest, match="time zone"):
        EquityBarRepository(data_dir=lake, as_of="2014-06-06")
