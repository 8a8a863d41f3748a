"""Which machines write into a data folder, and which tools copy it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.machines import WRITERS, note_writer, synchronised_by, writing_in_turn
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets_tests.repositories.frames import bar, table

MORNING = datetime(2024, 6, 5, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wrote(lake: Path, *machines: str, every: timedelta = HOUR) -> datetime:
    """Machines that write one after the other; the instant of the last."""
    for number, machine in enumerate(machines):
        note_writer(lake, f"boot-{machine}", machine, MORNING + number * every)
    return MORNING + (len(machines) - 1) * every


def test_two_machines_that_write_in_turn_are_found(tmp_path: Path) -> None:
    last = wrote(tmp_path, "desk", "laptop", "desk")
    found = writing_in_turn(tmp_path, last)
    assert found is not None and (found[0].host, found[1], found[0].in_turn_at) == ("desk", "laptop", last)
    note_writer(tmp_path, "boot-desk", "desk", last + HOUR)
    assert writing_in_turn(tmp_path, last + 6 * timedelta(days=1)) is not None, "a later write does not hide it"
    assert writing_in_turn(tmp_path, last + timedelta(days=8)) is None


@pytest.mark.parametrize(
    ("machines", "every"),
    [
        (("desk", "desk", "desk"), HOUR),
        (("desk", "desk", "laptop", "laptop"), HOUR),  # the lake was moved
        (("desk", "laptop", "desk"), timedelta(days=15)),  # and moved back
    ],
)
def test_one_machine_after_the_other_is_no_fault(tmp_path: Path, machines: tuple[str, ...], every: timedelta) -> None:
    assert writing_in_turn(tmp_path, wrote(tmp_path, *machines, every=every)) is None


def test_records_of_machines_that_write_no_more_are_removed(tmp_path: Path) -> None:
    wrote(tmp_path, "desk", "laptop", every=timedelta(days=31))
    assert [path.name for path in (tmp_path / WRITERS).iterdir()] == ["boot-laptop.json"]


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    last = wrote(tmp_path, "desk")
    (tmp_path / WRITERS / "boot-laptop.json").write_text('{"host": "lap')
    note_writer(tmp_path, "boot-desk", "desk", last + HOUR)
    assert writing_in_turn(tmp_path, last + HOUR) is None


def test_a_write_of_the_store_leaves_a_record(tmp_path: Path) -> None:
    for close in (100.0, 101.0):
        ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 24), close)]))
    assert len(list((tmp_path / WRITERS).iterdir())) == 1


@pytest.mark.parametrize(
    ("folder", "marker", "tool"),
    [
        ("share/lake", "share/.stfolder", "Syncthing"),
        ("share/lake", "share/lake/.dropbox", "Dropbox"),
        ("Dropbox/lake", "", "Dropbox"),
        ("Dropbox (Personal)/lake", "", "Dropbox"),
        ("OneDrive - Firm/lake", "", "OneDrive"),
        ("Google Drive/lake", "", "Google Drive"),
        ("GoogleDrive-me@example.com/lake", "", "GoogleDrive"),
        ("com~apple~CloudDocs/lake", "", "iCloud Drive"),
        ("my Dropboxes/lake", "", ""),
        ("share/lake", "", ""),
    ],
)
def test_a_tool_shows_by_what_it_leaves_and_by_its_folder(tmp_path: Path, folder: str, marker: str, tool: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    if marker:
        (tmp_path / marker).mkdir()
    assert synchronised_by(tmp_path / folder) == tool
