"""Files of the lake that are damaged, foreign, temporary or of an older version."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from trading_assets.doctor import examine, mend
from trading_assets.doctor.files import find_file_faults
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.files import locked, write_file
from trading_assets.repositories.merge import contiguous
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets_tests.doctor.test_doctor import BARS, everything, kinds
from trading_assets_tests.endurance.lakes import contents, difference
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.repositories.frames import bar, table


def test_a_temporary_file_without_a_writer_is_removed_and_one_that_is_written_is_not(settings: Settings) -> None:
    left = settings.data_dir / "equity_bars/1_day/.2024.parquet.99999.tmp"
    left.write_bytes(b"half")
    with locked(settings.data_dir, BARS):
        assert examine(settings) == []
    (finding,) = examine(settings)
    assert (finding.kind, finding.subject) == ("temporary_file", left.relative_to(settings.data_dir).as_posix())
    assert left.exists(), "looking removes nothing"
    report = mend(settings)
    assert report.left == [] and report.findings[0].done == "Removed."
    assert not left.exists()


def damage_one_group(path: Path) -> int:
    """Change a byte in a page of the first row group; the rows of the others."""
    with pq.ParquetFile(path) as file:
        assert file.num_row_groups > 1
        column = file.metadata.row_group(0).column(file.schema_arrow.names.index("close"))
        place = column.data_page_offset + column.total_compressed_size // 2
        rest = file.metadata.num_rows - file.metadata.row_group(0).num_rows
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    return int(rest)


def test_row_groups_of_a_damaged_file_that_are_whole_are_kept(settings: Settings) -> None:
    sessions = [date(2014, 1, 2), date(2014, 1, 3), date(2014, 1, 6), date(2014, 1, 7)]
    rows = [bar(day, 100.0 + n, symbol=f"S{n:05d}") for n in range(8_000) for day in sessions]
    ParquetStore(settings.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, rows))
    path = settings.data_dir / "equity_bars/1_day/2014.parquet"
    before = ParquetStore(settings.data_dir).read(EQUITY_BARS, first=sessions[0], last=sessions[-1])
    rest = damage_one_group(path)
    damaged = path.read_bytes()
    finding = find_file_faults(settings)[0]
    assert finding.kind == "damaged_file" and f"{rest:,} rows can" in finding.lost
    assert finding.mend is not None
    finding.mend()
    kept = ParquetStore(settings.data_dir).read(EQUITY_BARS, first=sessions[0], last=sessions[-1])
    assert kept.equals(before.slice(before.num_rows - rest))
    assert (settings.data_dir / "set_aside/equity_bars/1_day/2014.parquet").read_bytes() == damaged
    assert find_file_faults(settings) == []


def test_rows_of_a_foreign_file_whose_requests_nobody_knows_are_not_merged(settings: Settings) -> None:
    """It may be another lake's: its rows are kept beside, and nothing of them is stored."""
    before = contents(settings.data_dir)
    other = table(EQUITY_BARS, [{**bar(date(2015, 12, 24), 100.0, symbol="IBM"), "request_id": 999_999}])
    name = "equity_bars/1_day/2015 (1).parquet"
    write_file(settings.data_dir / name, EQUITY_BARS, contiguous(other), np.arange(1))
    report = mend(settings)
    (finding,) = [found for found in report.findings if found.kind == "foreign_name"]
    assert "1 row in it are in no other file" in finding.lost and "not merged" in finding.remedy
    assert (settings.data_dir / "set_aside" / name).is_file()
    assert difference(settings.data_dir, before) == []


def test_a_second_file_of_the_same_name_is_set_aside_beside_the_first(settings: Settings) -> None:
    for _ in range(2):
        (settings.data_dir / "equity_bars/1_day/notes.parquet").write_bytes(b"no parquet")
        assert mend(settings).left == []
    names = sorted(path.name for path in (settings.data_dir / "set_aside/equity_bars/1_day").iterdir())
    assert names == ["notes.parquet", "notes.parquet.2"]


def test_a_file_of_an_older_version_is_written_in_the_present_one(settings: Settings) -> None:
    (path,) = (settings.data_dir / "contracts").glob("*.parquet")
    before = ParquetStore(settings.data_dir).read(CONTRACTS)
    older = pq.read_table(path).drop_columns(["sec_ids"])
    pq.write_table(older, path)
    (finding,) = examine(settings)
    assert finding.kind == "older_columns" and "lacks sec_ids" in finding.lost
    assert mend(settings).left == []
    after = ParquetStore(settings.data_dir).read(CONTRACTS)
    assert after.drop_columns(["sec_ids"]).equals(before.drop_columns(["sec_ids"]))
    assert "sec_ids" in pq.read_schema(path).names


def test_a_file_of_a_newer_version_is_left_alone(settings: Settings) -> None:
    path = settings.data_dir / BARS
    rows = pq.read_table(path)
    pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, b"schema_version": b"99"}), path)
    before = path.read_bytes()
    report = mend(settings)
    assert "newer_columns" in kinds(report.left) and "Use a newer version of the program" in report.left[0].remedy
    assert path.read_bytes() == before


def test_a_lake_of_an_older_layout_is_looked_at_as_it_is_and_brought_to_the_present_one(tmp_path: Path) -> None:
    settings = Settings(**{"data_dir": copy_of(PLAIN, tmp_path / "lake"), "now": PLAIN_NOW})
    before, rows = everything(settings.data_dir), _rows(settings.data_dir)
    found = kinds(examine(settings))
    assert {"older_layout", "older_columns", "older_state"} <= set(found)
    assert everything(settings.data_dir) == before
    assert mend(settings).left == []
    assert _rows(settings.data_dir) == rows
    assert not list(settings.data_dir.glob("equity_bars/bar_size=*"))


def _rows(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))
