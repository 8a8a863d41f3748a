"""Queries read the datasets of the lake; nothing else can be read by them, and nothing can be written."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from trading_assets.errors import NotOneSelect
from trading_assets.repositories import ParquetStore, connect, query
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets_tests.repositories.frames import bar, table


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """One bar of AAPL; state and the folder of Dagster beside it, a file of somebody else outside."""
    folder = tmp_path / "a [1]* lake"
    ParquetStore(folder).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
    (folder / "state.db").write_text("secret")
    (folder / "dagster").mkdir()
    (folder / "dagster" / "runs.csv").write_text("secret\n1\n")
    (tmp_path / "private.csv").write_text("secret\n1\n")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


def named(text: str, lake: Path) -> str:
    """The text with the paths of the lake's files in place of their names."""
    (stored,) = (lake / "equity_bars").rglob("*.parquet")
    quote = {"STORED": stored, "NEW": stored.with_name("2099.parquet"), "LAKE": lake, "OUTSIDE": lake.parent}
    for name, path in quote.items():
        text = text.replace(name, str(path).replace("'", "''"))
    return text


@pytest.mark.parametrize(
    "sql",
    [
        "select symbol from equity_bars",
        "SELECT symbol FROM equity_bars; -- and a remark",
        "/* a remark */ select symbol from equity_bars",
        "with aapl as (select * from equity_bars where symbol = 'AAPL') select symbol from aapl",
        "from equity_bars",
        "values ('AAPL')",
        "(select symbol from equity_bars)",
        "select symbol as copy from equity_bars",
        "select * from query('select symbol from equity_bars')",
        "select 'insert, update, delete and copy' as words",
        "select $$copy$$ as words, 'it''s an update' as more -- delete",
        "describe equity_bars",
        "summarize equity_bars",
        "explain select symbol from equity_bars",
        "explain (select symbol from equity_bars)",
        "explain analyze select symbol from equity_bars",
        "explain (format json) select symbol from equity_bars",
        "explain /* é */ analyze -- é\n select symbol from equity_bars",
    ],
)
def test_one_select_or_its_explanation_is_answered(lake: Path, sql: str) -> None:
    assert query(lake, sql).num_rows > 0


WRITES = [
    "copy (select 1 as x) to 'STORED' (format parquet)",
    "explain analyze copy (select 1 as x) to 'STORED' (format parquet)",
    "explain /* a */ analyze /* select 1 */ copy (select 1 as x) to 'STORED' (format parquet)",
    "EXPLAIN (ANALYZE) copy (select 1 as x) to 'STORED' (format parquet)",
    "explain analyze /*éééééééééééééééééé*/ copy (select 1 as x) to 'STORED' (format parquet)",
    "with x as (copy (select 1 as x) to 'STORED' (format parquet)) select 1",
    "with x as (copy equity_bars to 'NEW' (format parquet, return_files)) from x",
    "explain analyze with x as (copy (select 1 as x) to 'STORED' (format parquet)) select 1",
    "select * from json_execute_serialized_sql(json_serialize_sql('with x as (copy (select 1) to ''NEW'') select 1'))",
    "select * from query('select * from json_execute_seri' || 'alized_sql(json_serialize_sql(''select 1''))')",
    "explain analyze drop view equity_bars",
    "drop view equity_bars",
    "create view mine as select 1",
    "create or replace temp view equity_bars as select 1",
    "create table mine as select 1",
    "create macro mine() as 1",
    "create secret (type s3, key_id 'a', secret 'b')",
    "insert into equity_bars values (1)",
    "with x as (delete from equity_bars) select 1",
    "update equity_bars set close = 0",
    "export database 'OUTSIDE/mine'",
    "import database 'OUTSIDE/mine'",
    "attach 'NEW' as mine",
    "attach 'OUTSIDE/mine.db'",
    "detach memory",
    "use memory",
    "set threads = 1",
    "set variable a = 1",
    "reset enable_external_access",
    "pragma threads = 1",
    "pragma database_list",
    "call pragma_version()",
    "checkpoint",
    "vacuum",
    "begin",
    "prepare mine as select 1",
    "execute mine",
    "install httpfs",
    "load httpfs",
    "select 1; select 2",
    "select 1; copy (select 1) to 'NEW'",
    "",
    "-- nothing",
    ";",
]


@pytest.mark.parametrize("sql", WRITES)
def test_everything_else_is_refused_and_writes_nothing(lake: Path, sql: str) -> None:
    before = content(lake)
    with pytest.raises((NotOneSelect, duckdb.Error)):
        query(lake, named(sql, lake))
    assert content(lake) == before
    assert query(lake, "select symbol from equity_bars").num_rows == 1


@pytest.mark.parametrize(
    "sql", [sql for sql in WRITES if sql.startswith(("explain", "copy", "create", "set", "pragma", "with x as (copy"))]
)
def test_what_is_wrong_is_one_sentence(lake: Path, sql: str) -> None:
    with pytest.raises(NotOneSelect, match=r"^A query .* (only reads|reads)[^\n]*\.$"):
        query(lake, named(sql, lake))


OUTSIDE = [
    "select * from read_csv('/etc/passwd', sep=':', header=false)",
    "select * from read_csv('OUTSIDE/private.csv')",
    "select * from 'OUTSIDE/private.csv'",
    "select * from read_text('LAKE/state.db')",
    "select * from read_blob('LAKE/equity_bars/../state.db')",
    "select * from read_csv('LAKE/dagster/runs.csv')",
    "select * from sniff_csv('OUTSIDE/private.csv')",
    "select * from read_json('OUTSIDE/private.csv')",
    "select * from read_parquet('OUTSIDE/*.parquet')",
    "select * from read_parquet(['STORED', 'OUTSIDE/other.parquet'])",
    "select * from parquet_metadata('OUTSIDE/other.parquet')",
    "select * from parquet_schema('OUTSIDE/other.parquet')",
    "select * from glob('LAKE/*')",
    "select * from glob('/etc/*')",
    "select * from query('select * from read_text(''LAKE/state.db'')')",
    "select (select content from read_text('/proc/self/environ'))",
    "select * from read_duckdb('OUTSIDE/mine.db')",
    "select * from read_text('lake.json')",
    "select * from read_parquet('s3://bucket/file.parquet')",
    "select * from 'http://127.0.0.1:9/x.parquet'",
    "select * from read_csv('https://127.0.0.1:9/x.csv')",
    "explain analyze select * from read_text('LAKE/state.db')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_nothing_outside_the_datasets_is_read(lake: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lake)
    with pytest.raises(duckdb.PermissionException, match="Cannot access"):
        query(lake, named(sql, lake))


@pytest.mark.parametrize("sql", ["select getenv('HOME')", "select * from frame", "select * from '/etc/passwd'"])
def test_neither_the_environment_nor_variables_of_the_program_are_read(lake: Path, sql: str) -> None:
    frame = table(EQUITY_BARS, [bar(date(2014, 6, 6))])
    assert frame.num_rows
    with pytest.raises(duckdb.CatalogException, match="does not exist"):
        query(lake, sql)


def test_a_connection_has_the_same_limits_and_keeps_what_an_analyst_needs(lake: Path) -> None:
    with connect(lake) as connection:
        for sql in (
            *OUTSIDE,
            "copy (select 1) to 'OUTSIDE/mine.csv'",
            "attach 'OUTSIDE/mine.db'",
            "load httpfs",
            "install httpfs",
        ):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(named(sql, lake)).fetchall()
        for sql in (
            "set enable_external_access = true",
            "set lock_configuration = false",
            "set allowed_directories = ['/']",
            "set threads = 1",
        ):
            with pytest.raises(duckdb.InvalidInputException, match="locked"):
                connection.execute(sql)
        connection.execute("create temp table mine as select symbol, 2 as weight from equity_bars")
        connection.register("frame", table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
        found = connection.execute(
            "select weight * 3 from equity_bars join mine using (symbol) join frame using (symbol)"
        ).fetchall()
        assert found == [(6,)]


def test_the_limits_are_lifted_by_an_argument_for_that_connection_alone(lake: Path) -> None:
    private = str(lake.parent / "private.csv")
    with connect(lake, unrestricted=True) as connection:
        assert connection.execute("select * from read_csv(?)", [private]).fetchall() == [(1,)]
        assert connection.execute("select count(*) from equity_bars").fetchall() == [(1,)]
    with connect(lake) as connection, pytest.raises(duckdb.PermissionException):
        connection.execute("select * from read_csv(?)", [private])
