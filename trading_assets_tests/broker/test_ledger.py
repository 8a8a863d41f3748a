"""The transactions of pacing and the shared breaker, on each kind of database: limits hold over all owners."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker import pacing
from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.journal import Journal
from trading_assets.broker.ledger import HISTORY_SLOTS, MARKET_DATA_SLOTS, Ledger
from trading_assets.broker.pacing import IN_USE_ELSEWHERE, SMALL_BARS, Pacer
from trading_assets.broker.requests import BarsRequest, PacingClass
from trading_assets.instrument import Instrument
from trading_assets.reliability import BreakerOpen, CircuitBreaker, Phase
from trading_assets.settings import Settings
from trading_assets.state import read_transaction
from trading_assets.state.processes import process_birth
from trading_assets.state.tables import pacing_rate, pacing_small
from trading_assets_tests.coroutines import run_coroutine

ENDPOINT = "somewhere:7497"


@pytest.fixture
def journals(state_url: str) -> Iterator[Callable[[], Journal]]:
    made: list[Journal] = []

    def make() -> Journal:
        made.append(Journal(state_url))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def ledgers(journals: Callable[[], Journal], tmp_path: Path) -> Callable[[], Ledger]:
    settings = Settings(data_dir=tmp_path)  # type: ignore[call-arg]

    def make() -> Ledger:
        journal = journals()
        return Ledger(journal.engine, journal.owner.ensure(), ENDPOINT, settings)

    return make


def small(index: int) -> BarsRequest:
    """A request for 30-second bars, each of another contract."""
    end = datetime(2024, 6, 3, 18, tzinfo=UTC)
    session = date(2024, 6, 3)
    return BarsRequest(
        Instrument("AAA", con_id=1 + index),
        session,
        bar_size="30 secs",
        first_session=session,
        end=end,
        duration="1800 S",
    )


def stored_slots(ledger: Ledger) -> list[float]:
    """The latest message slots by the clock all owners share: no owner's reading of that clock blurs them."""
    with read_transaction(ledger._engine) as connection:
        stored = connection.execute(
            sa.select(pacing_rate.c.recent).where(pacing_rate.c.endpoint == ENDPOINT)
        ).scalar_one()
    slots: list[float] = json.loads(stored)
    assert slots == sorted(slots)
    assert len(slots) > 10
    return slots


def test_message_slots_of_several_owners_never_meet(ledgers: Callable[[], Ledger]) -> None:
    owners = [ledgers() for _ in range(3)]
    slots = [at for turn in range(12) for at in owners[turn % 3].take_messages(1 + turn % 8)]
    assert len(slots) == 46
    kept = stored_slots(owners[0])
    assert min(b - a for a, b in pairwise(kept)) > 0.009  # twice the rate of 48 a second, less the rounding of a clock
    assert all(late - early > 1.0 for early, late in zip(kept, kept[49:], strict=False))


def test_threads_that_ask_at_once_never_get_one_slot_twice(ledgers: Callable[[], Ledger]) -> None:
    owners = [ledgers() for _ in range(4)]
    taken: list[float] = []
    start = threading.Barrier(len(owners))

    def take(ledger: Ledger) -> None:
        start.wait()
        for _ in range(5):
            taken.extend(ledger.take_messages(2))

    threads = [threading.Thread(target=take, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40
    assert min(b - a for a, b in pairwise(stored_slots(owners[0]))) > 0.009


def test_small_bar_permits_are_shared_and_the_longest_waiting_is_first(ledgers: Callable[[], Ledger]) -> None:
    first, second = ledgers(), ledgers()
    assert first.take_small(small(0)).at is not None
    assert first.take_small(small(0)).at is None, "an identical request within 15 s"
    assert second.take_small(small(1)).at is None, "the first has waited longer"
    first.leave_queue()
    assert second.take_small(small(1)).at is not None


@pytest.mark.parametrize("kind", ["small bars", "real-time bars"])
def test_a_permit_whose_instant_a_busy_machine_missed_is_given_back(
    kind: str, ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 60 in ten minutes each is used; the one that was missed does not hold up the same request for 15 s."""
    ledger = ledgers()
    reached, misses = pacing._reached, iter([True, True, False])

    async def busy(at: float, loop: asyncio.AbstractEventLoop, **limits: float) -> bool:
        return await reached(at, loop, **limits) and not next(misses, False)

    async def ask() -> object:
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(ledger, database)
            asked = pacer.small_message(small(0)) if kind == "small bars" else pacer.realtime_bars("265598")
            return await asyncio.wait_for(asked, 10)

    monkeypatch.setattr(pacing, "_reached", busy)
    assert not run_coroutine(ask()), "it waits for nothing"
    with ledger._engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(pacing_small)).scalar_one() == 1


def test_whoever_looks_on_hears_until_when_the_limits_let_nothing_go(ledgers: Callable[[], Ledger]) -> None:
    ledger = ledgers()

    async def ask_twice() -> tuple[str, datetime]:
        told: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(ledger, database, lambda *wait: told.put_nowait(wait))
            await pacer.small_message(small(0))
            assert told.empty()
            again = asyncio.create_task(pacer.small_message(small(0)))
            try:
                return await asyncio.wait_for(told.get(), 20)
            finally:
                again.cancel()
                await asyncio.wait([again])

    why, until = run_coroutine(ask_twice())
    assert why == SMALL_BARS
    assert 2 < (until - datetime.now(UTC)).total_seconds() <= 16, "an identical request may follow after 15 s"


def test_no_slot_is_lent_on_while_it_is_decided_what_others_get(
    ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others get is decided by what this process said that it uses."""
    ledger, rebalance = ledgers(), Ledger.rebalance
    ready, deciding, decided = threading.Event(), threading.Event(), threading.Event()

    def slowly(self: Ledger, resource: str, in_use: int, waiting: int) -> tuple[int, int]:
        if ready.is_set():
            deciding.set()
            decided.wait(60)
        return rebalance(self, resource, in_use, waiting)

    async def ask() -> bool:
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(ledger, database)
            await asyncio.gather(*(pacer.acquire(PacingClass.HISTORY) for _ in range(2)))
            pacer.release(PacingClass.HISTORY)
            assert pacer.free_slots(PacingClass.HISTORY) == 1
            ready.set()
            await asyncio.to_thread(deciding.wait)
            more = asyncio.create_task(pacer.acquire(PacingClass.HISTORY))
            await asyncio.sleep(0)
            lent = more.done()
            decided.set()
            await asyncio.wait_for(more, 60)
            await pacer.close()
            return lent

    monkeypatch.setattr(Ledger, "rebalance", slowly)
    assert not run_coroutine(ask())


def test_a_line_is_anothers_once_the_broker_has_noticed_its_end(
    ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages of two connections may arrive in any order, those of one in theirs."""
    first, second = ledgers(), ledgers()
    first._limits[MARKET_DATA_SLOTS] = second._limits[MARKET_DATA_SLOTS] = 1
    monkeypatch.setattr(pacing, "WINDOW_MARGIN", 600.0)
    told = threading.Semaphore(0)

    class Told(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            told.release()
            return super().submit(*args, **kwargs)

    async def ask() -> tuple[int, int]:
        with Told(1) as database:
            pacer = Pacer(first, database)
            for _ in range(2):
                await asyncio.wait_for(pacer.acquire(PacingClass.MARKET_DATA), 60)
                pacer.release(PacingClass.MARKET_DATA)
            while told.acquire(blocking=False):
                """What was told before the line was given back."""
            await asyncio.to_thread(told.acquire)
            await asyncio.to_thread(told.acquire)
            held, _ = second.rebalance(MARKET_DATA_SLOTS, 0, 1)
            monkeypatch.setattr(pacing, "WINDOW_MARGIN", 0.0)
            while not (later := second.rebalance(MARKET_DATA_SLOTS, 0, 1)[0]):
                await asyncio.sleep(0.01)
            await pacer.close()
            return held, later

    assert run_coroutine(ask()) == (0, 1)


def test_whoever_looks_on_hears_that_other_processes_use_all_slots(
    ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.broker.pacing.TOLD_SECONDS", 0.01)
    first, second = ledgers(), ledgers()
    assert first.rebalance(HISTORY_SLOTS, 49, 0) == (49, 49)

    async def ask() -> tuple[str, datetime | None]:
        told: asyncio.Queue[tuple[str, datetime | None]] = asyncio.Queue()
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(second, database, lambda *wait: told.put_nowait(wait))
            turn = asyncio.create_task(pacer.acquire(PacingClass.HISTORY))
            try:
                heard = await asyncio.wait_for(told.get(), 20)
                first.rebalance(HISTORY_SLOTS, 0, 0)
                await asyncio.wait_for(turn, 20)
                pacer.release(PacingClass.HISTORY)
                return heard
            finally:
                turn.cancel()
                await pacer.close()

    assert run_coroutine(ask()) == (IN_USE_ELSEWHERE[HISTORY_SLOTS], None)


def test_slots_come_back_after_the_database_failed_and_are_lent_again(
    ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner lives on: nothing else would give them back."""
    monkeypatch.setattr(pacing, "REBALANCE_INTERVAL", 0.01)
    first, second, rebalance = ledgers(), ledgers(), Ledger.rebalance
    failing, failed = threading.Event(), threading.Semaphore(0)

    def broken(self: Ledger, resource: str, in_use: int, waiting: int) -> tuple[int, int]:
        if failing.is_set() and self is first:
            failed.release()
            raise sa.exc.OperationalError("rebalance", {}, Exception("server closed the connection unexpectedly"))
        return rebalance(self, resource, in_use, waiting)

    async def ask() -> None:
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(first, database)
            await asyncio.gather(*(pacer.acquire(PacingClass.HISTORY) for _ in range(49)))
            waiting = asyncio.create_task(pacer.acquire(PacingClass.HISTORY))
            await asyncio.sleep(0)
            failing.set()
            with pytest.raises(sa.exc.OperationalError):
                await asyncio.wait_for(waiting, 60)
            while failed.acquire(blocking=False):
                """Failures before the requests end."""
            for _ in range(49):
                pacer.release(PacingClass.HISTORY)
            assert pacer.free_slots(PacingClass.HISTORY) == 0, "nothing is lent by what was decided before"
            await asyncio.wait_for(asyncio.to_thread(failed.acquire), 60)
            assert rebalance(second, HISTORY_SLOTS, 0, 49)[0] == 0, "the limit holds: the first one still has them"
            failing.clear()
            while rebalance(second, HISTORY_SLOTS, 0, 49)[0] < 49:
                await asyncio.sleep(0.01)
            rebalance(second, HISTORY_SLOTS, 0, 0)
            await asyncio.wait_for(pacer.acquire(PacingClass.HISTORY), 60)
            assert rebalance(second, HISTORY_SLOTS, 0, 49)[0] < 49, "the ledger counts the slot in use"
            pacer.release(PacingClass.HISTORY)
            await pacer.close()

    monkeypatch.setattr(Ledger, "rebalance", broken)
    run_coroutine(asyncio.wait_for(ask(), 120))


def test_what_one_failure_leaves_at_the_end_is_one_resource(
    ledgers: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, rebalance = ledgers(), ledgers(), Ledger.rebalance
    rebalance(first, HISTORY_SLOTS, 49, 0)
    lines, _ = rebalance(first, MARKET_DATA_SLOTS, 10, 0)
    free, _ = rebalance(second, MARKET_DATA_SLOTS, 0, 1000)

    def broken(self: Ledger, resource: str, in_use: int, waiting: int) -> tuple[int, int]:
        if resource == HISTORY_SLOTS:
            raise sa.exc.OperationalError("rebalance", {}, Exception("server closed the connection unexpectedly"))
        return rebalance(self, resource, in_use, waiting)

    async def close() -> None:
        with ThreadPoolExecutor(1) as database:
            await Pacer(first, database).close()

    monkeypatch.setattr(Ledger, "rebalance", broken)
    run_coroutine(close())
    assert rebalance(second, MARKET_DATA_SLOTS, 0, 1000)[0] == free + lines


def test_who_is_cancelled_as_the_database_fails_gives_no_slot_back(ledgers: Callable[[], Ledger]) -> None:
    """It had none: the next one would be one too many."""

    async def ask() -> int:
        with ThreadPoolExecutor(1) as database:
            pacer = Pacer(ledgers(), database)
            asking = asyncio.create_task(pacer.acquire(PacingClass.HISTORY))
            await asyncio.sleep(0)
            slots = pacer._slots[HISTORY_SLOTS]
            slots.waiters.popleft().set_exception(sa.exc.OperationalError("rebalance", {}, Exception("gone")))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            in_use = slots.in_use
            await pacer.close()
            return in_use

    assert run_coroutine(ask()) == 0


def test_open_slots_are_divided_and_those_of_a_closed_owner_come_back(
    ledgers: Callable[[], Ledger], journals: Callable[[], Journal]
) -> None:
    first = ledgers()
    leaver = journals()
    settings = Settings(data_dir=Path("unused"))  # type: ignore[call-arg]
    second = Ledger(leaver.engine, leaver.owner.ensure(), ENDPOINT, settings)
    assert first.rebalance(HISTORY_SLOTS, 0, 1000) == (49, 49)
    assert second.rebalance(HISTORY_SLOTS, 0, 1000) == (0, 0)
    held, target = first.rebalance(HISTORY_SLOTS, 49, 951)
    assert held == 49
    assert target in (24, 25)
    held, _ = first.rebalance(HISTORY_SLOTS, target, 951)
    assert held == target
    assert second.rebalance(HISTORY_SLOTS, 0, 1000)[0] == 49 - target
    leaver.close()
    assert first.rebalance(HISTORY_SLOTS, target, 951) == (49, 49)


def test_the_breaker_is_shared(journals: Callable[[], Journal]) -> None:
    one, other = (CircuitBreaker(2, 1000, store=DatabaseStore(journals().engine)) for _ in range(2))
    one.record_failure()
    assert other.acquire() is Phase.CLOSED
    other.record_failure()
    with pytest.raises(BreakerOpen):
        one.acquire()
    patient = CircuitBreaker(2, 0, store=DatabaseStore(journals().engine))
    assert patient.acquire() is Phase.HALF_OPEN
    patient.record_success()
    assert one.acquire() is Phase.CLOSED


def test_a_process_that_is_gone_has_no_birth() -> None:
    assert process_birth(2**22 + 1) is None
