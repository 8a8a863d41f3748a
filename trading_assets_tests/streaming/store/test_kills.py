"""`kill -9` at twenty instants of recording, sealing and merging: nothing synced is lost, nothing is doubled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.repositories import LakeIdentity, query
from trading_assets.repositories.live.merging import merge_session
from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_DATASETS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.streaming.store import LiveWriter, latest_quotes
from trading_assets.streaming.store.finishing import seal_recorded
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import spread
from trading_assets_tests.streaming.live_rows import SESSION, START, STEP, at, bar, gap, quote
from trading_assets_tests.streaming.store.test_recovery import record_and_die

pytestmark = pytest.mark.slow

KILLS = 20
BATCH = 50
BATCHES = 6


def work(folder: Path, acknowledged: Path) -> None:
    """Record, seal and merge; after each sync the number of rows that are safe is written down."""
    writer = LiveWriter(folder, clock=at(0))
    with acknowledged.open("w") as log:
        for number in range(BATCHES):
            first = number * BATCH
            gaps = [gap(first), gap(first, ended=first + 1)]
            writer.append([quote(n, 1000 + n % 5) for n in range(first, first + BATCH)], [bar(number)], gaps)
            writer.flush()
            os.write(log.fileno(), f"{number + 1}\n".encode())
            if number % 2:
                writer.seal()
            if number in (3, 4):
                for dataset in LIVE_DATASETS:
                    merge_session(folder, dataset, SESSION)
    writer.close()


@pytest.fixture(scope="module")
def steps(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants the work has."""
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "lake").mkdir()
    LakeIdentity(place / "lake").pin("simulated")
    return fork_server.run(work, place / "lake", place / "log", watched=[place / "lake"]).instants


@pytest.mark.parametrize("kill", range(KILLS))
def test_nothing_synced_is_lost_or_doubled(forks: ForkServer, tmp_path: Path, steps: int, kill: int) -> None:
    folder, log = tmp_path / "lake", tmp_path / "log"
    folder.mkdir()
    LakeIdentity(folder).pin("simulated")
    end = forks.run(work, folder, log, watched=[folder], stop_at=spread(steps, KILLS)[kill], or_near=True)
    assert end.killed
    safe = len(log.read_text().split()) if log.exists() else 0
    found = _seen(folder)
    assert found == list(range(len(found))) and len(found) >= safe * BATCH, f"killed before {end.at}"
    newest = latest_quotes(folder)
    assert {con_id: update.seq for con_id, update in newest.items()} == {1000 + n % 5: n for n in found}

    after = at(10_000)
    writer = LiveWriter(folder, clock=after)
    assert _seen(folder) == found and latest_quotes(folder) == newest
    assert writer.next_seq == len(found) + (not found)
    recorded = live_table(folder, LIVE_GAPS, SESSION).to_pylist()
    died = [row for row in recorded if row["reason"] == GapReason.RECORDER_DIED]
    assert all(row["began"] <= START + STEP * 10_000 and row["ended"] is None for row in died)
    if found and writer.recovered.died:
        began = died[0]["began"]
        assert {row["stream_id"] for row in died} >= {f"stream-{1000 + n % 5}" for n in found}
        assert began >= quote(found[-1]).received_at and began - quote(found[-1]).received_at < timedelta(minutes=1)
    writer.close()
    for dataset in LIVE_DATASETS:
        merge_session(folder, dataset, SESSION)
    assert _seen(folder) == found and latest_quotes(folder) == newest
    assert live_table(folder, LIVE_BARS, SESSION).num_rows >= safe
    assert sum(row["reason"] == GapReason.STALLED and row["ended"] is not None for row in recorded) >= safe


RECOVERIES = 5


def take_over(folder: Path) -> None:
    """Start a recorder after one that died, and end it as it should."""
    LiveWriter(folder, clock=at(2_000)).close()


def finish(folder: Path) -> None:
    """What a run in Dagster does while no recorder is there."""
    seal_recorded(folder, [SESSION])
    for dataset in LIVE_DATASETS:
        merge_session(folder, dataset, SESSION)


@pytest.mark.parametrize("job", [take_over, finish])
def test_whoever_takes_over_may_be_killed_too(forks: ForkServer, tmp_path: Path, job: Callable[[Path], None]) -> None:
    dead = tmp_path / "dead"
    LakeIdentity(dead).pin("simulated")
    forks.run(record_and_die, dead, [quote(n, 1000 + n % 2) for n in range(800)], [gap(1, con_id=77)])
    steps = forks.run(job, shutil.copytree(dead, tmp_path / "whole"), watched=[tmp_path / "whole"]).instants
    for instant in spread(steps, RECOVERIES):
        folder = tmp_path / f"{instant}"
        shutil.copytree(dead, folder)
        end = forks.run(job, folder, watched=[folder], stop_at=instant, or_near=True)
        assert end.killed and _seen(folder) == list(range(800)), f"killed before {end.at}"
        writer = LiveWriter(folder, clock=at(3_000))
        assert [one for one in writer.recovered.open_gaps if one.reason != GapReason.RECORDER_DIED] == [
            gap(1, con_id=77)
        ]
        writer.close()
        finish(folder)
        assert _seen(folder) == list(range(800)), f"killed before {end.at}, and done again"
        recorded = live_table(folder, LIVE_GAPS, SESSION).to_pylist()
        died = [row for row in recorded if row["reason"] == GapReason.RECORDER_DIED]
        assert sorted(row["stream_id"] for row in died) == ["bars-1000", "stream-1000", "stream-1001"]
        assert {(row["began"], row["ended"]) for row in died} == {(quote(799).received_at, None)}


def _seen(folder: Path) -> list[int]:
    found: list[int] = sorted(live_table(folder, LIVE_QUOTES, SESSION)["seq"].to_pylist())
    assert query(folder, "select list(seq order by seq) from live_quotes", live=True)[0][0].as_py() in (found, None)
    return found
