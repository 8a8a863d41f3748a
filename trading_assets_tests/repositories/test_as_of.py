"""The archive as of an instant, against the tables that were read at those instants."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trading_assets.errors import InvalidRequest
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.as_of import FIRST, AsOf, as_of_sql, checked
from trading_assets.repositories.catalog import connect
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets_tests.repositories.frames import NOON, bar, table

SESSIONS = (date(2014, 6, 6), date(2014, 6, 9))
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["AAPL", "SPY"]), st.sampled_from(SESSIONS)), st.sampled_from([10.0, 20.0]), max_size=4
)
STEPS = st.lists(st.one_of(CELLS, st.sampled_from(["AAPL", "SPY"])), min_size=1, max_size=6)


def as_of(store: ParquetStore, instant: AsOf) -> list[dict[str, Any]]:
    sql = as_of_sql(EQUITY_BARS, "equity_bars", "revisions_equity_bars", instant)
    with connect(store.data_dir) as connection:
        found: pa.Table = connection.sql(f"select * from ({sql}) order by symbol, start").to_arrow_table()
    return found.to_pylist()


def at(step: int) -> datetime:
    return NOON + timedelta(hours=step)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(STEPS)
@example([{("SPY", SESSIONS[0]): 10.0}, {("SPY", SESSIONS[0]): 20.0}, "SPY", {("SPY", SESSIONS[0]): 20.0}])
def test_each_instant_shows_what_was_read_then(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """Steps are answers, or the withdrawal of a symbol's bars."""
    store = ParquetStore(tmp_path_factory.mktemp("lake"))
    seen: dict[int, list[dict[str, Any]]] = {}
    first: dict[tuple[str, date], float] = {}
    for number, step in enumerate(steps, start=1):
        if isinstance(step, str):
            store.withdraw(EQUITY_BARS, where=pads.field("symbol") == step, at=at(number))
            first = {key: close for key, close in first.items() if key[0] != step}
        else:
            rows = [
                bar(day, close, symbol=s, collected_at=at(number), request_id=number)
                for (s, day), close in step.items()
            ]
            store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))
            first = {**step, **first}
        seen[number] = sorted(store.read(EQUITY_BARS).to_pylist(), key=lambda row: (row["symbol"], row["start"]))
    for number, rows in seen.items():
        assert as_of(store, at(number)) == as_of(store, at(number) + timedelta(minutes=59)) == rows
    assert as_of(store, NOON) == []
    shown = {(row["symbol"], row["session"]): row["close"] for row in as_of(store, FIRST)}
    assert {key: shown[key] for key in first} == first


def test_an_answer_that_is_stored_late_gives_no_second_row(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = ParquetStore(tmp_path_factory.mktemp("lake"))
    for hour, close in [(1, 10.0), (5, 20.0), (3, 15.0)]:
        rows = [bar(SESSIONS[0], close, collected_at=at(hour), request_id=hour)]
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))

    assert [[row["close"] for row in as_of(store, at(hour))] for hour in range(7)] == [
        [],
        [10.0],
        [10.0],
        [15.0],
        [15.0],
        [20.0],
        [20.0],
    ]


@pytest.mark.parametrize("given", ["2024-06-03", "yesterday", datetime(2024, 6, 3), pd.NaT, 5])
def test_what_is_no_instant_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="give an instant with a time zone"):
        checked(given)


def test_an_instant_beyond_the_years_of_utc_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no instant of the years 1 to 9999"):
        checked(datetime.min.replace(tzinfo=timezone(timedelta(hours=14))))


def test_an_instant_is_read_with_its_zone() -> None:
    assert checked("2024-06-03T16:00-04:00") == datetime.fromisoformat("2024-06-03T20:00+00:00")
    assert checked(FIRST) == FIRST
