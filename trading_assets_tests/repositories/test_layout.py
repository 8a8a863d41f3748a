"""Lakes of the older layout: any tool reads them after their first opening, which may be killed at any instant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from trading_assets.errors import LayoutMismatch
from trading_assets.repositories import LakeIdentity, ParquetStore, query, write_catalog
from trading_assets.repositories.catalog import view_sql
from trading_assets.repositories.files import dataset_files, locked
from trading_assets.repositories.layout import settle
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, EQUITY_BARS, Dataset
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.repositories.opener import count, rows

ROOT = Path(__file__).parents[2]
KINDS = [kind for dataset in DATASETS.values() for kind in (dataset, revisions_of(dataset))]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake as version 1 left it."""
    return copy_of(PLAIN, tmp_path / "lake")


def contents(folder: Path, kind: Dataset) -> pa.Table:
    """All rows of the dataset's files, whatever their folders, read without the store."""
    files = sorted(
        (folder / kind.name).rglob("*.parquet"), key=lambda path: path.as_posix().replace(f"{kind.variant}=", "")
    )
    # The columns of today: those that came since are null.
    parts = [pq.read_table(file, schema=kind.schema, partitioning=None).replace_schema_metadata(None) for file in files]
    return pa.concat_tables([kind.schema.remove_metadata().empty_table(), *parts])


BEFORE = {kind.name: contents(PLAIN, kind) for kind in KINDS}


def check_migrated(folder: Path) -> None:
    """Every row is there once, in the present layout, and `lake.json` says so."""
    for kind in KINDS:
        assert contents(folder, kind).equals(BEFORE[kind.name]), kind.name
    assert not [path for path in folder.rglob("*=*") if ".locks" not in path.parts]
    held = LakeIdentity(folder).held()
    assert held is not None and (held.version, held.migrating, held.identity) == (2, False, "simulated/generated/42")
    assert held.periods["equity_bars"] == "year"


def test_the_fixture_is_a_lake_of_the_older_layout_with_all_it_can_have() -> None:
    assert json.loads((PLAIN / "lake.json").read_text())["schema_version"] == 1
    assert {path.name for path in (PLAIN / "equity_bars").iterdir()} == {"bar_size=1_day", "bar_size=1_hour"}
    filled = {name for name, table in BEFORE.items() if table.num_rows}
    assert filled == {
        "contracts",
        "option_chains",
        "equity_bars",
        "option_bars",
        "coverage",
        "revisions/equity_bars",
        "revisions/option_chains",
    }


@pytest.mark.parametrize("opening", ["query", "read", "catalog"])
def test_the_first_opening_migrates_and_loses_nothing(lake: Path, opening: str) -> None:
    if opening == "query":
        assert query(lake, "select count(*) as n from equity_bars")["n"].to_pylist() == [BEFORE["equity_bars"].num_rows]
    elif opening == "read":
        assert ParquetStore(lake).read(EQUITY_BARS, variants=["1 day"]).num_rows == 12
    else:
        write_catalog(lake)
    check_migrated(lake)
    stamp = (lake / "lake.json").stat()
    assert settle(lake) and (lake / "lake.json").stat().st_mtime_ns == stamp.st_mtime_ns


def test_a_catalog_file_written_before_reads_the_lake_before_and_after(lake: Path) -> None:
    with duckdb.connect(str(lake / "lake.duckdb")) as before:
        before.execute(view_sql(lake, EQUITY_BARS))
    for migrated in (False, True):
        with duckdb.connect(str(lake / "lake.duckdb"), read_only=True) as client:
            assert client.execute("select count(*) from equity_bars where bar_size = '1 day'").fetchall() == [(12,)]
        assert settle(lake) and (lake / "equity_bars" / "1_day").exists(), migrated


@pytest.mark.parametrize("kind", [kind for kind in KINDS if BEFORE[kind.name].num_rows], ids=lambda kind: kind.name)
def test_any_tool_reads_every_folder_with_its_defaults(lake: Path, kind: Dataset) -> None:
    settle(lake)
    folder, wanted = str(lake / kind.name), BEFORE[kind.name].num_rows
    frames: dict[str, Any] = {
        "pandas": pd.read_parquet(folder),
        "pyarrow": pq.read_table(folder).to_pandas(),
        "pyarrow hive dataset": pads.dataset(folder, partitioning="hive").to_table().to_pandas(),
        "duckdb": duckdb.sql(f"select * from read_parquet('{folder}/**/*.parquet')").df(),
        "duckdb hive": (
            duckdb.sql(f"select * from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)").df()
        ),
    }
    for tool, frame in frames.items():
        assert len(frame) == wanted and set(frame.columns) <= set(kind.schema.names), tool
        if kind.variant is not None:
            assert set(frame[kind.variant]) == set(BEFORE[kind.name][kind.variant].to_pylist()), tool
    if kind.variant is not None:
        value = BEFORE[kind.name][kind.variant][0].as_py()
        there = BEFORE[kind.name][kind.variant].to_pylist().count(value)
        assert len(pd.read_parquet(folder, filters=[(kind.variant, "==", value)])) == there
        assert (
            duckdb.sql(f"select 1 from read_parquet('{folder}/**/*.parquet') where {kind.variant} = '{value}'")
            .to_arrow_table()
            .num_rows
            == there
        )


def test_an_older_program_refuses_the_lake_from_the_begin_of_the_migration_on(lake: Path) -> None:
    """Version 1 refuses what says a `schema_version` above 1; so it did at the first look, and so does this one above
    its own."""
    LakeIdentity(lake).mark_migration(begun=True)
    assert json.loads((lake / "lake.json").read_text())["schema_version"] > 1
    settle(lake)
    document = json.loads((lake / "lake.json").read_text())
    (lake / "lake.json").write_text(json.dumps({**document, "schema_version": 3}))
    other = copy_of(lake, lake.with_name("newer"))
    with pytest.raises(
        LayoutMismatch, match="schema version 3, and this program knows versions up to 2: use a newer version"
    ):
        query(other, "select 1")
    with pytest.raises(LayoutMismatch):
        ParquetStore(other).read(EQUITY_BARS)


@pytest.mark.slow
def test_killed_at_every_file_event_the_next_opening_completes_it(forks: ForkServer, tmp_path: Path) -> None:
    partly = killed = 0
    while True:
        folder = copy_of(PLAIN, tmp_path / f"lake{killed}")
        end = forks.run(settle, folder, watched=[folder], stop_at=killed + 1)
        if list(folder.glob("*/*=*")) and list(folder.glob("*/1_day")):
            partly += 1
            assert rows(folder) == {name: BEFORE[name].num_rows for name in DATASETS}
        settle(folder)
        check_migrated(folder)
        assert remove_temporary_files(folder) == [] or end.killed
        assert not list(folder.rglob("*.tmp"))
        shutil.rmtree(folder)
        if not end.killed:
            break
        killed += 1
    assert killed > 30 and partly > 5, "every lock, every rename and lake.json are events"


def test_processes_that_open_it_at_once_all_see_all_rows(lake: Path, forks: ForkServer) -> None:
    started = [forks.talking(count) for _ in range(4)]
    for process in started:
        process.tell(lake)
    assert [process.hear() for process in started] == [{name: BEFORE[name].num_rows for name in DATASETS}] * 4
    check_migrated(lake)


def test_a_writer_of_the_older_version_is_waited_for(lake: Path, forks: ForkServer) -> None:
    with locked(lake, "equity_bars/bar_size=1_day/2024.parquet"):
        process = forks.talking(count)
        process.tell(lake)
        while not json.loads((lake / "lake.json").read_text()).get("migrating"):
            assert process.alive()
        assert (lake / "equity_bars/bar_size=1_day/2024.parquet").exists()
    assert process.hear()["equity_bars"] == BEFORE["equity_bars"].num_rows
    check_migrated(lake)


def test_a_folder_from_an_old_backup_is_taken_in_at_the_next_write(lake: Path) -> None:
    settle(lake)
    shutil.rmtree(lake / "equity_bars" / "1_hour")
    (lake / "equity_bars" / "1_day" / "2023.parquet").unlink()
    (lake / "revisions" / "equity_bars" / "1_day" / "2023.parquet").unlink()
    for name in ("equity_bars", "revisions/equity_bars", "coverage"):
        for folder in (PLAIN / name).glob("*=*"):
            shutil.copytree(folder, lake / name / folder.name)
    last = BEFORE["equity_bars"].slice(0, 1)
    assert ParquetStore(lake).upsert(EQUITY_BARS, last).unchanged == 1
    ParquetStore(lake).upsert(COVERAGE, BEFORE["coverage"].slice(0, 1))
    check_migrated(lake)
    assert query(lake, "select count(*) as n from equity_bars")["n"].to_pylist() == [BEFORE["equity_bars"].num_rows]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_lake_that_may_not_be_written_is_read_as_it_is() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        lake = copy_of(PLAIN, Path(place) / "lake")
        command = [sys.executable, "-m", "trading_assets_tests.repositories.opener", str(lake)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {name: BEFORE[name].num_rows for name in DATASETS}
        assert json.loads((lake / "lake.json").read_text()) == json.loads((PLAIN / "lake.json").read_text())
        assert [path.parent.name for path in dataset_files(lake, EQUITY_BARS, ["1 day"])] == ["bar_size=1_day"] * 2
