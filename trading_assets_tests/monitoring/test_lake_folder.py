"""What is wrong with the data folder itself, as status, doctor and alerts say it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading_assets.cli.app import run
from trading_assets.doctor.data_folder import find_folder_faults
from trading_assets.monitoring.lake_folder import folder_state
from trading_assets.monitoring.status import platform_status
from trading_assets.monitoring.watch import folder
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.catalog import write_catalog
from trading_assets.repositories.files import replacing
from trading_assets.repositories.machines import note_writer
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.repositories.frames import bar, table

BARS = "equity_bars/1_day/2015.parquet"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(**{"data_dir": tmp_path / "lake", "now": "2015-12-24T23:00Z"})
    ParquetStore(found.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 24))]))
    return found


def copied(root: Path) -> None:
    shutil.copy(root / BARS, root / "equity_bars/1_day/2015 (1).parquet")


def of_a_newer_program(root: Path) -> None:
    rows = pq.read_table(root / BARS, partitioning=None)
    with replacing(root / BARS) as beside:
        pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, b"schema_version": b"9"}), beside)


def written_by_two(root: Path) -> None:
    now = system_clock().astimezone(UTC) + timedelta(hours=1)  # later than the record of this machine
    for hours, machine in enumerate(("desk", "laptop", "desk")):
        note_writer(root, f"boot-{machine}", machine, now + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (copied, "equity_bars/1_day/2015 (1).parquet is no file of the lake and is not read"),
        (of_a_newer_program, f"{BARS} was written by a newer version of the program"),
        (written_by_two, "after laptop had"),
    ],
)
def test_status_and_alert_say_the_same(settings: Settings, change: Callable[[Path], None], said: str) -> None:
    assert folder_state(settings).wrong == folder(settings) == []
    change(settings.data_dir)
    (sentence,) = folder_state(settings).wrong
    assert said in sentence
    found = platform_status(settings, probe=False)
    assert found.wrong[0] == sentence and found.folder["synchronised_by"] == ""
    (issue,) = folder(settings)
    assert (issue.alert_type, issue.reason) == ("data_integrity_failure", sentence)


def test_machines_with_a_database_on_a_server_may_both_write(settings: Settings) -> None:
    written_by_two(settings.data_dir)
    (finding,) = find_folder_faults(settings)
    assert finding.kind == "second_machine" and finding.mend is None and "desk wrote on" in finding.remedy
    shared = settings.model_copy(update={"database_url": "postgresql+psycopg2://desk@server/archive"})
    assert find_folder_faults(shared) == [] and folder_state(shared).wrong == []


def test_a_synchronised_folder_is_a_note_and_nothing_wrong(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.data_dir / ".stfolder").mkdir()
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("TRADING_ASSETS_NOW", "2015-12-24T23:00Z")
    assert run(["status", "--no-probe"]) == 0
    assert "note Syncthing synchronises the data folder" in capsys.readouterr().out


def test_the_doctor_writes_a_catalog_of_another_place_again(settings: Settings, tmp_path: Path) -> None:
    assert find_folder_faults(settings) == []
    write_catalog(settings.data_dir)
    assert find_folder_faults(settings) == []
    moved = Settings(**{"data_dir": tmp_path / "moved", "now": "2015-12-24T23:00Z"})
    settings.data_dir.rename(moved.data_dir)
    (finding,) = find_folder_faults(moved)
    assert finding.kind == "outdated_catalog" and finding.mend is not None
    assert finding.mend() == "Written: lake.duckdb." and find_folder_faults(moved) == []
    (moved.data_dir / "lake.duckdb").write_bytes(b"half")
    assert [each.kind for each in find_folder_faults(moved)] == ["outdated_catalog"]
