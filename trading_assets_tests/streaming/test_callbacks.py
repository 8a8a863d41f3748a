"""Whoever is handed updates: a slow or raising callback loses its own and delays nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from trading_assets.streaming import callbacks
from trading_assets.streaming.callbacks import AsyncUpdates, CallbackThread
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.observing import eventually
from trading_assets_tests.streaming.live_rows import quote


def test_each_update_is_given_once_and_in_order() -> None:
    seen: list[int] = []
    thread = CallbackThread(lambda one: seen.append(one.seq))
    for first in range(0, 1_000, 10):
        thread.put([quote(seq) for seq in range(first, first + 10)])
    eventually(lambda: thread.counts().delivered == 1_000)
    assert seen == list(range(1_000))
    assert thread.counts().sentence() == ""
    thread.close()
    thread.put([quote(1_000)])
    assert len(seen) == 1_000


def test_one_that_raises_is_called_again_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def odd_only(one: QuoteUpdate) -> Any:
        if one.seq % 2 == 0:
            raise ValueError(f"no even numbers: {one.seq}")
        seen.append(one.seq)

    thread = CallbackThread(odd_only)
    thread.put([quote(seq) for seq in range(10)])
    eventually(lambda: len(seen) == 5 and thread.counts().failed == 5)
    counts = thread.counts()
    assert (counts.delivered, counts.lost, counts.error) == (5, 0, "ValueError: no even numbers: 8")
    assert counts.sentence().endswith(
        "odd_only raised 5 time(s), last ValueError: no even numbers: 8. The recording is not affected."
    )
    assert len(caplog.records) == 1, "it is logged once, however often it raises"
    thread.close()


def test_a_slow_one_loses_the_oldest_and_no_other_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "WAITING_MOST", 100)
    begun, go_on = threading.Event(), threading.Event()
    slow_saw: list[int] = []
    quick_saw: list[int] = []

    def slow(one: QuoteUpdate) -> None:
        begun.set()
        go_on.wait(10)
        slow_saw.append(one.seq)

    threads = [CallbackThread(slow), CallbackThread(lambda one: quick_saw.append(one.seq))]
    for thread in threads:
        thread.put([quote(0)])
    assert begun.wait(10)
    for first in range(1, 500, 50):
        for thread in threads:
            thread.put([quote(seq) for seq in range(first, first + 50)])
        eventually(lambda upto=first + 50: len(quick_saw) == upto)  # type: ignore[misc]
    assert threads[0].counts().lost == 400 and threads[0].counts().waiting == 100
    assert threads[1].counts().lost == 0
    go_on.set()
    eventually(lambda: len(slow_saw) == 101)
    assert slow_saw == [0, *range(401, 501)], "the oldest are lost, the newest come in order"
    for thread in threads:
        thread.close()


def test_an_event_loop_is_handed_what_another_thread_puts() -> None:
    async def collect() -> list[int]:
        updates = AsyncUpdates()
        writer = threading.Thread(target=lambda: [updates.put([quote(seq)]) for seq in range(200)])
        writer.start()
        seen = []
        async for one in updates:
            seen.append(one.seq)
            if len(seen) == 200:
                break
        writer.join()
        assert updates.counts().delivered == 200
        return seen

    assert run_coroutine(asyncio.wait_for(collect(), 10)) == list(range(200))


def test_a_loop_that_has_ended_delays_nobody() -> None:
    async def make() -> AsyncUpdates:
        return AsyncUpdates()

    abandoned = run_coroutine(make())
    abandoned.put([quote(0)])
    assert abandoned.counts().waiting == 1
