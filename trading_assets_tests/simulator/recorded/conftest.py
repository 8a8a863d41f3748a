"""The recorded market under test, and the source files read independently of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from trading_assets.simulator.market import ContractQuery, ListedContract
from trading_assets.simulator.recorded import RecordedMarket

Read = Callable[[str], pd.DataFrame]


def at(text: str) -> datetime:
    """An aware instant."""
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None
    return instant


def underlying(market: RecordedMarket, symbol: str, now: datetime) -> ListedContract:
    """The one underlying of a symbol."""
    (contract,) = market.contracts(ContractQuery(symbol=symbol), now)
    return contract


def options(market: RecordedMarket, symbol: str, now: datetime, **query: object) -> list[ListedContract]:
    """The listed options of an underlying."""
    return market.contracts(ContractQuery(symbol=symbol, sec_type="OPT", **query), now)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def market(recorded_market: Path) -> RecordedMarket:
    return RecordedMarket(recorded_market)


@pytest.fixture(scope="session")
def read(recorded_market: Path) -> Read:
    """Reads a source file with pandas; dates as `datetime.date`."""

    @cache
    def _read(name: str) -> pd.DataFrame:
        return pd.read_parquet(recorded_market / f"{name}.parquet")

    return _read
