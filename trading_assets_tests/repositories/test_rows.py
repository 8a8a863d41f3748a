"""Reads through the lake's DuckDB connection: the same rows as the store's own reads, whatever happens to the files
between two of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from trading_assets.errors import ForbiddenFile, UnreadableFile
from trading_assets.repositories import EquityBarRepository, OptionBarRepository, ParquetStore, catalog
from trading_assets.repositories.catalog import connect, query
from trading_assets.repositories.restrictions import Restriction, restricted
from trading_assets.repositories.rows import read_rows
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS
from trading_assets_tests.repositories.frames import NOON, bar, contract_row, option_bar, table
from trading_assets_tests.repositories.writer import version

ROOT = Path(__file__).parents[2]
DAYS = [date(2013, 12, 30), date(2014, 6, 6), date(2014, 6, 9), date(2015, 12, 24)]
FILE = "equity_bars/1_day/2014.parquet"

Reader = Callable[[Path], list[float]]


def by_query(lake: Path) -> list[float]:
    closes: list[float] = query(lake, "select close from equity_bars order by symbol, start")["close"].to_pylist()
    return closes


def by_repository(lake: Path) -> list[float]:
    closes: list[float] = EquityBarRepository(data_dir=lake).load()["close"].tolist()
    return closes


READERS = pytest.mark.parametrize("closes", [by_query, by_repository])


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    store = ParquetStore(tmp_path / "it's [a] lake*")
    rows = [
        bar(day, 10.0 * i + j, symbol=symbol, con_id=j + 1)
        for i, day in enumerate(DAYS, 1)
        for j, symbol in enumerate(("AAPL", "GOOG", "IBM"))
    ]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [*rows, bar(DAYS[1], bar_size="1 hour")]))
    store.upsert(
        OPTION_BARS, table(OPTION_BARS, [option_bar(day, con_id=c, strike=float(c)) for day in DAYS for c in (2, 1)])
    )
    return store.data_dir


@pytest.mark.parametrize("first", [None, DAYS[1]])
@pytest.mark.parametrize("last", [None, DAYS[2]])
@pytest.mark.parametrize("symbols", [None, "AAPL", ["IBM", "AAPL"], ["NONE"], []])
def test_the_same_rows_as_the_stores_own_read(
    lake: Path, first: date | None, last: date | None, symbols: str | list[str] | None
) -> None:
    wanted = ["AAPL", "GOOG", "IBM"] if symbols is None else [symbols] if isinstance(symbols, str) else symbols
    expected = ParquetStore(lake).read(
        EQUITY_BARS,
        where=pc.field("symbol").isin(pa.array(wanted, pa.string())),
        variants=["1 day"],
        first=first,
        last=last,
    )
    found = read_rows(lake, EQUITY_BARS, restricted(symbol=symbols), variants=["1 day"], first=first, last=last)
    assert found.equals(expected.sort_by([(name, "ascending") for name in EQUITY_BARS.order])) and found.schema.equals(
        EQUITY_BARS.schema
    )


def test_rows_come_in_the_datasets_order_whatever_the_files_are_sorted_by(lake: Path) -> None:
    path = lake / FILE
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.take(pa.array(range(rows.num_rows - 1, -1, -1))), path)
    assert EquityBarRepository(data_dir=lake).load()["symbol"].tolist() == ["AAPL"] * 4 + ["GOOG"] * 4 + ["IBM"] * 4


def test_values_of_pandas_and_numpy_restrict_as_well(lake: Path) -> None:
    options = OptionBarRepository(data_dir=lake)
    assert options.load(con_id=np.int64(2))["strike"].unique().tolist() == [2.0]  # type: ignore[arg-type]
    assert len(options.load(con_id=list(np.arange(3)))) == 8
    assert options.load(con_id=[], trade_date=DAYS[1]).empty


def test_a_further_condition_has_its_own_parameters(lake: Path) -> None:
    where = Restriction((("con_id", (1, 3)),), "starts_with(symbol, ?) or close > ?", ("AA", 30.0))
    found = read_rows(lake, EQUITY_BARS, where, columns=["close"], variants=["1 day"], first=DAYS[1])
    assert sorted(found["close"].to_pylist()) == [20, 30, 32, 40, 42]


def test_older_and_foreign_files_have_the_datasets_columns_and_types(lake: Path) -> None:
    rows = pq.ParquetFile(lake / FILE).read().drop_columns(["volume"])
    pq.write_table(
        rows.set_column(rows.schema.get_field_index("close"), "close", rows["close"].cast(pa.float32())), lake / FILE
    )
    frame = EquityBarRepository(data_dir=lake).load("AAPL")
    assert frame["volume"].isna().tolist() == [False, True, True, False] and str(frame["close"].dtype) == "float64"


@READERS
def test_what_another_process_wrote_is_seen(lake: Path, closes: Reader) -> None:
    raw = connect(lake)
    before = closes(lake)
    assert raw.execute("select max(close) from equity_bars where bar_size = '1 day'").fetchall() == [(42.0,)]
    code = (
        "import sys; from pathlib import Path; from datetime import date\nfrom trading_assets.repositories import"
        " ParquetStore; from trading_assets.repositories.schemas import EQUITY_BARS\nfrom"
        " trading_assets_tests.repositories.frames import bar,"
        " table\nParquetStore(Path(sys.argv[1])).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 10), 99.0,"
        " symbol='IBM', con_id=3)]))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(lake)], cwd=ROOT, check=True, timeout=300)
    assert sorted(closes(lake)) == sorted([*before, 99.0])
    assert raw.execute("select max(close) from equity_bars where bar_size = '1 day'").fetchall() == [(99.0,)]


def test_versions_of_one_size_that_follow_each_other_at_once_are_told_apart(tmp_path: Path) -> None:
    """The file system gives the inode of a replaced file to the next but one, and DuckDB compares seconds."""
    store, raw = ParquetStore(tmp_path), connect(tmp_path)
    inodes, sizes, seconds = set(), set(), []
    for turn in range(20):
        store.upsert(
            EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[1], 100.0 + turn, collected_at=NOON + timedelta(minutes=turn))])
        )
        assert raw.execute("select close from equity_bars where close >= ?", [100.0 + turn]).fetchall() == [
            (100.0 + turn,)
        ]
        assert by_repository(tmp_path) == by_query(tmp_path) == [100.0 + turn]
        status = (tmp_path / FILE).stat()
        inodes.add(status.st_ino)
        sizes.add(status.st_size)
        seconds.append(status.st_mtime_ns // 10**9)
    assert len(sizes) < 20, "versions of the same size are what the test is about"
    assert seconds == sorted(set(seconds))


@pytest.mark.parametrize("by", ["query", "repository"])
def test_a_file_changed_in_place_within_its_second_is_read_anew(lake: Path, by: str) -> None:
    """Size, inode and the second of the last change stay: by the footer of before, which DuckDB keeps, no row group
    holds the new symbol."""

    def closes(symbol: str) -> list[float]:
        if by == "repository":
            return list(EquityBarRepository(data_dir=lake).load(symbol)["close"])
        return list(
            query(lake, "select close from equity_bars where symbol = ? order by start", [symbol])["close"].to_pylist()
        )

    def written(symbols: list[str], path: Path) -> bytes:
        changed = rows.set_column(rows.schema.get_field_index("symbol"), rows.schema.field("symbol"), pa.array(symbols))
        pq.write_table(changed, path, compression="none", use_dictionary=False)
        return path.read_bytes()

    path = lake / FILE
    rows = pq.ParquetFile(path).read()
    symbols = rows["symbol"].to_pylist()
    written(symbols, path)
    second = path.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(path, ns=(second, second))
    before = path.stat()
    assert (closes("IBM"), closes("ZZZ")) == ([12.0, 22.0, 32.0, 42.0], [])
    with path.open("r+b") as file:
        file.write(written(["ZZZ" if symbol == "IBM" else symbol for symbol in symbols], lake / "copy"))
    os.utime(path, ns=(second + 1000, second + 1000))
    assert (path.stat().st_size, path.stat().st_ino) == (before.st_size, before.st_ino)
    assert (closes("IBM"), closes("ZZZ")) == ([12.0, 42.0], [22.0, 32.0])


def test_what_is_deleted_is_gone_file_by_file(lake: Path) -> None:
    raw = connect(lake)
    for path in sorted((lake / "equity_bars").rglob("*.parquet")):
        counts = by_query(lake), by_repository(lake), raw.execute("select close from equity_bars").fetchall()
        rows = pq.read_metadata(path).num_rows
        path.unlink()
        after = by_query(lake), by_repository(lake), raw.execute("select close from equity_bars").fetchall()
        hourly = path.parent.name == "1_hour"
        assert [len(found) for found in after] == [
            len(counts[0]) - rows,
            len(counts[1]) - (0 if hourly else rows),
            len(counts[2]) - rows,
        ]
    assert by_query(lake) == by_repository(lake) == []


@READERS
def test_a_file_damaged_between_two_reads_is_named_and_its_return_is_seen(lake: Path, closes: Reader) -> None:
    before, whole = closes(lake), (lake / FILE).read_bytes()
    for damaged in (b"", whole[:-100], b"text " * 100):
        (lake / FILE).write_bytes(damaged)
        with pytest.raises(UnreadableFile, match=r"2014\.parquet is damaged"):
            closes(lake)
    (lake / FILE).write_bytes(whole)
    assert closes(lake) == before


def test_a_damaged_file_of_another_dataset_stops_no_repository(lake: Path) -> None:
    ParquetStore(lake).upsert(CONTRACTS, table(CONTRACTS, [contract_row(DAYS[1], "AAPL", NOON)]))
    (lake / "contracts/2014.parquet").write_bytes(b"broken")
    assert len(by_repository(lake)) == 12
    with pytest.raises(UnreadableFile, match=r"contracts/2014\.parquet is damaged"):
        by_query(lake)


def test_a_link_made_under_an_open_connection_is_followed(lake: Path, tmp_path: Path) -> None:
    before = by_repository(lake)
    (lake / FILE).rename(tmp_path / "elsewhere")
    (lake / FILE).symlink_to(tmp_path / "elsewhere")
    assert by_repository(lake) == before
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(UnreadableFile, match="a link to a file that is not there"):
        by_repository(lake)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_repository_names_what_it_may_not_read(tmp_path: Path, lake: Path) -> None:
    temporary = Path(tempfile.gettempdir())
    above = [place for place in tmp_path.parents if place.is_relative_to(temporary) and place != temporary]
    for place in (*above, tmp_path, lake, *lake.rglob("*")):
        place.chmod(0o755)
    (lake / FILE).chmod(0)
    by_repository(lake)  # as root
    if not (child := os.fork()):
        os.setuid(65534)
        try:
            by_repository(lake)
        except ForbiddenFile as refusal:
            os._exit(0 if refusal.path == lake / FILE else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_reads_and_waits_for_no_lock_of_its_parent(lake: Path) -> None:
    expected = by_repository(lake)
    with catalog._guard:
        if not (child := os.fork()):
            signal.alarm(20)  # ends a child that waits
            os._exit(0 if by_repository(lake) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert by_repository(lake) == expected


def test_threads_beside_a_writer_see_one_version_or_another(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, version(1))
    written, seen, wrong = threading.Event(), set[int](), list[BaseException]()

    def read() -> None:
        try:
            while not written.is_set():
                rows = read_rows(tmp_path, EQUITY_BARS)
                (number,) = rows["request_id"].unique().to_pylist()
                assert rows.equals(version(number))
                seen.add(number)
        except BaseException as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(2, 15):
        store.upsert(EQUITY_BARS, version(number))
    written.set()
    for thread in readers:
        thread.join()
    assert not wrong and len(seen) > 2
