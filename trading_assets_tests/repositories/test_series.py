"""Moving a series to another symbol: every row of it, its revisions, and nothing else; whose a symbol's rows are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, closed_symbol
from trading_assets.repositories.series import move_series, owner_of, series, series_contracts
from trading_assets_tests.repositories.frames import bar, contract_row, table

DAYS = [date(2015, 12, day) for day in (21, 22, 23)]

EARLY, LATE = datetime(2015, 12, 24, tzinfo=UTC), datetime(2016, 1, 4, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    """Bars and details of FB and of another symbol; one bar of FB was restated."""
    found = ParquetStore(tmp_path)
    for symbol, con_id in (("FB", 5), ("IBM", 8314)):
        found.upsert(CONTRACTS, table(CONTRACTS, [contract_row(day, symbol) | {"con_id": con_id} for day in DAYS]))
        found.upsert(
            EQUITY_BARS,
            table(EQUITY_BARS, [bar(day, symbol=symbol) | {"con_id": con_id, "collected_at": EARLY} for day in DAYS]),
        )
    found.upsert(
        EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0], 50.0, symbol="FB") | {"con_id": 5, "collected_at": LATE}])
    )
    return found


def rows(store: ParquetStore, dataset: str, symbol: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = query(
        store.data_dir, f"select * exclude (symbol) from {dataset} where symbol = ? order by all", [symbol]
    ).to_pylist()
    return found


def test_all_rows_and_revisions_move_and_no_other(store: ParquetStore) -> None:
    names = ("contracts", "equity_bars", "revisions_equity_bars")
    before = {name: rows(store, name, "FB") for name in names}
    others = {name: rows(store, name, "IBM") for name in names}
    assert len(before["revisions_equity_bars"]) == 1
    assert move_series(store, "FB", "META") == 6
    assert {name: rows(store, name, "META") for name in names} == before
    assert {name: rows(store, name, "FB") for name in names} == {name: [] for name in names}
    assert {name: rows(store, name, "IBM") for name in names} == others
    assert move_series(store, "FB", "META") == 0, "doing it again changes nothing"


def test_where_both_have_a_bar_the_later_answer_stays_and_the_other_is_a_revision(store: ParquetStore) -> None:
    store.upsert(
        EQUITY_BARS,
        table(EQUITY_BARS, [bar(day, 70.0, symbol="META") | {"con_id": 6, "collected_at": LATE} for day in DAYS[1:]]),
    )
    move_series(store, "FB", "META")
    kept = query(
        store.data_dir, "select session, con_id from equity_bars where symbol = 'META' order by session"
    ).to_pylist()
    assert [row["con_id"] for row in kept] == [5, 6, 6]
    superseded = query(
        store.data_dir, "select session, con_id from revisions_equity_bars where symbol = 'META' order by session"
    ).to_pylist()
    assert [(row["session"], row["con_id"]) for row in superseded] == [(DAYS[0], 5), (DAYS[1], 5), (DAYS[2], 5)]


def test_the_newest_details_say_whose_a_series_is(store: ParquetStore) -> None:
    assert {
        symbol: found.con_id for symbol, found in series_contracts(store.data_dir, ["FB", "IBM", "TSLA"]).items()
    } == {"FB": 5, "IBM": 8314}
    assert (owner_of(store.data_dir, 5), owner_of(store.data_dir, 6)) == ("FB", None)
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(date(2015, 12, 24), "FB") | {"con_id": 6}]))
    assert series_contracts(store.data_dir, ["FB"])["FB"].con_id == 6
    assert (owner_of(store.data_dir, 5), owner_of(store.data_dir, 6)) == (None, "FB")
    assert [(row["con_id"], row["first"], row["status"]) for row in series(store.data_dir, ["FB"])] == [
        (5, DAYS[0], "present"),
        (6, date(2015, 12, 24), "present"),
    ]


def test_without_details_the_bars_say_it(store: ParquetStore) -> None:
    for path in (store.data_dir / "contracts").glob("*.parquet"):
        path.unlink()
    assert series_contracts(store.data_dir, ["FB"])["FB"].con_id == 5
    assert series(store.data_dir) == []


def test_a_closed_series_is_listed_under_its_symbol(store: ParquetStore) -> None:
    move_series(store, "FB", closed_symbol("FB", 5))
    assert [(row["symbol"], row["series"], row["status"]) for row in series(store.data_dir)] == [
        ("FB", "FB@5", "closed"),
        ("IBM", "IBM", "present"),
    ]
