"""A run that is interrupted gives its claims back before it ends: the caller may go on at once, with the same
journal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker import claims
from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Claim, Journal
from trading_assets.broker.loop import LoopThread
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import Request
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state.tables import requests
from trading_assets_tests.broker.conftest import ONE_OF_EACH, wall_clock
from trading_assets_tests.coroutines import run_coroutine

PATIENCE = 60.0
"""Seconds to wait for another thread; it only ends a test that has failed."""


class SlowJournal(Journal):
    """Its second claim, and what it is given back, take until the test says so."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.claims = 0
        self.claiming, self.go_on = threading.Event(), threading.Event()

    def claim(self, requests: Sequence[Request], planned_at: datetime, *, run_id: str = "") -> list[Claim]:
        found = super().claim(requests, planned_at, run_id=run_id)
        self.claims += 1
        if self.claims == 2:
            self.claiming.set()
            assert self.go_on.wait(PATIENCE)
        return found

    def claimed(self) -> list[str]:
        """The keys that it holds."""
        mine = (requests.c.state != "done") & (requests.c.owner == self.owner.name)
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(requests.c.key).where(mine)).scalars())


def test_work_that_is_cancelled_ends_when_its_last_words_are_said() -> None:
    loop, said = LoopThread(), threading.Event()
    working, may_end = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            working.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.get_running_loop().run_in_executor(None, may_end.wait, PATIENCE)
            said.set()

    found = loop.submit(work())
    assert working.wait(PATIENCE)
    assert found.cancel() and not found.done()
    may_end.set()
    with pytest.raises(CancelledError):
        found.result(PATIENCE)
    assert said.is_set() and not found.cancel()
    loop.stop()


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_claimed_is_known_however_often_the_claim_is_cancelled(state_url: str, times: int) -> None:
    """A second Ctrl-C, or the end of the loop, comes while the first is waited for."""
    journal, claimed = Journal(state_url), list[claims.Job]()

    async def cancel() -> None:
        may_go_on = asyncio.Event()

        async def in_database_thread(function: Callable[[], Any]) -> Any:
            found = function()
            await may_go_on.wait()
            return found

        claimer = claims.Claimer(
            journal, in_database_thread, ONE_OF_EACH, wall_clock(), "", send=claimed.append, known=lambda _: None
        )
        work = asyncio.create_task(claimer.work())
        for _ in range(times):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            work.cancel()
        await asyncio.sleep(0)
        assert not work.done()
        may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work

    run_coroutine(cancel())
    assert len(claimed) == len(ONE_OF_EACH)
    journal.close()


def test_an_interrupt_during_a_claim_leaves_none(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "CLAIM_CHUNK", 4)
    monkeypatch.setattr(claims, "LOW_WATER", 2)
    settings = settings_for(simulate())
    journal = SlowJournal(settings.state_url)
    interrupts: list[Any] = [KeyboardInterrupt]

    def interrupt(*_: int) -> None:
        if interrupts:
            assert journal.claiming.wait(PATIENCE)
            threading.Timer(0.1, journal.go_on.set).start()
            raise interrupts.pop()

    broker = broker_for(settings, journal, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        broker.run(ONE_OF_EACH, planned_at=wall_clock())
    assert journal.claims == 2 and journal.go_on.is_set()
    assert journal.claimed() == []
    again = broker.run(ONE_OF_EACH, planned_at=wall_clock())
    assert {result.outcome.kind for result in again} == {OutcomeKind.COMPLETE}
    journal.close()
