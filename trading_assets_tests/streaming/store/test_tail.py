"""Followers, and the newest quote of each contract."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.repositories.live.places import parts
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.streaming.store import LiveTail, LiveWriter, latest_quotes
from trading_assets.streaming.store import tail as tail_module
from trading_assets_tests.streaming.live_rows import quote


def test_a_follower_begins_where_it_is_made_or_with_what_is_not_sealed(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append([quote(0)])
    writer.seal()
    writer.append([quote(1)])
    writer.flush()
    with LiveTail(tmp_path) as now, LiveTail(tmp_path, from_start=True) as start:
        assert now.poll() == [] and start.poll() == [quote(1)]
        writer.append([quote(2)])
        writer.flush()
        assert now.poll() == start.poll() == [quote(2)]
    writer.close()


def test_a_follower_loses_nothing_when_segments_are_sealed_between_its_polls(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    with LiveTail(tmp_path) as tail:
        found = []
        for n in range(0, 12, 3):
            writer.append([quote(n, 9), quote(n + 1, 8)])
            writer.flush()
            found += tail.poll() if n % 2 else []
            writer.append([quote(n + 2, 7)])
            writer.seal()
        assert [update.seq for update in found + tail.poll()] == list(range(12))
        assert tail.poll() == []
    writer.close()


def test_a_part_that_cannot_be_read_is_named_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "LOOK_SECONDS", 0.0)
    writer = LiveWriter(tmp_path)
    with LiveTail(tmp_path) as tail:
        for n in range(3):
            writer.append([quote(n)])
            writer.seal()
        damaged = parts(tmp_path, LIVE_QUOTES)[1].part
        damaged.write_bytes(b"torn")
        assert [update.seq for update in tail.poll()] == [0, 2]
        assert str(damaged) in caplog.text and "left out" in caplog.text
        writer.append([quote(3)])
        writer.flush()
        assert [update.seq for update in tail.poll()] == [3]
    writer.close()


def test_a_segment_of_another_program_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither readers nor the next recorder; it stays where it is, and is named."""
    writer = LiveWriter(tmp_path)
    writer.append([quote(1)])
    writer.close()
    strange = parts(tmp_path, LIVE_QUOTES)[0].part.with_name(f"20990101T000000000000-{1:08}.arrows")
    with pa.ipc.new_stream(str(strange), pa.schema([("con_id", pa.string())])) as stream:
        stream.write_batch(pa.record_batch([["x"]], names=["con_id"]))
    assert latest_quotes(tmp_path) == {1000: quote(1)} and str(strange) in caplog.text
    caplog.clear()
    writer = LiveWriter(tmp_path)
    assert strange.exists() and str(strange) in caplog.text
    with LiveTail(tmp_path, from_start=True) as tail:
        writer.append([quote(2)])
        writer.flush()
        assert tail.poll() == [quote(2)]
    writer.close()


def test_a_follower_can_be_there_before_the_recorder(tmp_path: Path) -> None:
    with LiveTail(tmp_path / "new") as tail:
        assert tail.poll() == [] and latest_quotes(tmp_path / "new") == {}
        writer = LiveWriter(tmp_path / "new")
        writer.append([quote(1)])
        writer.flush()
        assert tail.poll() == [quote(1)]
        writer.close()


def test_the_newest_quotes_are_there_at_any_time(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    for n in range(3):
        writer.append([quote(3 * n, 1), quote(3 * n + 1, 2, symbol="XSP")])
        writer.seal()
    writer.append([quote(20, 1)])
    writer.flush()
    newest = {1: quote(20, 1), 2: quote(7, 2, symbol="XSP")}
    assert latest_quotes(tmp_path) == newest
    writer.close()
    assert latest_quotes(tmp_path) == newest
    assert latest_quotes(tmp_path, con_ids=[1]) == {1: newest[1]}
    assert latest_quotes(tmp_path, symbols=["XSP"]) == {2: newest[2]}
    assert latest_quotes(tmp_path, con_ids=[]) == {}
