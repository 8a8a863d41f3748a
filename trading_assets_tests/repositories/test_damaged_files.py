"""Files that are not what their name says: whoever reads them is told which file it is and what to do."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from trading_assets.errors import ForbiddenFile, UnreadableFile
from trading_assets.monitoring.status import platform_status
from trading_assets.repositories import EquityBarRepository, ParquetStore, damage, query, write_catalog
from trading_assets.repositories.conditions import symbol_conditions
from trading_assets.repositories.files import check_file, dataset_files
from trading_assets.repositories.provenance import largest_request
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, Dataset
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.repositories.frames import NOON, bar, covered, table

DAY = date(2014, 6, 6)
FILE = "equity_bars/1_day/2014.parquet"

Damage = Callable[[Path], object]
Read = Callable[[Path], object]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Bars of two days, a restated one, and coverage."""
    store = ParquetStore(tmp_path / "lake")
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY), bar(date(2014, 6, 9))]))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY, 200.0, collected_at=NOON + timedelta(1))]))
    store.upsert(COVERAGE, table(COVERAGE, [covered(DAY)]))
    return tmp_path / "lake"


def replaced(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """The file with other columns."""

    def write(path: Path) -> None:
        pq.write_table(change(pq.ParquetFile(path).read()), path)

    return write


def retyped(name: str, convert: Callable[[Any], Any]) -> Damage:
    return replaced(lambda rows: rows.set_column(rows.schema.get_field_index(name), name, convert(rows[name])))


def flipped(path: Path) -> None:
    """A page in the middle has other bytes; the footer is whole."""
    content = bytearray(path.read_bytes())
    content[8:40] = bytes(byte ^ 0xFF for byte in content[8:40])
    path.write_bytes(content)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone"))


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), "it is no readable Parquet file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "it is no readable Parquet file"),
    "begin missing": (lambda path: path.write_bytes(path.read_bytes()[-900:]), "it is no readable Parquet file"),
    "text": (lambda path: path.write_text("session,symbol\n" * 50), "it is no readable Parquet file"),
    "another page": (flipped, "it is no readable Parquet file"),
    "other columns": (lambda path: pq.write_table(pa.table({"a": [1, 2]}), path), "it has no column `"),
    "a column less": (replaced(lambda rows: rows.drop_columns(["request_id"])), "it has no column `request_id`"),
    "dates as text": (
        retyped("session", lambda c: c.cast(pa.string())),
        "its column `session` is string, and date32[day] is wanted",
    ),
    "numbers as text": (
        retyped("request_id", lambda c: c.cast(pa.string())),
        "its column `request_id` is string, and int64 is wanted",
    ),
    "times without a zone": (
        retyped("collected_at", lambda c: c.cast(pa.timestamp("us"))),
        "its column `collected_at` is timestamp[us], and",
    ),
    "a folder": (folder, "it is a folder"),
    "a link to nothing": (dangling, "it is a link to a file that is not there"),
    "a link to itself": (loop, "it is no readable Parquet file"),
}


def status(data_dir: Path) -> object:
    return platform_status(Settings(data_dir=data_dir, now=NOON), probe=False)  # type: ignore[call-arg]


READS: dict[str, tuple[str, Read]] = {
    "query": (
        FILE,
        lambda lake: query(
            lake, "select sum(close), max(session), max(collected_at), max(request_id) from equity_bars"
        ),
    ),
    "read": (FILE, lambda lake: ParquetStore(lake).read(EQUITY_BARS)),
    "read some": (
        FILE,
        lambda lake: ParquetStore(lake).read(EQUITY_BARS, where=pc.field("symbol") == "AAPL", first=DAY, last=DAY),
    ),
    "repository": (FILE, lambda lake: EquityBarRepository(data_dir=lake).load_symbol_data("AAPL")),
    "upsert": (
        FILE,
        lambda lake: ParquetStore(lake).upsert(
            EQUITY_BARS, table(EQUITY_BARS, [bar(DAY, 300.0, collected_at=NOON + timedelta(2))])
        ),
    ),
    "withdraw": (
        FILE,
        lambda lake: ParquetStore(lake).withdraw(EQUITY_BARS, where=pc.field("symbol") == "AAPL", at=NOON),
    ),
    "catalog": (
        FILE,
        lambda lake: (
            write_catalog(lake),
            query(lake, "select sum(close), max(session), max(collected_at), max(request_id) from equity_bars"),
        ),
    ),
    "status": (FILE, status),
    "largest request": (FILE, largest_request),
    "revisions": (f"revisions/{FILE}", lambda lake: ParquetStore(lake).read_revisions(EQUITY_BARS)),
    "revised": (
        f"revisions/{FILE}",
        lambda lake: ParquetStore(lake).withdraw(EQUITY_BARS, where=pc.field("symbol") == "AAPL", at=NOON),
    ),
    "conditions": (
        "coverage/equity_bars/2014.parquet",
        lambda lake: symbol_conditions(lake, calendar(), NOON, ["AAPL"]),
    ),
}

FOOTER_ONLY = {"status", "largest request"}
"""Reads of footers alone: what is wrong with a page is found by those that read it."""


@pytest.mark.parametrize(
    ("damage", "read"), [(d, r) for d in DAMAGES for r in READS if d != "another page" or r not in FOOTER_ONLY]
)
def test_a_damaged_file_is_named_with_the_remedy_wherever_it_is_read(lake: Path, damage: str, read: str) -> None:
    (name, action), (harm, why) = READS[read], DAMAGES[damage]
    harm(lake / name)
    with pytest.raises(UnreadableFile) as refusal:
        action(lake)
    said = str(refusal.value)
    assert refusal.value.path == lake / name
    assert (
        said.startswith(f"{lake / name} is damaged: {why}")
        and "Put it back from a backup, or move it away" in said
        and "\n" not in said
    )


@pytest.mark.parametrize("read", ["query", "read", "repository", "status"])
def test_a_file_damaged_under_an_open_connection_is_named(lake: Path, read: str) -> None:
    name, action = READS[read]
    action(lake)
    (lake / name).write_bytes(b"PAR1")
    with pytest.raises(UnreadableFile, match=r"2014\.parquet is damaged"):
        action(lake)
    (lake / name).unlink()
    action(lake)


def test_no_bit_of_a_page_changes_what_the_store_reads(lake: Path) -> None:
    """The pages carry checksums: a value that the disk changed is damage and no price."""
    path, store = lake / FILE, ParquetStore(lake)
    whole, rows, damaged = path.read_bytes(), store.read(EQUITY_BARS), 0
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in range(4, footer, 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert store.read(EQUITY_BARS) == rows, place
        except UnreadableFile:
            damaged += 1
    assert damaged > footer / 5 / 2


def test_cleaning_up_does_not_mind_a_damaged_file(lake: Path) -> None:
    (lake / FILE).write_bytes(b"")
    (lake / FILE).with_name(".2014.parquet.999999.tmp").write_bytes(b"half")
    assert remove_temporary_files(lake) == ["equity_bars/1_day/.2014.parquet.999999.tmp"]


def test_columns_of_the_same_kind_and_missing_nullable_ones_are_no_damage(lake: Path) -> None:
    retyped("close", lambda c: c.cast(pa.float32()))(lake / FILE)
    retyped("symbol", lambda c: c.cast(pa.large_string()))(lake / FILE)
    replaced(lambda rows: rows.drop_columns(["wap"]))(lake / FILE)
    assert ParquetStore(lake).read(EQUITY_BARS)["wap"].null_count == 2
    assert query(lake, "select symbol, close, wap from equity_bars where session = '2014-06-06'").to_pylist() == [
        {"symbol": "AAPL", "close": 200.0, "wap": None}
    ]


def test_a_file_that_is_removed_while_it_is_looked_at_is_no_damaged_file(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the maintenance does it beside a query: between Arrow's look and DuckDB's."""
    (path, *_) = dataset_files(lake, EQUITY_BARS)

    def looked_at(path: Path, dataset: Dataset, *, pages: bool = False) -> int:
        rows = check_file(path, dataset, pages=pages)
        path.unlink()
        return rows

    monkeypatch.setattr(damage, "check_file", looked_at)
    damage.raise_if_unreadable([(EQUITY_BARS, path)], duckdb.IOException("IO Error: another file is gone"))
    assert not path.exists()


def test_a_wrong_query_is_no_damaged_file(lake: Path) -> None:
    with pytest.raises(Exception, match="Conversion") as wrong:
        query(lake, "select symbol::integer from equity_bars")
    assert not isinstance(wrong.value, UnreadableFile)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("what", [FILE, "equity_bars/1_day", "equity_bars"])
def test_what_may_not_be_read_is_named(lake: Path, what: str) -> None:
    """In a child of another user: root may read everything."""
    temporary = Path(tempfile.gettempdir())
    above = [place for place in lake.parents if place.is_relative_to(temporary) and place != temporary]
    for place in (*above, lake, *lake.rglob("*")):
        place.chmod(0o755)
    (lake / what).chmod(0)
    reads = {name: action for name, (_, action) in READS.items() if name in ("query", "read", "largest request")}
    [action(lake) for action in reads.values()]  # as root, and whatever is imported late
    told, telling = os.pipe()
    if not (child := os.fork()):
        os.setuid(65534)
        os.write(telling, "\n".join(refusal(lake, what, name, action) for name, action in reads.items()).encode())
        os._exit(0)
    os.close(telling)
    with open(told, encoding="utf-8") as answer:
        assert answer.read().splitlines() == [f"{name} is refused" for name in reads]
    os.waitpid(child, 0)


def refusal(lake: Path, what: str, name: str, action: Read) -> str:
    try:
        action(lake)
    except Exception as error:
        named = (
            isinstance(error, ForbiddenFile)
            and error.path == lake / what
            and "Give the user the right to read" in str(error)
        )
        return f"{name} is refused" if named else f"{name}: {error!r}"
    return f"{name} is not refused"


def test_a_linked_file_is_written_through(lake: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "bars of 2014"
    elsewhere.parent.mkdir()
    shutil.move(lake / FILE, elsewhere)
    assert query(lake, "select 1 from equity_bars").num_rows == 0
    (lake / FILE).symlink_to(elsewhere)
    store = ParquetStore(lake)
    (elsewhere.parent / ".bars of 2014.999999.tmp").write_bytes(b"half")
    assert remove_temporary_files(store.data_dir) == [(elsewhere.parent / ".bars of 2014.999999.tmp").as_posix()]
    before = elsewhere.stat().st_ino
    assert store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 10))])).inserted == 1
    assert (lake / FILE).is_symlink() and elsewhere.stat().st_ino != before, "replaced in one step, in its own folder"
    assert pq.ParquetFile(elsewhere).metadata.num_rows == 3 and query(lake, "select 1 from equity_bars").num_rows == 3
    assert [path.name for path in elsewhere.parent.iterdir()] == [elsewhere.name]
    assert store.withdraw(EQUITY_BARS, where=pc.field("symbol") == "AAPL", at=NOON) == 3
    assert (lake / FILE).is_symlink() and query(lake, "select 1 from equity_bars").num_rows == 0
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY)]))
    assert (lake / FILE).is_symlink() and pq.ParquetFile(elsewhere).metadata.num_rows == 1


@pytest.mark.parametrize("folder", ["equity_bars", "equity_bars/1_day"])
@pytest.mark.parametrize("opened", [False, True])
def test_a_linked_folder_is_written_through(lake: Path, tmp_path: Path, folder: str, opened: bool) -> None:
    """Also when the link was made while this process had the lake open."""
    if opened:
        assert query(lake, "select 1 from equity_bars").num_rows == 2
    shutil.move(lake / folder, tmp_path / "bars")
    (lake / folder).symlink_to(tmp_path / "bars")
    ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 10))]))
    assert (lake / folder).is_symlink() and query(lake, "select 1 from equity_bars").num_rows == 3
