"""The writer: what is appended is seen by others, durable, sealed, and counted where it cannot be written."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.errors import LakeBusy
from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.live.places import live_folder, parts, segments
from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.streaming.outlet import Outlet
from trading_assets.streaming.store import LiveTail, LiveWriter, latest_quotes
from trading_assets.streaming.store.segment_file import SegmentFile
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.streaming.live_rows import SESSION, bar, gap, quote, until


def test_what_is_appended_is_seen_by_a_follower_without_a_flush(tmp_path: Path) -> None:
    writer, given = LiveWriter(tmp_path), [quote(n, 1000 + n % 3) for n in range(30)]
    with LiveTail(tmp_path) as tail:
        writer.append(given)
        found = tail.poll()
        until(lambda: bool(found.extend(tail.poll())) or len(found) == len(given))
        assert found == given and writer.backlog == 0 and writer.fault is None
    assert latest_quotes(tmp_path) == {update.con_id: update for update in given[-3:]}
    writer.close()


def test_a_segment_is_a_stream_that_any_tool_reads(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append([quote(1), quote(2)])
    writer.flush()
    (place,) = segments(tmp_path, LIVE_QUOTES)
    with pa.ipc.open_stream(place.path.read_bytes()) as reader:
        assert reader.read_all()["seq"].to_pylist() == [1, 2]
    writer.close()


def test_sealing_makes_one_part_of_each_segment(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append([quote(2, 7), quote(3, 5), quote(4, 7)], [bar(1)], [gap(1, ended=2)])
    writer.seal()
    writer.append([quote(5)])
    writer.flush()
    for dataset in (LIVE_QUOTES, LIVE_BARS, LIVE_GAPS):
        assert len(parts(tmp_path, dataset)) == 1
    assert len(segments(tmp_path, LIVE_QUOTES)) == 1 and segments(tmp_path, LIVE_BARS) == []
    writer.close()
    assert segments(tmp_path, LIVE_QUOTES) == [] and len(parts(tmp_path, LIVE_QUOTES, SESSION)) == 2


def test_a_full_segment_and_a_new_session_begin_another(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path, seal_rows=10)
    monday = SESSION + timedelta(days=4)
    writer.append([quote(n) for n in range(10)])
    writer.flush()
    writer.append([quote(10), quote(11, session=monday), quote(12, session=monday)])
    writer.flush()
    writer.close()
    assert [place.session for place in parts(tmp_path, LIVE_QUOTES)] == ["2015-12-24", "2015-12-24", "2015-12-28"]


def test_one_writer_a_lake(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    with pytest.raises(LakeBusy, match="one recorder a lake"):
        LiveWriter(tmp_path)
    writer.close()
    LiveWriter(tmp_path).close()


def test_an_update_that_is_no_row_loses_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = LiveWriter(tmp_path)
    with LiveTail(tmp_path) as tail:
        writer.append([quote(1), quote(2)._replace(bid="none"), quote(3)])  # type: ignore[arg-type]
        writer.flush()
        assert [update.seq for update in tail.poll()] == [1, 3]
    (lost,) = writer.take_lost()
    assert (lost.stream_id, lost.updates, lost.began) == ("stream-1000", 1, quote(2).received_at)
    assert writer.take_lost() == [] and "left out" in caplog.text
    writer.close()


def test_an_error_that_nobody_foresaw_does_not_end_the_writing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = LiveWriter(tmp_path)
    with LiveTail(tmp_path) as tail:
        writer.append(["no update"])  # type: ignore[list-item]
        until(lambda: writer.fault is not None)
        assert "AttributeError" in str(writer.fault) and "failed" in caplog.text
        writer.append([quote(1)])
        until(lambda: tail.poll() == [quote(1)])
        until(lambda: writer.fault is None)
    writer.close()


def test_what_such_an_error_costs_is_a_gap(tmp_path: Path) -> None:
    """The updates in hand are counted as lost, the gaps in hand are kept; the recorder says so when it looks."""
    writer = LiveWriter(tmp_path)

    async def record() -> None:
        outlet = Outlet(writer)
        poison: Any = "no update"
        writer.append([quote(1), quote(2, 7), poison, quote(4, 7)], [bar(1)], [gap(0, con_id=9)])
        writer.flush()
        assert "AttributeError" in str(writer.fault)
        outlet.look()
        await asyncio.sleep(0)
        writer.append([quote(5, 7)])
        writer.flush()
        assert writer.fault is None
        outlet.close()

    run_coroutine(record())
    writer.close()
    assert live_table(tmp_path, LIVE_QUOTES, SESSION)["seq"].to_pylist() == [5]
    gaps = live_table(tmp_path, LIVE_GAPS, SESSION).to_pylist()
    assert {(row["stream_id"], row["reason"], row["began"], row["ended"]) for row in gaps} == {
        ("stream-9", "stalled", gap(0).began, None),
        ("stream-1000", "not_recorded", quote(1).received_at, quote(1).received_at),
        ("stream-7", "not_recorded", quote(2).received_at, quote(4).received_at),
        ("bars-1000", "not_recorded", bar(1).received_at, bar(1).received_at),
    }


def test_a_segment_begins_also_where_its_folder_was_removed_as_empty(tmp_path: Path) -> None:
    """As whoever merges a session does it, at any instant."""
    folder, ended = live_folder(tmp_path, LIVE_QUOTES) / f"{SESSION}", threading.Event()

    def remove() -> None:
        while not ended.is_set():
            with suppress(OSError):
                folder.rmdir()

    LakeIdentity(tmp_path).pin("simulated")
    with ThreadPoolExecutor(1) as removing:
        removing.submit(remove)
        try:
            for number in range(100):
                segment = SegmentFile(tmp_path, LIVE_QUOTES, f"{SESSION}", f"{number:020}")
                segment.place.path.unlink()
        finally:
            ended.set()


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """No file may grow beyond that size: a write that would, writes what fits and then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_has_no_room_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append([quote(1)], gaps=[gap(0, con_id=9)])
    writer.flush()
    (place,) = segments(tmp_path, LIVE_QUOTES)
    with LiveTail(tmp_path, from_start=True) as tail:
        with no_room(place.path.stat().st_size + 100):
            writer.append([quote(2), quote(3)], gaps=[gap(0, con_id=9, ended=3)])
            writer.flush()
            assert writer.fault is not None and "cannot be written" in writer.fault
            assert [update.seq for update in tail.poll()] == [1]
        (lost,) = writer.take_lost()
        assert (lost.began, lost.ended, lost.updates) == (quote(2).received_at, quote(3).received_at, 2)
        writer.append([quote(4)])
        writer.flush()
        assert writer.fault is None and [update.seq for update in tail.poll()] == [4]
        assert writer.backlog == 0, "the gap was kept and is written"
    writer.close()


def test_what_was_lost_is_asked_for_without_waiting_for_the_disk(tmp_path: Path) -> None:
    """The recorder asks once a second in its event loop, which must not stand still while a write hangs."""
    writer = LiveWriter(tmp_path)
    with ThreadPoolExecutor(1) as asking, writer._writing:
        assert asking.submit(writer.take_lost).result(5) == []
    writer.close()
