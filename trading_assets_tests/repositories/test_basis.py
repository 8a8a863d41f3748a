"""Bars at the prices at which they were traded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.repositories.basis import traded_sql
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.repositories.store import ParquetStore
from trading_assets_tests.repositories.frames import bar, table

SPLIT, CORRECTED, BOTH, LATER = (date(2014, 6, day) for day in (4, 5, 6, 9))
NOON = datetime(2014, 6, 7, 12, tzinfo=UTC)


def collected(store: ParquetStore, days_later: int, *bars: tuple[date, float, float]) -> None:
    """Bars given as session, close and the factor of all prices."""
    rows: list[dict[str, Any]] = []
    for session, close, factor in bars:
        scaled = {name: round(price * factor, 2) for name, price in (("open", 640.0), ("high", 655.0), ("low", 590.0))}
        at = NOON + timedelta(days=days_later)
        known = {"collected_at": at, "request_id": days_later, "volume": round(1000 / factor)}
        rows.append({**bar(session, round(close * factor, 2), **known), **scaled})
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))


def test_a_restated_bar_has_the_prices_of_its_day_and_a_corrected_one_the_corrected(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    collected(store, 1, (SPLIT, 645.0, 1.0), (CORRECTED, 600.0, 1.0), (BOTH, 645.57, 1.0))
    collected(store, 2, (CORRECTED, 650.0, 1.0), (BOTH, 645.58, 1.0))
    collected(store, 3, (SPLIT, 645.0, 1 / 7), (BOTH, 645.58, 1 / 7), (LATER, 651.0, 1 / 7))
    sql = f"select close, volume from ({traded_sql('equity_bars', 'revisions_equity_bars')}) order by session"
    assert query(tmp_path, sql).to_pydict() == {
        "close": [645.0, 650.0, 645.57, 93.0],
        "volume": [1000.0, 1000.0, 1000.0, 7000.0],
    }
