"""The journal: one owner a question, no answer lost, no answered question asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from trading_assets.broker.journal import ClaimState, Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.instrument import Instrument
from trading_assets.state import read_transaction
from trading_assets.state.tables import requests as requests_table
from trading_assets_tests.journals import mark_done, mark_sent

SESSION = date(2024, 6, 3)
COMPLETE = Outcome(OutcomeKind.COMPLETE)
TIMEOUT = Outcome(OutcomeKind.TIMEOUT, None, "No answer within 3 s.")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def ask(symbol: str) -> ContractDetailsRequest:
    return ContractDetailsRequest(Instrument(symbol), SESSION)


def payload(symbol: str) -> dict[str, Any]:
    return {"contracts": [{"symbol": symbol}]}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def journals(state_url: str) -> Iterator[Callable[[], Journal]]:
    made: list[Journal] = []

    def make() -> Journal:
        made.append(Journal(state_url))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


def states(journal: Journal, *symbols: str, planned_at: datetime = LONG_AGO) -> list[ClaimState]:
    return [claim.state for claim in journal.claim([ask(symbol) for symbol in symbols], planned_at)]


def test_a_question_is_sent_by_one_and_waited_for_by_others(journals: Callable[[], Journal]) -> None:
    first, second = journals(), journals()
    assert states(first, "A", "B") == [ClaimState.SEND, ClaimState.SEND]
    assert states(second, "B", "C") == [ClaimState.WAIT, ClaimState.SEND]
    assert states(first, "A") == [ClaimState.WAIT]


def test_an_answer_that_is_not_in_the_lake_is_known_to_everybody(journals: Callable[[], Journal]) -> None:
    first, second = journals(), journals()
    [claim] = first.claim([ask("A")], now())
    mark_sent(first, [claim.request_id])
    mark_done(first, claim.request_id, COMPLETE, payload("A"))

    [known] = second.claim([ask("A")], now())

    assert known.state is ClaimState.KNOWN
    assert known.result is not None
    assert (known.result.request, known.result.outcome, known.result.payload) == (ask("A"), COMPLETE, payload("A"))
    assert known.result.reused
    assert [result.payload for result in second.unapplied(["contracts"])] == [payload("A")]
    assert second.unapplied(["option_chains"]) == []
    assert second.unapplied(["contracts"], symbols=["B"]) == []


def test_an_applied_answer_is_known_to_plans_made_before_it_and_no_others(journals: Callable[[], Journal]) -> None:
    journal = journals()
    before = now()
    [claim] = journal.claim([ask("A")], before)
    mark_done(journal, claim.request_id, COMPLETE, payload("A"))
    journal.applied([claim.request_id])

    [known] = journal.claim([ask("A")], before)
    assert known.state is ClaimState.KNOWN
    assert known.result is not None
    assert known.result.payload is None
    assert journal.unapplied(["contracts"]) == []
    assert states(journal, "A", planned_at=now() + timedelta(seconds=1)) == [ClaimState.SEND]


def test_applied_drops_the_response_and_keeps_the_row(journals: Callable[[], Journal]) -> None:
    journal = journals()
    [claim] = journal.claim([ask("A")], now())
    mark_done(journal, claim.request_id, COMPLETE, payload("A"))
    journal.applied([claim.request_id])
    with read_transaction(journal.engine) as connection:
        row = connection.execute(sa.select(requests_table)).one()
    assert (row.state, row.outcome, row.rows, row.response) == ("done", "complete", 1, None)
    assert row.applied_at is not None


def test_what_was_sent_is_kept_for_good(journals: Callable[[], Journal]) -> None:
    """Rows of the lake name requests. Given up, applied, set aside, of a process that ended: only the row of a claim
    that was never sent goes."""
    journal = journals()
    claims = journal.claim([ask(symbol) for symbol in ("A", "B", "C", "D", "E")], LONG_AGO)
    _, in_flight, stored, bad, failed = ids = [claim.request_id for claim in claims]
    mark_sent(journal, ids[1:])
    for number in (stored, bad):
        mark_done(journal, number, COMPLETE, payload("A"))
    mark_done(journal, failed, TIMEOUT)
    journal.set_aside([bad])
    journal.applied([stored, bad])
    journal.release(ids)
    journal.close()
    with read_transaction(journals().engine) as connection:
        kept = set(connection.execute(sa.select(requests_table.c.id)).scalars())
    assert kept == {in_flight, stored, bad, failed}


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind.retryable])
def test_a_failure_that_may_pass_is_no_answer(kind: OutcomeKind, journals: Callable[[], Journal]) -> None:
    journal = journals()
    [claim] = journal.claim([ask("A")], LONG_AGO)
    mark_done(journal, claim.request_id, Outcome(kind))
    assert journal.unapplied(["contracts"]) == []
    assert states(journal, "A") == [ClaimState.SEND]


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind.answers])
def test_a_lasting_refusal_is_an_answer(kind: OutcomeKind, journals: Callable[[], Journal]) -> None:
    journal = journals()
    [claim] = journal.claim([ask("A")], LONG_AGO)
    mark_done(journal, claim.request_id, Outcome(kind, 1, "text"))
    assert states(journal, "A") == [ClaimState.KNOWN]


def test_the_first_answer_stands(journals: Callable[[], Journal]) -> None:
    journal = journals()
    [claim] = journal.claim([ask("A")], LONG_AGO)
    mark_done(journal, claim.request_id, COMPLETE, payload("A"))
    mark_done(journal, claim.request_id, TIMEOUT)
    [result] = journal.unapplied(["contracts"])
    assert result.outcome == COMPLETE


def test_what_a_closed_owner_had_open_is_taken_over(journals: Callable[[], Journal]) -> None:
    first, second = journals(), journals()
    [claim, _] = first.claim([ask("A"), ask("B")], now())
    mark_sent(first, [claim.request_id])
    waits = second.claim([ask("A"), ask("B")], now())
    assert {w.state for w in waits} == {ClaimState.WAIT}
    assert not second.moved([w.request_id for w in waits])
    first.close()
    assert second.moved([w.request_id for w in waits])
    taken = second.claim([ask("A"), ask("B")], now())
    assert [(c.state, c.attempts) for c in taken] == [(ClaimState.SEND, 1), (ClaimState.SEND, 0)]
    assert [c.request_id for c in taken] == [w.request_id for w in waits]


def test_released_claims_are_free_at_once(journals: Callable[[], Journal]) -> None:
    first, second = journals(), journals()
    claims = first.claim([ask("A"), ask("B")], now())
    mark_sent(first, [claims[0].request_id])
    first.release([claim.request_id for claim in claims])
    assert states(second, "A", "B") == [ClaimState.SEND, ClaimState.SEND]


class OneAnswerEach(RuleBasedStateMachine):
    """Three journals on one database, closing and coming back at any moment: an answered question is never sent again
    while its answer is not in the lake, two live owners never have the same question, every answer is in `unapplied`
    until applied."""

    symbols = Bundle("symbols")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{self.folder.name}/state.db"
        self.journals = [Journal(self.url) for _ in range(3)]
        self.open: dict[str, tuple[int, int]] = {}
        self.answered: dict[str, int] = {}

    @rule(who=st.integers(0, 2), symbols=st.sets(st.sampled_from("ABCDE"), min_size=1))
    def claim(self, who: int, symbols: set[str]) -> None:
        claims = self.journals[who].claim([ask(symbol) for symbol in sorted(symbols)], now() + timedelta(hours=1))
        for symbol, claim in zip(sorted(symbols), claims, strict=True):
            if symbol in self.answered:
                assert claim.state is ClaimState.KNOWN
            elif symbol in self.open:
                assert claim.state is ClaimState.WAIT
            else:
                assert claim.state is ClaimState.SEND
                self.open[symbol] = (who, claim.request_id)

    @rule(symbol=st.sampled_from("ABCDE"), succeeds=st.booleans())
    def finish(self, symbol: str, succeeds: bool) -> None:
        if symbol in self.open:
            who, row = self.open.pop(symbol)
            mark_done(self.journals[who], row, *((COMPLETE, payload(symbol)) if succeeds else (TIMEOUT,)))
            if succeeds:
                self.answered[symbol] = row

    @rule(symbol=st.sampled_from("ABCDE"), who=st.integers(0, 2))
    def apply(self, symbol: str, who: int) -> None:
        if symbol in self.answered:
            self.journals[who].applied([self.answered.pop(symbol)])

    @rule(who=st.integers(0, 2))
    def restart(self, who: int) -> None:
        self.journals[who].close()
        self.journals[who] = Journal(self.url)
        self.open = {symbol: place for symbol, place in self.open.items() if place[0] != who}

    @invariant()
    def answers_wait_for_the_lake(self) -> None:
        if hasattr(self, "journals"):
            assert {r.request.symbol: r.payload for r in self.journals[0].unapplied(["contracts"])} == {
                s: payload(s) for s in self.answered
            }

    def teardown(self) -> None:
        if hasattr(self, "journals"):
            for journal in self.journals:
                journal.close()
            self.folder.cleanup()


OneAnswerEach.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOneAnswerEach = OneAnswerEach.TestCase
