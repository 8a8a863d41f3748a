"""Files with other columns than the program's: newer ones are not rewritten, unknown columns stay in every rewrite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from trading_assets.doctor.files import find_file_faults
from trading_assets.errors import LayoutMismatch, NewerFile, UnreadableFile
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.dataset_sql import view_sql
from trading_assets.repositories.file_schemas import widened
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.repartition import repartition
from trading_assets.repositories.schemas import (
    DATASETS,
    EQUITY_BARS,
    OPTION_BARS,
    SCHEMA_VERSION,
    Dataset,
    Period,
)
from trading_assets.settings import Settings
from trading_assets_tests.lakes import COLUMNS_2, PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.repositories.frames import NOON, bar, option_bar, table

FIRST, SECOND = date(2015, 12, 23), date(2015, 12, 24)
LATER = NOON + timedelta(days=1)

STORED = {1: PLAIN, 2: COLUMNS_2}
"""A lake as a program of each version of the columns wrote it."""


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    found = ParquetStore(tmp_path / "lake")
    found.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(FIRST, 100.0), bar(SECOND, 101.0)]))
    return found


def path_of(store: ParquetStore, name: str = "equity_bars/1_day/2015.parquet") -> Path:
    return store.data_dir / name


def of_version(path: Path, version: bytes) -> bytes:
    """Give a file another version and one more column, as a newer program would; its content."""
    rows = pq.read_table(path, partitioning=None).append_column("settlement", pa.array([1.5, 2.5]))
    pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, b"schema_version": version}), path)
    return path.read_bytes()


def add_rows(store: ParquetStore) -> None:
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 28))]))


def correct(store: ParquetStore) -> None:
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(SECOND, 99.0, collected_at=LATER)]))


def withdraw(store: ParquetStore) -> None:
    store.withdraw(EQUITY_BARS, where=pads.field("session") == pa.scalar(SECOND), at=LATER)


def relabel(store: ParquetStore) -> None:
    store.relabel(EQUITY_BARS, "AAPL", "AAPL@265598")


def change_periods(store: ParquetStore) -> None:
    repartition(store.data_dir, EQUITY_BARS, Period.MONTH)


WRITERS: list[Callable[[ParquetStore], None]] = [add_rows, correct, withdraw, relabel, change_periods]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("version", [str(SCHEMA_VERSION + 1).encode(), b"2026.1"])
def test_a_newer_file_is_read_and_no_writer_changes_it(
    store: ParquetStore, write: Callable[[ParquetStore], None], version: bytes
) -> None:
    before = of_version(path_of(store), version)
    with pytest.raises(NewerFile, match="was not rewritten, so that it loses nothing") as caught:
        write(store)
    assert str(path_of(store)) in str(caught.value) and "Use a newer version of the program" in str(caught.value)
    assert f"version {version.decode()}" in str(caught.value)
    assert path_of(store).read_bytes() == before
    assert [path.name for path in store.data_dir.rglob("*.parquet")] == ["2015.parquet"], "no revision of it either"
    assert store.read(EQUITY_BARS)["close"].to_pylist() == [100.0, 101.0]
    assert query(store.data_dir, "select sum(close) as s from equity_bars")["s"].to_pylist() == [201.0]


@pytest.mark.parametrize("write", WRITERS)
def test_columns_of_somebody_else_stay_with_their_rows(
    store: ParquetStore, write: Callable[[ParquetStore], None]
) -> None:
    of_version(path_of(store), str(SCHEMA_VERSION).encode())
    write(store)
    kinds = (EQUITY_BARS, revisions_of(EQUITY_BARS))
    files = [pq.read_table(path, partitioning=None) for kind in kinds for path in dataset_files(store.data_dir, kind)]
    kept = {
        (row["session"], row["close"]): row["settlement"]
        for each in files
        for row in each.select(["session", "close", "settlement"]).to_pylist()
    }
    assert kept[FIRST, 100.0] == 1.5 and kept[SECOND, 101.0] == 2.5
    assert all(value is None for key, value in kept.items() if key not in {(FIRST, 100.0), (SECOND, 101.0)})
    assert store.read(EQUITY_BARS).schema.equals(EQUITY_BARS.schema), "the program itself does not see them"


def test_a_column_of_somebody_else_makes_no_row_another(store: ParquetStore) -> None:
    of_version(path_of(store), str(SCHEMA_VERSION).encode())
    before = path_of(store).read_bytes()
    counts = store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(FIRST, 100.0, collected_at=LATER)]))
    assert (counts.unchanged, counts.files) == (1, []) and path_of(store).read_bytes() == before


@pytest.mark.parametrize(
    "values",
    [
        pa.nulls(2),
        pa.array(["a", None]).dictionary_encode(),
        pa.array([[1], [2, 3]]),
        pa.array([{"a": 1}, None]),
        pa.array([True, None]),
    ],
    ids=lambda values: str(values.type),
)
def test_unknown_columns_of_every_type_stay(store: ParquetStore, values: pa.Array) -> None:
    path = path_of(store)
    pq.write_table(pq.read_table(path, partitioning=None).append_column("note", values), path)
    add_rows(store)
    correct(store)
    repartition(store.data_dir, EQUITY_BARS, Period.DAY)
    kept = pq.read_table(path_of(store, "equity_bars/1_day/2015-12-23.parquet"), partitioning=None)
    assert kept["note"].to_pylist() == values[:1].to_pylist()


def test_unknown_columns_of_two_types_are_not_mixed(store: ParquetStore) -> None:
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6)), bar(date(2014, 6, 9))]))
    for name, values in {"2014": pa.array([1, 2]), "2015": pa.array(["a", "b"])}.items():
        path = path_of(store, f"equity_bars/1_day/{name}.parquet")
        pq.write_table(pq.read_table(path, partitioning=None).append_column("note", values), path)
    with pytest.raises(LayoutMismatch, match="column `note` as string, and another file of equity_bars as int64"):
        widened(EQUITY_BARS, dataset_files(store.data_dir, EQUITY_BARS))


def test_the_doctor_keeps_them_too(tmp_path: Path) -> None:
    settings = Settings(**{"data_dir": copy_of(PLAIN, tmp_path / "lake"), "now": PLAIN_NOW})
    query(settings.data_dir, "select 1")  # brings the layout
    (path, *_) = dataset_files(settings.data_dir, DATASETS["contracts"])
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("note", pa.array(["mine"] * rows.num_rows)), path)
    (finding,) = (each for each in find_file_faults(settings) if each.subject == f"contracts/{path.name}")
    assert finding.kind == "older_columns" and finding.mend is not None
    finding.mend()
    written = pq.read_table(path)
    assert set(written["note"].to_pylist()) == {"mine"} and "sec_ids" in written.column_names


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop_columns(["con_id"]), "it has no column `con_id` and holds no equity_bars"),
        (
            lambda rows: rows.set_column(0, "session", rows["session"].cast(pa.string())),
            r"its column `session` is string, and date32\[day\] is wanted",
        ),
    ],
)
@pytest.mark.parametrize("read", ["store", "view", "write"])
def test_a_missing_or_wrong_column_is_named_with_its_file(
    store: ParquetStore, change: Callable[[pa.Table], pa.Table], said: str, read: str
) -> None:
    path = path_of(store)
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)
    before = path.read_bytes()
    readers = {
        "store": lambda: store.read(EQUITY_BARS),
        "view": lambda: query(store.data_dir, "select * from equity_bars"),
        "write": lambda: add_rows(store),
    }
    with pytest.raises(UnreadableFile, match=f"equity_bars/1_day/2015.parquet is damaged: {said}. Put it back"):
        readers[read]()
    assert path.read_bytes() == before


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_instants_of_another_resolution_are_the_same_instants(store: ParquetStore, unit: str) -> None:
    before = store.read(EQUITY_BARS)
    other = pa.schema([f.with_type(pa.timestamp(unit, "UTC")) if f.name == "start" else f for f in before.schema])
    path = path_of(store)
    pq.write_table(pq.read_table(path, partitioning=None).cast(other), path)
    assert store.read(EQUITY_BARS).equals(before)
    beside = "select session, coalesce(start, collected_at) as at from equity_bars order by session"
    assert query(store.data_dir, beside)["at"].to_pylist() == before["start"].to_pylist()
    plain = duckdb.connect()
    plain.execute(view_sql(store.data_dir, EQUITY_BARS))
    plain.execute("set timezone = 'UTC'")
    assert plain.sql(beside).to_arrow_table()["at"].to_pylist() == before["start"].to_pylist()


def test_there_is_a_stored_lake_of_each_version() -> None:
    assert set(STORED) == set(range(1, SCHEMA_VERSION + 1)), "store a small lake before the version is raised"


@pytest.mark.parametrize("version", STORED)
def test_a_lake_of_each_version_is_read_and_written_in_the_present_one(tmp_path: Path, version: int) -> None:
    store = ParquetStore(copy_of(STORED[version], tmp_path / "lake"))
    stored = {path.name: pq.read_metadata(path).num_rows for path in store.data_dir.rglob("*.parquet")}
    assert sum(stored.values()) > 0
    for dataset in DATASETS.values():
        before = store.read(dataset)
        assert before.schema.equals(dataset.schema)
        assert query(store.data_dir, f"select count(*) as n from {dataset.name}")["n"].to_pylist() == [before.num_rows]
    for dataset, row in ((EQUITY_BARS, bar(SECOND)), (OPTION_BARS, option_bar(SECOND))):
        _rewritten(store, dataset, row)


def _rewritten(store: ParquetStore, dataset: Dataset, row: dict[str, object]) -> None:
    """Every file of the dataset is rewritten for one more row in its period, and keeps all rows it had."""
    before = store.read(dataset)
    for path in store.files(dataset):
        day = pq.read_table(path, partitioning=None)["session"][0].as_py()
        extra = {**row, "session": day, "symbol": "ZZZZ", "con_id": 7, "bar_size": "1 day"}
        store.upsert(dataset, table(dataset, [{**extra, "start": bar(day)["start"]}]))
    for path in store.files(dataset, variants=["1 day"]):
        assert pq.read_schema(path).metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert store.read(dataset, where=pads.field("symbol") != "ZZZZ").equals(before)


@pytest.mark.parametrize("version", STORED)
def test_the_doctor_brings_each_file_of_each_version_to_the_present_columns(tmp_path: Path, version: int) -> None:
    settings = Settings(**{"data_dir": copy_of(STORED[version], tmp_path / "lake"), "now": PLAIN_NOW})
    query(settings.data_dir, "select 1")  # brings the layout
    kinds = [kind for each in DATASETS.values() for kind in (each, revisions_of(each))]
    before = {
        path: pq.read_table(path, partitioning=None)
        for kind in kinds
        for path in dataset_files(settings.data_dir, kind)
    }
    assert len(before) > 0
    for finding in find_file_faults(settings):
        assert finding.kind == "older_columns" and finding.mend is not None
        finding.mend()
    assert find_file_faults(settings) == []
    for kind in kinds:
        for path in dataset_files(settings.data_dir, kind):
            after = pq.read_table(path, partitioning=None)
            assert set(kind.schema.names) <= set(after.column_names)
            assert after.select(before[path].column_names).to_pylist() == before[path].to_pylist()
