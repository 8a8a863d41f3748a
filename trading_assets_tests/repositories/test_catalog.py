"""DuckDB over the lake."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from trading_assets.errors import NotOneSelect
from trading_assets.repositories import ParquetStore, catalog
from trading_assets.repositories.catalog import connect, duckdb_type, query, write_catalog
from trading_assets.repositories.column_descriptions import column_rows
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, EQUITY_BARS, OPTION_CHAINS, Dataset
from trading_assets_tests.repositories.frames import NOON, bar, chain_row, table

JUNE_6 = date(2014, 6, 6)


@pytest.mark.parametrize("dataset", [*DATASETS.values(), *map(revisions_of, DATASETS.values())], ids=lambda d: d.name)
def test_a_lake_without_files_has_every_view_with_its_columns_and_types(tmp_path: Path, dataset: Dataset) -> None:
    lake = tmp_path / "not" / "there"
    name = dataset.name.replace("/", "_")
    described = connect(lake).execute(f"DESCRIBE {name}").fetchall()
    assert [(row[0], row[1]) for row in described] == [(c.name, duckdb_type(c.type)) for c in dataset.columns]
    assert connect(lake).execute(f"SELECT count(*) FROM {name}").fetchall() == [(0,)]
    assert not lake.exists()


def test_an_open_connection_sees_new_files_and_new_rows(tmp_path: Path) -> None:
    store, connection = ParquetStore(tmp_path), connect(tmp_path)
    count = "SELECT count(*), sum(close) FROM equity_bars"
    assert connection.execute(count).fetchall() == [(0, None)]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, 645.0)]))
    assert connection.execute(count).fetchall() == [(1, 645.0)]
    store.upsert(
        EQUITY_BARS,
        table(EQUITY_BARS, [bar(JUNE_6, 92.0, collected_at=NOON + timedelta(1)), bar(date(2015, 12, 24), 100.0)]),
    )
    assert connection.execute(count).fetchall() == [(2, 192.0)]
    assert connection.execute("SELECT close, superseded_by FROM revisions_equity_bars").fetchall() == [(645.0, 1)]


def test_values_keep_their_types_and_times_are_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6)]))
    result = query(tmp_path, "SELECT * FROM equity_bars")
    assert [(f.name, f.type) for f in result.schema] == [(f.name, f.type) for f in EQUITY_BARS.schema]
    assert result["bar_size"].to_pylist() == ["1 day"], "from the file, not from the folder's name"
    assert connect(tmp_path).execute("SELECT start FROM equity_bars").fetchall()[0][0] == datetime(
        2014, 6, 6, 13, 30, tzinfo=UTC
    )
    assert query(tmp_path, "SELECT start::VARCHAR AS s FROM equity_bars")["s"].to_pylist() == ["2014-06-06 13:30:00+00"]


def test_cursors_are_independent_of_each_other(tmp_path: Path) -> None:
    connect(tmp_path).close()
    one, other = connect(tmp_path), connect(tmp_path)
    one.close()
    assert other.execute("SELECT count(*) FROM coverage").fetchall() == [(0,)]


def test_a_wrong_query_fails_as_duckdb_says_and_parameters_are_bound(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error, match="no_such_view"):
        query(tmp_path, "SELECT * FROM no_such_view")
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6), bar(JUNE_6, symbol="GOOG")]))
    assert query(tmp_path, "SELECT symbol FROM equity_bars WHERE symbol = ?", ["GOOG"]).to_pylist() == [
        {"symbol": "GOOG"}
    ]
    assert query(tmp_path, "SELECT symbol FROM equity_bars WHERE symbol = $s", {"s": "GOOG"}).num_rows == 1
    with pytest.raises(NotOneSelect, match="kind SET"):
        query(tmp_path, "SET threads = 2")


@pytest.mark.parametrize(("most", "alone"), [(catalog.SMALL_LAKE, True), (10, False)])
def test_a_small_lake_is_read_by_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, alone: bool
) -> None:
    monkeypatch.setattr(catalog, "SMALL_LAKE", most)
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
    threads = query(tmp_path, "select current_setting('threads')::int as threads")["threads"].to_pylist()
    ((usual,),) = duckdb.sql("select current_setting('threads')::int").fetchall()
    assert threads == [1 if alone else usual]


def test_a_lake_that_has_grown_is_read_by_more_threads_from_the_next_query_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((usual,),) = duckdb.sql("select current_setting('threads')::int").fetchall()
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
    asked = "select current_setting('threads')::int as threads, count(*) as n from equity_bars"
    assert query(tmp_path, asked).to_pylist() == [{"threads": 1, "n": 1}]
    monkeypatch.setattr(catalog, "SMALL_LAKE", 10)
    query(tmp_path, asked)
    assert [query(tmp_path, asked).to_pylist() for _ in range(2)] == [[{"threads": usual, "n": 1}]] * 2


@pytest.mark.parametrize("folder", ["plain", "it's [odd] 100*"])
def test_the_catalog_file_serves_other_clients(tmp_path: Path, folder: str) -> None:
    lake = tmp_path / folder
    ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6)]))
    write_catalog(lake)
    path = write_catalog(lake)
    with duckdb.connect(str(path), read_only=True) as client:
        assert client.execute("SELECT symbol, session FROM equity_bars").fetchall() == [("AAPL", JUNE_6)]
        ParquetStore(lake).upsert(OPTION_CHAINS, table(OPTION_CHAINS, [chain_row(JUNE_6)]))
        assert client.execute("SELECT count(*) FROM option_chains").fetchall() == [(1,)]
    assert query(lake, "SELECT * FROM equity_bars").num_rows == 1
    assert not list(lake.glob(".*.tmp*"))


def test_columns_come_with_type_unit_and_meaning() -> None:
    rows = {row.name: row for row in column_rows(EQUITY_BARS)}
    assert rows["start"].type == "TIMESTAMP WITH TIME ZONE" and rows["start"].unit == "UTC" and rows["start"].key
    assert rows["wap"].nullable and not rows["close"].nullable
    assert all(row.description for dataset in DATASETS.values() for row in column_rows(dataset))
