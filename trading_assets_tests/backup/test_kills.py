"""`kill -9` at ten instants of a backup, a restore and the removal of old snapshots, beside two readers and a
collecting run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from trading_assets.backup import backup, prune, restore, snapshots, verify
from trading_assets.errors import NotALake
from trading_assets.repositories import ParquetStore
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.universe import Universe
from trading_assets_tests.backup.test_backup import tree
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.crew import Crew
from trading_assets_tests.endurance.lakes import broken, contents, difference
from trading_assets_tests.killing.beside import Beside, copied
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import INSTANTS, spread
from trading_assets_tests.killing.lake import restate
from trading_assets_tests.killing.looks import COLLECTED, bars_by_file, bars_by_sql
from trading_assets_tests.repositories.test_processes import check_one_version, versions_written

pytestmark = pytest.mark.slow


def take(settings: Settings, kept: Path) -> None:
    """Back the lake up."""
    backup(kept, settings)


def put_back(_source: Settings, kept: Path, target: Settings) -> None:
    """Restore the newest snapshot."""
    restore(kept, target)


def keep_two(_source: Settings, kept: Path) -> None:
    """Remove all snapshots but two."""
    prune(kept, 2, dry_run=False)


@pytest.fixture
def source(lake_to_kill_at: Settings, tmp_path: Path) -> Settings:
    """A lake of which a first snapshot is in `kept`, and of which half of the files changed since."""
    made = copied(lake_to_kill_at, tmp_path / "lake")
    backup(tmp_path / "kept", made)
    restate(made.data_dir, 2)
    return made


def test_a_killed_backup_leaves_the_source_and_earlier_snapshots_whole(
    source: Settings, forks: ForkServer, tws: Simulator, tmp_path: Path
) -> None:
    beside = Beside(forks, source)
    shutil.copytree(tmp_path / "kept", tmp_path / "measured")
    steps = beside.steps(take, tmp_path / "measured", watched=[tmp_path / "measured"])
    first = [found.id for found in snapshots(tmp_path / "kept")]
    for instant in spread(steps):
        kept = shutil.copytree(tmp_path / "kept", tmp_path / f"kept-{instant}")
        with beside.killed(instant, take, kept, watched=[kept]):
            assert verify(kept).problems == []
            assert [found.id for found in snapshots(kept)] == first
            report = backup(kept, source)  # over what the killed one left
            assert report.before == report.after and report.snapshot.exact
            assert verify(kept).problems == []
            assert not list(kept.rglob("*.tmp")) and not list(kept.glob(".work-*"))
    assert beside.kills == INSTANTS
    assert broken(source.data_dir) == []
    restored = source.model_copy(update={"data_dir_setting": tmp_path / "restored"})
    restore(kept, restored)
    assert difference(restored.data_dir, contents(source.data_dir)) == []
    asked = len(tws.counters.log)
    assert by_the_steps(restored, [SYMBOL])["requests"]["sent"] == 0
    assert len(tws.counters.log) == asked


@pytest.mark.parametrize("symbol", ["MSFT", "GOOG", "NVDA"])
def test_a_backup_beside_a_collection_lacks_only_what_came_later(
    symbol: str, settings: Settings, simulator: Simulator, crew: Crew, tmp_path: Path
) -> None:
    collecting = crew.start(settings, [symbol], dagster=False)
    during = backup(tmp_path / "kept", settings).snapshot
    ended = crew.wait(collecting)
    assert ended.success, ended.words
    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored, snapshot=during.id)
    report = by_the_steps(restored, [symbol])
    assert report["success"], report["problems"]
    assert broken(restored.data_dir) == []
    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    backup(tmp_path / "kept", settings)
    whole = settings_of(tmp_path / "whole", simulator)
    restore(tmp_path / "kept", whole)
    simulator.reset_counters()
    assert by_the_steps(whole, [SYMBOL, symbol])["requests"]["sent"] == 0
    assert dict(simulator.counters.requests) == {}


def test_a_killed_restore_leaves_nothing_or_the_whole(
    source: Settings, forks: ForkServer, tws: Simulator, tmp_path: Path
) -> None:
    kept, looks = tmp_path / "kept", (bars_by_sql, bars_by_file)
    backup(kept, source)
    rows, nothing = contents(source.data_dir), [{"error": NotALake.__name__}, {"rows": 0, "columns": {}}]
    seen = [[*nothing, look(source.data_dir)] for look in looks]
    beside = Beside(forks, source, looks, (NotALake,), seen)

    def target(number: int) -> Settings:
        return source.model_copy(update={"data_dir_setting": tmp_path / f"place-{number}" / "lake"})

    steps = beside.steps(put_back, kept, target(0), watched=[tmp_path / "place-0"])
    before = tree(kept)
    for instant in spread(steps):
        restored, place = target(instant), tmp_path / f"place-{instant}"
        folder = restored.data_dir
        with beside.killed(instant, put_back, kept, restored, watched=[place], place=folder):
            if not folder.exists():
                report = restore(kept, restored)
                assert report.before == report.after
            assert difference(folder, rows) == []
            assert broken(folder) == []
            assert Universe(restored.state_url).active() == [SYMBOL, COLLECTED]
            assert [path.name for path in place.iterdir()] == ["lake"]
    assert beside.kills == INSTANTS
    assert tree(kept) == before


def whole(kept: Path) -> dict[str, Any]:
    """The two newest snapshots read back, object by object."""
    names = [found.id for found in snapshots(kept)][-2:]
    return {name: verify(kept, name).problems for name in names}


def rows(kept: Path) -> dict[str, Any]:
    """What the two newest snapshots say they hold."""
    return {found.id: found.holdings() for found in snapshots(kept)[-2:]}


def test_a_killed_removal_of_old_snapshots_leaves_those_that_stay_whole(
    source: Settings, forks: ForkServer, tmp_path: Path
) -> None:
    full = tmp_path / "kept"
    for seconds in (3, 4):
        backup(full, source)
        restate(source.data_dir, seconds)
    backup(full, source)
    beside = Beside(forks, source, (whole, rows), seen=[[whole(full)], [rows(full)]])
    measured = shutil.copytree(full, tmp_path / "measured")
    steps, pruned = beside.steps(keep_two, measured, watched=[measured]), tree(measured)
    for instant in spread(steps):
        kept = shutil.copytree(full, tmp_path / f"kept-{instant}")
        with beside.killed(instant, keep_two, kept, watched=[kept], place=kept):
            prune(kept, 2, dry_run=False)
            assert tree(kept) == pruned
    assert beside.kills == INSTANTS


def test_a_backup_beside_a_writer_is_of_one_moment(simulator: Simulator, forks: ForkServer, tmp_path: Path) -> None:
    """The writer changes the same file again and again: at last it waits, and the copy is exact."""
    settings = settings_of(tmp_path / "lake", simulator)
    with versions_written(forks, settings.data_dir, 1000) as process:
        assert process.hear() == 1
        for number in range(3):
            assert backup(tmp_path / "kept", settings).snapshot.exact
            restored = settings_of(tmp_path / f"restored-{number}", simulator)
            restore(tmp_path / "kept", restored)
            check_one_version(ParquetStore(restored.data_dir))
        assert process.alive(), "it was still writing"
