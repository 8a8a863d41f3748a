"""Who may read what is written: nobody else, but for the data of a folder that somebody shares on purpose."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets_tests.repositories.frames import bar, table


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """New files are readable by all unless something is done about it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def open_to_others(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def fill(folder: Path) -> None:
    """A row, a state database and a Dagster instance, made by a program of the user's."""
    ParquetStore(folder).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
    connect_state(Settings(data_dir=folder).state_url)  # type: ignore[call-arg]
    with dagster_instance(Settings(data_dir=folder)):  # type: ignore[call-arg]
        pass


@pytest.mark.slow
def test_a_new_data_folder_and_all_that_a_command_writes_is_the_owners(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "lake"
    environment = {**os.environ, "TRADING_ASSETS_DATA_DIR": str(folder), "TRADING_ASSETS_NOW": "2024-06-03T16:30-04:00"}
    command = [
        sys.executable,
        "-m",
        "trading_assets.cli",
        "setup",
        "AAPL",
        "--lookback-days",
        "1",
        "--strikes",
        "1",
        "--max-days-to-expiry",
        "5",
    ]
    subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=300, check=True)
    assert open_to_others(folder) == []
    assert {path.name for path in folder.iterdir()} >= {
        "state.db",
        "lake.json",
        "dagster",
        "equity_bars",
        "option_bars",
    }
    assert any(folder.glob("dagster/**/*.db"))


def test_a_new_data_folder_of_a_program_is_the_owners(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    fill(folder)
    assert mode(folder) == "0o700"
    assert mode(folder / "dagster") == "0o700", "what Dagster makes in it has the modes that Dagster gives it"
    files = [name for name in open_to_others(folder) if (folder / name).is_file()]
    assert [name for name in files if not name.startswith("dagster/")] == []


def test_an_empty_folder_that_everybody_may_read_was_not_shared_on_purpose(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ".gitkeep").touch()
    assert mode(folder) == "0o755"
    fill(folder)
    assert mode(folder) == "0o700"
    folder.chmod(0o755)
    fill(folder)
    assert mode(folder) == "0o755", "now it is a decision"


def test_a_shared_folder_stays_shared_and_its_state_is_the_owners(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    folder.mkdir()
    folder.chmod(0o750)
    fill(folder)
    (stored,) = (folder / "equity_bars").rglob("*.parquet")
    assert [mode(path) for path in (folder, folder / "equity_bars", stored.parent, stored)] == [
        "0o750",
        "0o750",
        "0o750",
        "0o640",
    ]
    assert [mode(folder / name) for name in ("state.db", "dagster", ".locks")] == ["0o600", "0o700", "0o700"]
    assert mode(folder / "dagster" / "dagster.yaml") == "0o600"


def test_what_an_earlier_version_left_readable_is_changed(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    (folder / "dagster").mkdir(parents=True)
    with sqlite3.connect(folder / "state.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("create table mine (a)")
        names = ["state.db", "state.db-wal", "state.db-shm"]
        assert [mode(folder / name) for name in names] == ["0o644"] * 3
        fill(folder)
        assert [mode(folder / name) for name in names] == ["0o600"] * 3
        assert (mode(folder), mode(folder / "dagster")) == ("0o755", "0o700")
    connection.close()
