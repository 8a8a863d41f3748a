"""Live data that is not merged yet is looked after as the rest of the lake: backed up, examined, restored."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.backup import backup, restore
from trading_assets.backup.sources import Kind, files
from trading_assets.cli.app import run
from trading_assets.doctor import mend
from trading_assets.doctor.files import find_file_faults
from trading_assets.jobs import archive_old_data
from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories import pieces as reading
from trading_assets.repositories.live.merging import merge_session, merged_parts
from trading_assets.repositories.live.places import parts, segments
from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.streaming.store import LiveWriter
from trading_assets_tests.streaming.live_rows import SESSION, at, quote


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a lake with a merged, a sealed and an open segment of a recorder that died."""
    folder = tmp_path / "lake"
    settings = Settings(data_dir=folder)  # type: ignore[call-arg]
    LakeIdentity(folder).pin("simulated/generated/42")
    connect_state(settings.state_url).dispose()
    writer = LiveWriter(tmp_path / "first", clock=at(0))
    for n in range(4):
        writer.append([quote(n, 1000 + n % 2)])
        writer.flush()
        if n in (0, 2):
            writer.seal()
        if n == 1:
            merge_session(tmp_path / "first", LIVE_QUOTES, SESSION)
    shutil.copytree(tmp_path / "first" / "live_segments", folder / "live_segments")
    shutil.copytree(tmp_path / "first" / "live_quotes", folder / "live_quotes")
    writer.close()
    assert len(parts(folder, LIVE_QUOTES)) == len(segments(folder, LIVE_QUOTES)) == 1
    return settings


def seqs(folder: Path) -> list[int]:
    found: list[int] = sorted(live_table(folder, LIVE_QUOTES, SESSION)["seq"].to_pylist())
    return found


def test_a_backup_has_what_is_not_merged(settings: Settings, tmp_path: Path) -> None:
    kinds = files(settings.data_dir, settings.data_dir / "state.db")
    assert sum(kind is Kind.LIVE for kind in kinds.values()) == 3, "a part, a segment, the checkpoint"
    assert max(Kind.LIVE, Kind.ROWS) is Kind.ROWS, "before the file that it may be merged into meanwhile"
    backup(tmp_path / "kept", settings)
    there = settings.model_copy(update={"data_dir_setting": tmp_path / "restored"})
    restore(tmp_path / "kept", there)
    assert seqs(there.data_dir) == seqs(settings.data_dir) == [0, 1, 2, 3]
    again = LiveWriter(there.data_dir, clock=at(100))
    assert again.recovered.died and again.next_seq == 4
    again.close()
    assert seqs(there.data_dir) == [0, 1, 2, 3]


def test_a_damaged_part_is_found_and_put_back_or_set_aside(settings: Settings, tmp_path: Path) -> None:
    assert find_file_faults(settings) == []
    (part,) = parts(settings.data_dir, LIVE_QUOTES)
    content = part.part.read_bytes()
    part.part.write_bytes(content[:-20])
    (found,) = find_file_faults(settings)
    assert found.kind == "damaged_file" and "some minutes of session 2015-12-24" in found.lost
    assert found.mend is not None and "Set aside" in found.mend()
    assert find_file_faults(settings) == [] and seqs(settings.data_dir) == [0, 3]


def test_a_file_that_is_rewritten_still_names_its_parts(settings: Settings) -> None:
    file = settings.data_dir / "live_quotes" / f"{SESSION}.parquet"
    before = merged_parts(file)
    assert ParquetStore(settings.data_dir).relabel(LIVE_QUOTES, "SPX", "SPX@1") == 1
    assert merged_parts(file) == before and len(before) == 1


def test_a_large_file_is_read_in_pieces(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    merge_session(settings.data_dir, LIVE_QUOTES, SESSION)
    file = settings.data_dir / "live_quotes" / f"{SESSION}.parquet"
    (whole,) = reading.read_pieces(file, LIVE_QUOTES)
    monkeypatch.setattr(reading, "PIECE_GROUPS", 1)
    monkeypatch.setattr("trading_assets.repositories.files.ROW_GROUP_ROWS", 2)
    ParquetStore(settings.data_dir).relabel(LIVE_QUOTES, "SPX", "XSP")
    pieces = list(reading.read_pieces(file, LIVE_QUOTES))
    assert [piece.num_rows for piece in pieces] == [2, 1] and whole.num_rows == 3


def test_the_doctor_records_merged_sessions_that_a_lost_history_does_not_show(settings: Settings) -> None:
    merge_session(settings.data_dir, LIVE_QUOTES, SESSION)
    assert mend(settings).left == []
    with dagster_instance(settings) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("live_quotes")) == {f"{SESSION}"}
        (record,) = instance.fetch_materializations(dg.AssetKey("live_quotes"), limit=5).records
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["dagster/partition_row_count"].value == 3


def test_merged_sessions_are_archived(settings: Settings, tmp_path: Path) -> None:
    merge_session(settings.data_dir, LIVE_QUOTES, SESSION)
    report = archive_old_data(12, tmp_path / "packages", settings=settings)
    assert report.created is not None
    assert list(report.created.periods) == ["live_quotes/2015-12-24.parquet"]


def test_the_command_shows_what_is_not_merged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(settings.data_dir))
    sql = "select count(*) as n from live_quotes"
    assert run(["query", "--live", sql, "--json"]) == run(["query", sql, "--json"]) == 0
    assert capsys.readouterr().out.split() == ["[", "{", '"n":', "4", "}", "]", "[", "{", '"n":', "1", "}", "]"]
    assert run(["query", "--live", "--as-of", "first", sql]) == 2
