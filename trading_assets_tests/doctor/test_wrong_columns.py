"""Files of the lake with columns of another type or without values: named, and converted where nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading_assets.doctor.files import find_file_faults
from trading_assets.errors import UnreadableFile
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS, SCHEMA_VERSION
from trading_assets.settings import Settings
from trading_assets_tests.repositories.frames import bar, table

DAYS = (date(2015, 12, 23), date(2015, 12, 24))
NAME = "equity_bars/1_day/2015.parquet"

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(**{"data_dir": tmp_path / "lake", "now": "2015-12-24T23:00Z"})
    ParquetStore(found.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, 100.0) for day in DAYS]))
    return found


def rewritten(settings: Settings, change: Change) -> Path:
    path = settings.data_dir / NAME
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)
    return path


def typed(name: str, kind: pa.DataType) -> Change:
    return lambda rows: rows.set_column(rows.column_names.index(name), name, rows[name].cast(kind))


def lacking(name: str, count: int) -> Change:
    def change(rows: pa.Table) -> pa.Table:
        values = [None] * count + rows[name].to_pylist()[count:]
        return rows.set_column(rows.column_names.index(name), name, pa.array(values, rows.schema.field(name).type))

    return change


@pytest.mark.parametrize(
    "change",
    [
        typed("session", pa.string()),
        typed("session", pa.timestamp("us")),
        typed("start", pa.string()),
        typed("close", pa.decimal128(18, 4)),
        typed("close", pa.string()),
        typed("con_id", pa.float64()),
        typed("symbol", pa.binary()),
        lambda rows: rows.add_column(0, "Close", pa.array([1.0, 2.0])),
    ],
)
def test_what_can_be_converted_is_written_with_the_right_columns(settings: Settings, change: Change) -> None:
    store = ParquetStore(settings.data_dir)
    before = store.read(EQUITY_BARS)
    path = rewritten(settings, lambda rows: change(rows.append_column("note", pa.array(["mine", None]))))
    content = path.read_bytes()
    with pytest.raises(UnreadableFile, match=r"2015\.parquet is damaged: its column `\w+` .*doctor.* converts"):
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 28))]))
    (finding,) = find_file_faults(settings)
    assert finding.kind == "wrong_columns" and finding.lost.startswith("Nothing. ") and finding.mend is not None
    finding.mend()
    assert store.read(EQUITY_BARS).equals(before)
    assert pq.read_table(path, partitioning=None)["note"].to_pylist() == ["mine", None]
    assert (settings.data_dir / "set_aside" / NAME).read_bytes() == content and find_file_faults(settings) == []


@pytest.mark.parametrize(
    "change",
    [
        typed("start", pa.timestamp("us")),
        typed("start", pa.int64()),
        lambda rows: rows.set_column(0, "session", rows["start"].cast(pa.timestamp("us"))),
        lambda rows: rows.drop_columns(["con_id"]),
        lambda rows: rows.append_column("symbol", rows["symbol"]),
        lacking("con_id", 2),
    ],
)
def test_what_would_have_to_be_guessed_is_set_aside(settings: Settings, change: Change) -> None:
    rewritten(settings, change)
    (finding,) = find_file_faults(settings)
    assert finding.kind == "damaged_file" and "column `" in finding.lost.partition("as it is: it")[2]
    assert finding.mend is not None and finding.mend() == f"Set aside: set_aside/{NAME}."


def test_rows_without_a_value_that_each_row_needs_are_named_and_the_others_stay(settings: Settings) -> None:
    rewritten(settings, lacking("symbol", 1))
    said = r"2015\.parquet is damaged: its column `symbol` has no value in 1 row"
    with pytest.raises(UnreadableFile, match=said):
        ParquetStore(settings.data_dir).read(EQUITY_BARS)
    (finding,) = find_file_faults(settings, pages=False)
    assert finding.lost.startswith("1 row without a value that each row needs.") and finding.mend is not None
    assert finding.mend().startswith("1 row written with the right columns")
    assert ParquetStore(settings.data_dir).read(EQUITY_BARS)["session"].to_pylist() == [DAYS[1]]


def test_a_newer_file_that_cannot_be_read_is_left_to_the_newer_program(settings: Settings) -> None:
    version = {b"schema_version": str(SCHEMA_VERSION + 1).encode()}
    path = rewritten(settings, lambda rows: rows.drop_columns(["con_id"]).replace_schema_metadata(version))
    with pytest.raises(UnreadableFile, match=r"was written by a newer version of the program: .* `con_id`.* Use that"):
        ParquetStore(settings.data_dir).read(EQUITY_BARS)
    (finding,) = find_file_faults(settings)
    assert (finding.kind, finding.mend) == ("newer_columns", None) and path.exists()
