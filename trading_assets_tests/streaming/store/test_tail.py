"""Followers, and the newest quote of each contract."""

from __future__ import annotations

from pathlib import Path

from trading_assets.streaming.store import LiveTail, LiveWriter, latest_quotes
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
