"""Writers that are killed, writers that compete, readers beside a writer: in real processes."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from trading_assets.errors import LakeBusy
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.files import locked
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets_tests.killing.forks import Child, ForkServer
from trading_assets_tests.repositories.frames import NOON, bar, table
from trading_assets_tests.repositories.writer import SESSIONS, version, write, write_versions

FILE = "equity_bars/1_day/2014.parquet"


@contextmanager
def versions_written(forks: ForkServer, folder: Path, last: int) -> Iterator[Child]:
    """A process that writes versions 1 to `last`; killed at the end."""
    child = forks.talking(write_versions, folder, last)
    try:
        yield child
    finally:
        child.kill()


def check_one_version(store: ParquetStore) -> int:
    """The file is one whole version, the revisions are the versions before it without doubles. Returns the version (0:
    no file)."""
    rows = store.read(EQUITY_BARS)
    versions = pc.unique(rows["request_id"]).to_pylist()
    assert len(versions) <= 1, f"a mixture of versions {versions}"
    if not versions:
        return 0
    assert rows.equals(version(versions[0]))
    revised = (
        store.read_revisions(EQUITY_BARS).group_by(["symbol", "start", "request_id"]).aggregate([([], "count_all")])
    )
    assert pc.max(revised["count_all"]).as_py() in (None, 1)
    assert set(range(1, versions[0])) <= set(pc.unique(revised["request_id"]).to_pylist())
    return int(versions[0])


@pytest.mark.slow
def test_killed_at_every_file_event_the_lake_is_the_old_or_the_new_one_and_the_replay_completes_it(
    forks: ForkServer, tmp_path: Path
) -> None:
    killed, ended = 0, False
    while not ended:
        lake = tmp_path / f"lake{killed}"
        store = ParquetStore(lake)
        store.upsert(EQUITY_BARS, version(1))
        ended = not forks.run(write, lake, version(2), watched=[lake], stop_at=killed + 1).killed
        assert check_one_version(store) in (1, 2)
        store.upsert(EQUITY_BARS, version(2))
        assert check_one_version(store) == 2
        assert store.read_revisions(EQUITY_BARS).num_rows == version(1).num_rows
        remove_temporary_files(store.data_dir)
        assert not list(lake.rglob("*.tmp"))
        killed += not ended
    assert killed > 6, "the lock, the revisions and the file are opened, moved and synced"


def test_killed_at_random_moments_of_many_upserts_no_file_is_ever_mixed_or_half_written(
    forks: ForkServer, tmp_path: Path
) -> None:
    store = ParquetStore(tmp_path)
    for seed in range(4):
        with versions_written(forks, tmp_path, 60) as process:
            randomness = random.Random(seed)
            for _ in range(randomness.randint(1, 5)):
                process.hear()
            threading.Event().wait(randomness.random() * 0.05)  # the moment is meant to be any
        reached = check_one_version(store)
    store.upsert(EQUITY_BARS, version(reached + 1))
    assert check_one_version(store) == reached + 1
    assert remove_temporary_files(store.data_dir) == [] and not list(tmp_path.rglob("*.tmp"))


def test_two_processes_that_write_the_same_rows_end_as_one_after_the_other(forks: ForkServer, tmp_path: Path) -> None:
    processes = [forks.talking(write_versions, tmp_path, 12) for _ in range(2)]
    for process in processes:
        assert process.wait().code == 0
    store = ParquetStore(tmp_path)
    assert check_one_version(store) == 12
    assert store.read_revisions(EQUITY_BARS).num_rows == 11 * version(1).num_rows


def test_writers_of_other_rows_of_the_same_file_lose_nothing(tmp_path: Path) -> None:
    def write(symbol: str) -> None:
        for session in SESSIONS[:10]:
            ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(session, symbol=symbol)]))

    threads = [threading.Thread(target=write, args=(symbol,)) for symbol in ("AAPL", "GOOG", "SPY", "IBM")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ParquetStore(tmp_path).read(EQUITY_BARS).num_rows == 40


def test_readers_beside_a_writer_see_one_version_or_another(forks: ForkServer, tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, version(1))
    seen: list[int] = []
    with versions_written(forks, tmp_path, 40) as process:
        while process.alive():
            seen.append(check_read(store))
            answer = query(
                tmp_path,
                "SELECT volume, count(*) AS n, count(DISTINCT symbol) AS symbols FROM equity_bars GROUP BY volume",
            )
            assert answer.select(["n", "symbols"]).to_pylist() == [{"n": version(1).num_rows, "symbols": 40}]
    assert seen == sorted(seen) and len(set(seen)) > 3, (
        "a reader sees the versions in order, and new ones without reopening"
    )


def check_read(store: ParquetStore) -> int:
    rows = store.read(EQUITY_BARS)
    (number,) = pc.unique(rows["request_id"]).to_pylist()
    assert rows.equals(version(number))
    return int(number)


def test_a_lock_that_is_held_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with (
        locked(tmp_path, FILE),
        pytest.raises(LakeBusy, match=r"2014\.parquet .* has been locked by another process for 0 seconds"),
        locked(tmp_path, FILE, 0),
    ):
        pass
    store = ParquetStore(tmp_path)
    written = threading.Event()

    def write() -> None:
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(SESSIONS[0], collected_at=NOON + timedelta(1))]))
        written.set()

    with locked(tmp_path, FILE):
        thread = threading.Thread(target=write)
        thread.start()
        assert not written.is_set()
    thread.join(60)
    assert written.is_set() and store.read(EQUITY_BARS).num_rows == 1
