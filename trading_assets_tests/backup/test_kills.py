"""`kill -9` at ten instants of a backup while another process collects and a reader reads, and of a restore."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trading_assets.backup import backup, restore, snapshots, verify
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.universe import Universe
from trading_assets_tests.backup.conftest import Worker
from trading_assets_tests.backup.test_backup import tree
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.crew import Crew
from trading_assets_tests.endurance.lakes import broken, contents, difference
from trading_assets_tests.repositories.test_processes import check_one_version, said, writer

INSTANTS = 10

COLLECTED = ("MSFT", "GOOG", "NVDA", "AMZN", "TSLA", "META", "IBM", "ORCL", "INTC", "CSCO")


def by_sql(folder: Path) -> int:
    count: int = query(folder, "select count(*) as n from equity_bars")["n"][0].as_py()
    return count


def by_file(folder: Path) -> int:
    return int(ParquetStore(folder).read(EQUITY_BARS).num_rows)


@contextmanager
def two_readers(folder: Path) -> Iterator[list[list[int]]]:
    """Count the equity bars again and again: the counts that each saw, in order. They never fail and see no row
    go."""
    seen: list[list[int]] = [[], []]
    failed: list[BaseException] = []
    ended = threading.Event()

    def read(count: Callable[[Path], int], counts: list[int]) -> None:
        try:
            while not ended.is_set():
                counts.append(count(folder))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=read, args=given) for given in zip((by_sql, by_file), seen, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert all(counts == sorted(counts) for counts in seen)


@pytest.mark.slow
def test_a_killed_backup_leaves_the_source_and_earlier_snapshots_whole(
    settings: Settings, simulator: Simulator, worker: Worker, crew: Crew, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    backup(kept, settings)
    steps = worker.do("backup", settings, tmp_path / "measured", tmp_path / "measured", None)["events"]
    assert steps > INSTANTS
    with two_readers(settings.data_dir) as seen:
        for number, symbol in enumerate(COLLECTED):
            before = [found.id for found in snapshots(kept)]
            collecting = crew.start(settings, [symbol], dagster=False)
            end = worker.do("backup", settings, kept, kept, 1 + number * steps // INSTANTS)
            assert end["signal"] in (signal.SIGKILL, None)
            assert verify(kept).problems == []
            assert [found.id for found in snapshots(kept)][: len(before)] == before
            # Beside the collection, and over what the killed one left.
            during = backup(kept, settings).snapshot
            ended = crew.wait(collecting)
            assert ended.success, ended.words
            folder = tmp_path / f"during-{symbol}"
            restore(kept, settings_of(folder, simulator), snapshot=during.id)
            completed(settings_of(folder, simulator), symbol)
            assert difference(folder, contents(settings.data_dir)) == []
    assert min(map(len, seen)) > INSTANTS
    assert broken(settings.data_dir) == []
    backup(kept, settings)
    assert not list(kept.rglob("*.tmp")) and not list(kept.glob(".work-*"))
    restored = settings_of(tmp_path / "restored", simulator)
    restore(kept, restored)
    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    simulator.reset_counters()
    assert by_the_steps(restored, [SYMBOL, *COLLECTED])["requests"]["sent"] == 0
    assert dict(simulator.counters.requests) == {}


def completed(settings: Settings, symbol: str) -> None:
    """What a lake that was backed up in the middle of a collection lacks is collected, and nothing twice."""
    report = by_the_steps(settings, [symbol])
    assert report["success"], report["problems"]
    assert broken(settings.data_dir) == []


def test_a_killed_restore_leaves_nothing_or_the_whole(
    settings: Settings, simulator: Simulator, worker: Worker, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    backup(kept, settings)
    measured = tmp_path / "measured"
    steps = worker.do("restore", settings_of(measured / "lake", simulator), kept, measured, None)["events"]
    assert steps > INSTANTS
    killed, before = 0, tree(kept)
    for number in range(INSTANTS + 1):
        place = tmp_path / f"place-{number}"
        target = settings_of(place / "lake", simulator)
        # The last instant is that of the step that gives the folder its name.
        last = steps - 1 if number == INSTANTS else 1 + number * steps // INSTANTS
        end = worker.do("restore", target, kept, place, last)
        killed += end["signal"] == signal.SIGKILL
        if target.data_dir.exists():
            assert difference(target.data_dir, contents(settings.data_dir)) == []
        else:
            restore(kept, target)
            assert difference(target.data_dir, contents(settings.data_dir)) == []
            assert broken(target.data_dir) == []
            assert Universe(target.state_url).active() == [SYMBOL]
        assert [path.name for path in place.iterdir()] == ["lake"]
    assert killed >= INSTANTS
    assert tree(kept) == before


def test_a_backup_beside_a_writer_is_of_one_moment(simulator: Simulator, tmp_path: Path) -> None:
    """The writer changes the same file again and again: at last it waits, and the copy is exact."""
    settings = settings_of(tmp_path / "lake", simulator)
    with writer("versions", str(settings.data_dir), "1000") as process:
        assert said(process) == "1"
        for number in range(3):
            assert backup(tmp_path / "kept", settings).snapshot.exact
            restored = settings_of(tmp_path / f"restored-{number}", simulator)
            restore(tmp_path / "kept", restored)
            check_one_version(ParquetStore(restored.data_dir))
        assert process.poll() is None, "it was still writing"
