"""What the journal's writer does with answers that the journal cannot hold: their own request ends, the others are
committed."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.broker.writer import Ended, Writer
from trading_assets.instrument import Instrument

COMPLETE = Outcome(OutcomeKind.COMPLETE)
GOOD = {"contracts": [{"con_id": 1}]}


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def commit(tmp_path: Path, ends: list[tuple[Outcome, Any]]) -> tuple[list[Result], list[Result]]:
    """The results as handed on, and as the journal holds them."""
    journal = Journal(f"sqlite:///{tmp_path / 'state.db'}")
    requests = [ContractDetailsRequest(Instrument(f"S{number}"), date(2024, 6, 3)) for number in range(len(ends))]
    claims = journal.claim(requests, datetime.now(UTC))
    handed: list[Result] = []
    writer = Writer(journal, handed.append, lambda error: pytest.fail(f"the writer failed: {error}"))
    at = datetime.now(UTC).timestamp()
    for claim, (outcome, payload) in zip(claims, ends, strict=True):
        writer.put(Ended(claim.request, claim.request_id, outcome, payload, 1, at, at))
    writer.close().result(timeout=300)
    return handed, journal.unapplied(["contracts"])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"bytes", nested(100_000), datetime(2024, 6, 3, tzinfo=UTC)]
)
def test_an_answer_that_cannot_be_packed_ends_its_request_alone(tmp_path: Path, value: Any) -> None:
    handed, kept = commit(tmp_path, [(COMPLETE, GOOD), (COMPLETE, {"contracts": value}), (COMPLETE, GOOD)])
    assert [(result.outcome.kind, result.payload) for result in handed] == [
        (OutcomeKind.COMPLETE, GOOD),
        (OutcomeKind.UNREADABLE, None),
        (OutcomeKind.COMPLETE, GOOD),
    ]
    assert "the journal cannot keep" in handed[1].outcome.text
    assert [result.payload for result in kept] == [GOOD, GOOD]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_end_that_nobody_waits_for_any_more_is_no_error(tmp_path: Path) -> None:
    journal = Journal(f"sqlite:///{tmp_path / 'state.db'}")
    (claim,) = journal.claim([ContractDetailsRequest(Instrument("S"), date(2024, 6, 3))], datetime.now(UTC))
    cancelled = threading.Event()
    before = set(threading.enumerate())
    writer = Writer(
        journal,
        lambda _: None if cancelled.wait(300) else pytest.fail("never cancelled"),
        lambda error: pytest.fail(f"the writer failed: {error}"),
    )
    (thread,) = set(threading.enumerate()) - before
    at = datetime.now(UTC).timestamp()
    writer.put(Ended(claim.request, claim.request_id, COMPLETE, GOOD, 1, at, at))
    assert writer.close().cancel()
    cancelled.set()
    thread.join(30)
    assert not thread.is_alive()
    assert [result.payload for result in journal.unapplied(["contracts"])] == [GOOD]


@pytest.mark.parametrize(
    ("code", "text"), [(10**31, "a code of 31 digits"), (162, "half a character \ud800"), (162, "a NUL \0 inside")]
)
def test_codes_and_texts_that_no_database_takes(tmp_path: Path, code: int, text: str) -> None:
    handed, kept = commit(tmp_path, [(Outcome(OutcomeKind.REJECTED, code, text), None), (COMPLETE, GOOD)])
    assert [result.payload for result in kept] == [None, GOOD]
    assert kept[0].outcome == handed[0].outcome


def test_a_damaged_response_is_an_answer_of_its_own_kind(tmp_path: Path) -> None:
    """One row that cannot be read does not keep the others from being read."""
    commit(tmp_path, [(COMPLETE, GOOD), (COMPLETE, GOOD)])
    journal = Journal(f"sqlite:///{tmp_path / 'state.db'}")
    with journal.engine.begin() as connection:
        connection.exec_driver_sql("update requests set response = x'00ff' where id = 1")
    damaged, good = journal.unapplied(["contracts"])
    assert (damaged.outcome.kind, damaged.payload) == (OutcomeKind.QUARANTINED, None)
    assert "damaged" in damaged.outcome.text
    assert good.payload == GOOD
