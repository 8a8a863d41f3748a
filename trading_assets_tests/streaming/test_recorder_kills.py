"""A recorder under load is killed by `kill -9` twenty times: what is lost each time, and the gap that says so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_GAPS, LIVE_QUOTES
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.load import FIRST_SIZE
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.process import RecorderProcess
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.store import LiveWriter
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.observing import eventually
from trading_assets_tests.streaming.recording import settings_of
from trading_assets_tests.streaming.tiny_lake import SESSION

KILLS = 20
RATE = 2_000
"""Messages a second, on three streams."""

BETWEEN = 40
"""Messages by which one kill comes later than the one before."""

STREAMS = 3
MOST_LOST = timedelta(seconds=2)


def record(settings: Settings) -> None:
    """What the recorder's process does."""
    RecorderProcess(settings).run()


@pytest.mark.slow
def test_two_seconds_are_lost_at_most_and_the_gap_is_recorded_at_the_restart(
    forks: ForkServer, lake: Path, simulate: Callable[..., Simulator]
) -> None:
    tws = simulate()
    tws.clock.run(1)
    settings = settings_of(lake, tws)
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA", STREAMS - 1)])
    sent: list[Counter[int]] = []
    for kill in range(KILLS):
        before = Counter(tws.counters.load_messages)
        child = forks.start(record, settings)
        eventually(lambda: len(_live(wanting)) == STREAMS, between_looks=0.01)
        tws.set_message_rate(RATE)
        due = before.total() + 1 + kill * BETWEEN
        eventually(partial(_sent, tws, due), between_looks=0.002)
        assert child.kill().killed
        tws.set_message_rate(0)
        sent.append(Counter(tws.counters.load_messages) - before)
    wanting.close()
    LiveWriter(lake, clock=tws.clock.now).close()

    lives = _by_life(live_table(lake, LIVE_QUOTES, SESSION).to_pylist())
    assert len(lives) == KILLS
    died = [row for row in live_table(lake, LIVE_GAPS, SESSION).to_pylist() if row["reason"] == GapReason.RECORDER_DIED]
    for life, (streams, messages) in enumerate(zip(lives, sent, strict=True)):
        for stream_id, rows in streams.items():
            loaded = _numbers(rows)
            assert loaded == list(range(len(loaded))), f"life {life}: each message once, in order"
            lost = messages[rows[0]["con_id"]] - len(loaded)
            assert 0 <= lost <= MOST_LOST.total_seconds() * RATE / STREAMS, f"life {life}: {lost} messages lost"
            (gap, *_) = [row for row in died if row["stream_id"] == stream_id]
            assert rows[-1]["received_at"] <= gap["began"] < rows[-1]["received_at"] + MOST_LOST
            assert (gap["ended"] is None) == (life == KILLS - 1), "it ends when the stream comes again"


def _sent(tws: Simulator, due: int) -> bool:
    return Counter(tws.counters.load_messages).total() >= due


def _numbers(rows: list[dict[str, Any]]) -> list[int]:
    """The running numbers of the messages behind a stream's rows: sizes that changed. Others are the market's own."""
    found, before = [], {"bid_size": None, "ask_size": None}
    for row in rows:
        found += [int(row[side]) - FIRST_SIZE for side in before if row[side] not in (before[side], None)]
        before = {side: row[side] for side in before}
    return [number for number in found if number >= 0]


def _live(registry: LiveRegistry) -> set[str]:
    """The quote streams that the recorder which is there now says are live."""
    state = registry.state()
    return {one.stream_id for one in state.streams if state.running and one.kind == "quote" and one.state == "live"}


def _by_life(rows: list[dict[str, Any]]) -> list[dict[str, list[dict[str, Any]]]]:
    """The rows of each recorder, by stream; a recorder's name begins the ids of its streams."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: row["seq"]):
        found[row["stream_id"].partition("-")[0]][row["stream_id"]].append(row)
    return list(found.values())
