"""The state database fails for a moment: no claim stays with a run that has ended, and answers are journalled first."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker import journal as journal_module
from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import ClaimState, Finish, Journal
from trading_assets.broker.ledger import Ledger
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.errors import BrokerError, BrokerUnavailable
from trading_assets.reliability import CircuitBreaker
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import owners
from trading_assets.state.owners import live_owners
from trading_assets.state.tables import requests
from trading_assets_tests.broker.conftest import ONE_OF_EACH, SESSION
from trading_assets_tests.observing import asked_once, eventually
from trading_assets_tests.postgresql_outages import lose_next_answer

pytestmark = pytest.mark.timeout(120)

BROKEN = sa.exc.OperationalError("commit", {}, sqlite3.OperationalError("disk I/O error"))


class FailingJournal(Journal):
    """Fails as often as the test says: when an end is committed, when claims are given back."""

    def __init__(self, url: str, *, ends: int = 0, releases: int = 0) -> None:
        super().__init__(url)
        self.ends, self.releases = ends, releases

    def record(self, sent: Sequence[tuple[int, int, float]], finished: Sequence[Finish]) -> None:
        if finished and self.ends:
            self.ends -= 1
            raise BROKEN
        super().record(sent, finished)

    def release(self, request_ids: Sequence[int]) -> None:
        if not self.releases:
            super().release(request_ids)
            return
        self.releases -= 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal_module, "write_transaction", unavailable)
            super().release(request_ids)

    def claimed(self) -> int:
        """The open rows that it has."""
        mine = (requests.c.state != "done") & (requests.c.owner == self.owner.name)
        with self.engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one()


def unavailable(*_: Any, **__: Any) -> Any:
    raise BROKEN


@pytest.mark.parametrize("releases", [0, 1], ids=["given back", "not given back"])
def test_after_a_failed_write_the_same_run_again_brings_everything(
    releases: int,
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
) -> None:
    settings = settings_for(simulate(latency=0.1))
    journal = FailingJournal(settings.state_url, ends=1, releases=releases)
    broker = broker_for(settings, journal)
    with pytest.raises(BrokerError, match=r"The journal cannot be written \([^\n]*then run again"):
        broker.run(ONE_OF_EACH, planned_at=journal.now())
    if not releases:
        assert journal.claimed() == 0, "others may have them at once"
        other = journal_for(settings)
        claims = other.claim(ONE_OF_EACH, journal.now())
        assert {claim.state for claim in claims} == {ClaimState.SEND}
        other.release([claim.request_id for claim in claims])
    again = broker.run(ONE_OF_EACH, planned_at=journal.now())
    assert {result.outcome.kind for result in again} == {OutcomeKind.COMPLETE} and len(again) == len(ONE_OF_EACH)
    assert journal.claimed() == 0
    journal.close()


def test_a_claim_whose_answer_was_lost_is_made_again(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate()
    settings = settings_for(simulator)
    journal = journal_for(settings)
    journal.owner.ensure()
    losses = lose_next_answer(monkeypatch, journal_module)
    results = broker_for(settings, journal).run(ONE_OF_EACH, planned_at=journal.now())
    assert not losses
    assert {result.outcome.kind for result in results} == {OutcomeKind.COMPLETE}
    assert asked_once(simulator) == len(ONE_OF_EACH)


def test_two_runs_of_one_journal_never_have_one_request(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    journal_for: Callable[[Settings], Journal],
) -> None:
    journal = journal_for(settings_for(simulate()))
    first = journal.claim(ONE_OF_EACH, journal.now())
    assert {claim.state for claim in first} == {ClaimState.SEND}
    ids = [claim.request_id for claim in first]
    assert {claim.state for claim in journal.claim(ONE_OF_EACH, journal.now())} == {ClaimState.WAIT}
    assert not journal.moved(ids)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(sa.exc.OperationalError):
        patch.setattr(journal_module, "write_transaction", unavailable)
        journal.release(ids)
    assert journal.moved(ids), "nobody works on them any more"
    assert {claim.state for claim in journal.claim(ONE_OF_EACH, journal.now())} == {ClaimState.SEND}
    assert {claim.state for claim in journal.claim(ONE_OF_EACH, journal.now())} == {ClaimState.WAIT}


def test_an_answer_is_journalled_whatever_becomes_of_the_circuit_breaker(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate()
    settings = settings_for(simulator)
    journal = journal_for(settings)
    with monkeypatch.context() as patch:
        patch.setattr(CircuitBreaker, "record_success", unavailable)
        with pytest.raises(BrokerError, match="cannot be written"):
            broker_for(settings, journal).run(ONE_OF_EACH[:1], planned_at=journal.now())
    asked = len(simulator.counters.log)
    (found,) = broker_for(settings, journal).run(ONE_OF_EACH[:1], planned_at=journal.now())
    assert found.reused and found.outcome.kind is OutcomeKind.COMPLETE
    assert len(simulator.counters.log) == asked


def test_that_the_broker_is_unreachable_is_said_where_the_breaker_cannot_be_written(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate()
    settings = settings_for(simulator, reconnect_timeout=0.1)
    simulator.stop()
    journal = journal_for(settings)
    monkeypatch.setattr(CircuitBreaker, "record_failure", unavailable)
    with pytest.raises(BrokerUnavailable):
        broker_for(settings, journal).run(ONE_OF_EACH[:1], planned_at=journal.now())


def test_claims_that_could_not_be_given_back_are_free_with_the_next_heartbeat(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT", 0.02)
    settings = settings_for(simulate())
    journal, other = FailingJournal(settings.state_url, releases=1), journal_for(settings)
    ids = [claim.request_id for claim in journal.claim(ONE_OF_EACH, journal.now())]
    kept, given_back = ids[:2], ids[2:]
    with pytest.raises(sa.exc.OperationalError):
        journal.release(given_back)
    eventually(lambda: journal.claimed() == len(kept), between_looks=0.01)
    states = [claim.state for claim in other.claim(ONE_OF_EACH, other.now())]
    assert states == [ClaimState.WAIT] * len(kept) + [ClaimState.SEND] * len(given_back)
    journal.close()


def test_an_archive_gives_all_back_where_the_limits_could_not_be(
    simulate: Callable[..., Simulator], settings_for: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate()
    settings = settings_for(simulator)
    archive = Archive(settings)
    archive.ask(
        ONE_OF_EACH[3:4], CollectionReport(EQUITY_BARS.name, SESSION), planned_at=archive.journal.now(), run_id=""
    )
    owner, engine = archive.journal.owner.name, archive.journal.engine
    threads = {one for one in threading.enumerate() if one.name.startswith("broker-state")}
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "rebalance", unavailable)
        archive.close()
    assert not [one for one in threads if one.is_alive()]
    eventually(lambda: simulator.counters.open_now["clients"] == 0)
    with engine.connect() as connection:
        assert owner not in live_owners(connection)


def test_a_run_that_is_cancelled_while_it_ends_leaves_no_claim_in_its_journal(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: Callable[..., Broker],
    journal_for: Callable[[Settings], Journal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate(latency=30)
    settings = settings_for(simulator)
    journal = journal_for(settings)
    broker = broker_for(settings, journal)
    releasing, go_on = threading.Event(), threading.Event()

    def slow_release(request_ids: Sequence[int]) -> None:
        releasing.set()
        go_on.wait(60)
        raise BROKEN

    with monkeypatch.context() as patch:
        patch.setattr(journal, "release", slow_release)
        work = broker.start(ONE_OF_EACH, journal.now(), lambda _: None)
        eventually(lambda: simulator.counters.open_now["history"], between_looks=0.01)
        work.cancel()
        assert releasing.wait(60)
        work.cancel()
        go_on.set()
        with pytest.raises(CancelledError):
            work.result(60)
    assert {claim.state for claim in journal.claim(ONE_OF_EACH, journal.now())} == {ClaimState.SEND}
