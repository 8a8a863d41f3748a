"""A server of the state database that does not answer for a moment, or does for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker import breaker_store
from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.pacing import NO_DATABASE
from trading_assets.errors import BrokerError
from trading_assets.reliability import BreakerState, CircuitBreaker, Phase
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state, outages
from trading_assets_tests.broker.conftest import ONE_OF_EACH
from trading_assets_tests.observing import asked_once, eventually
from trading_assets_tests.postgresql_outages import GONE, lose_next_answer, outage

pytestmark = pytest.mark.timeout(120)


def raise_(error: Exception) -> None:
    raise error


def test_a_run_goes_on_after_an_outage_of_the_server(
    postgresql: str,
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Requests are in flight when it begins, and answers come while it lasts: nothing is asked twice."""
    simulator = simulate(latency=0.3)
    settings = settings_for(simulator, database_url=postgresql)
    journal = Journal(settings.state_url)
    waits: list[str] = []
    broker = broker_for(settings, journal, on_wait=lambda why, _: waits.append(why))
    found: list[Any] = []
    running = threading.Thread(target=lambda: found.extend(broker.run(ONE_OF_EACH, planned_at=journal.now())))
    running.start()
    eventually(lambda: len(simulator.counters.log) > 3, between_looks=0.01)
    with outage(postgresql):
        eventually(lambda: "does not answer" in caplog.text)
        eventually(lambda: simulator.counters.open_now["history"] == 0)
        assert running.is_alive() and NO_DATABASE in waits
    running.join(60)
    assert [result.outcome.kind for result in found] == [OutcomeKind.COMPLETE] * len(ONE_OF_EACH)
    assert asked_once(simulator) == len(ONE_OF_EACH)
    journal.close()


def test_an_outage_that_lasts_ends_the_run_so_that_it_is_repeated(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_for(simulate())
    journal = journal_for(settings)
    monkeypatch.setattr(outages, "OUTAGE_SECONDS", 0.05)
    monkeypatch.setattr(outages, "REPEAT_SECONDS", 0.02)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "record", lambda *_: raise_(GONE))
        with pytest.raises(BrokerError, match="cannot be written") as ended:
            broker_for(settings, journal).run(ONE_OF_EACH, planned_at=journal.now())
    assert ended.value.retryable
    results = broker_for(settings, journal).run(ONE_OF_EACH, planned_at=journal.now())
    assert {result.outcome.kind for result in results} == {OutcomeKind.COMPLETE}


def test_a_disk_that_is_full_on_the_server_stops_the_run_at_once(
    postgresql: str,
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
) -> None:
    """Claims and limits can be written, so that it could go on asking for what it cannot keep."""
    settings = settings_for(simulate(latency=0.05), database_url=postgresql)
    with Journal(settings.state_url).engine.begin() as connection:
        connection.exec_driver_sql(
            "create function full_disk() returns trigger language plpgsql as"
            " $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$"
        )
        connection.exec_driver_sql(
            "create trigger full_disk before update on requests for each row when (new.response is not null)"
            " execute function full_disk()"
        )
    journal = Journal(settings.state_url)
    with pytest.raises(BrokerError, match="No space left on device") as ended:
        broker_for(settings, journal).run(ONE_OF_EACH, planned_at=journal.now())
    assert not ended.value.retryable
    journal.close()


@pytest.mark.parametrize("state", ["closed", "open"])
def test_a_report_to_the_breaker_whose_answer_was_lost_counts_once(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DatabaseStore(connect_state(f"sqlite:///{tmp_path / 'state.db'}"))
    breaker = CircuitBreaker(2, 0, store=store)
    if state == "open":
        breaker.record_failure()
        breaker.record_failure()
    losses = lose_next_answer(monkeypatch, breaker_store)
    if state == "open":
        assert breaker.acquire() is Phase.HALF_OPEN, "the trial is this caller's"
    else:
        breaker.record_failure()
        assert breaker.state == BreakerState(failures=1)
    assert not losses


@pytest.mark.parametrize("call", ["now", "applied", "set_aside", "unapplied"])
def test_what_steps_ask_of_the_journal_waits_through_an_outage(
    call: str, postgresql: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(postgresql)
    journal.now()
    asked = {"now": journal.now, "unapplied": lambda: journal.unapplied(["equity_bars"])}
    ended = threading.Event()
    ask = asked.get(call, lambda: getattr(journal, call)([1]))
    asking = threading.Thread(target=lambda: (ask(), ended.set()))
    with outage(postgresql):
        asking.start()
        eventually(lambda: "does not answer" in caplog.text)
    assert ended.wait(30)
    journal.close()


OUTAGES = {
    "nobody listens": (sa.exc.OperationalError, None, True),
    "shut down": (sa.exc.OperationalError, "57P01", True),
    "starting": (sa.exc.OperationalError, "57P03", True),
    "connection lost": (sa.exc.OperationalError, "08006", True),
    "too many connections": (sa.exc.OperationalError, "53300", True),
    "replica": (sa.exc.InternalError, "25006", True),
    "full disk": (sa.exc.OperationalError, "53100", False),
    "lock not given": (sa.exc.OperationalError, "55P03", False),
    "statement took too long": (sa.exc.OperationalError, "57014", False),
    "wrong value": (sa.exc.DataError, "22001", False),
}


@pytest.mark.parametrize(("kind", "code", "expected"), OUTAGES.values(), ids=OUTAGES.keys())
def test_what_an_outage_is(kind: type[sa.exc.DBAPIError], code: str | None, expected: bool) -> None:
    class FromServer(Exception):
        pgcode = code

    assert outages.is_outage(kind("select", {}, FromServer("said"))) is expected


def test_all_that_waits_in_one_outage_waits_for_one_minute_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the end of a run, which asks several things one after the other, does not take as many minutes."""
    clock = Clock()
    monkeypatch.setattr(outages, "time", clock)
    retry, calls = outages.OutageRetry(), []

    def ask() -> None:
        calls.append(clock.now)
        raise GONE

    def attempts() -> int:
        calls.clear()
        with pytest.raises(sa.exc.OperationalError):
            retry(ask)
        return len(calls)

    per_second = 1 / outages.REPEAT_SECONDS
    assert attempts() == 1 + outages.OUTAGE_SECONDS * per_second
    assert attempts() == 1
    retry.begin()
    retry.interrupt()
    assert attempts() == 1 + outages.INTERRUPTED_SECONDS * per_second


class Clock:
    """Stands for the module `time`: who sleeps moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
