"""What one collection did, in numbers and sentences: the same truth for metadata, checks and the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from trading_assets.broker.codes import remedy_of
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import Request
from trading_assets.repositories.schemas import Dataset

INTERRUPTED = "The run of that session was interrupted; this is what had come."
"""The reason of a chain of which a killed run brought a part."""


class ProblemKind(StrEnum):
    """Why something wanted is not in the lake."""

    PREREQUISITE_VIOLATION = "prerequisite_violation"
    """Something upstream is missing; no request was made."""
    FAILED = "failed"
    """A request ended without an answer."""
    PENDING = "pending"
    """Cannot be known yet (the session is not closed)."""
    PARTIAL = "partial"
    """Came, but not all of it: a quote without greeks."""
    DEFERRED = "deferred"
    """Left to a later run: this one was to send only so many requests."""
    LOST = "expired_lost"
    """No longer available."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is missing: whose, what, why, and what to do about it."""

    kind: ProblemKind
    symbol: str
    subject: str
    sentence: str
    outcome: str = ""
    broker_code: int | None = None

    def as_row(self) -> dict[str, Any]:
        """A flat record for tables and JSON."""
        return {
            "kind": str(self.kind),
            "symbol": self.symbol,
            "subject": self.subject,
            "outcome": self.outcome,
            "broker_code": self.broker_code,
            "sentence": self.sentence,
        }


@dataclass
class CollectionReport:
    """Counts of one collection.

    `planned`: requests the plan held, follow-ups included. `sent`: messages of requests that went to the broker,
    repeats after a failure included. `reused`: planned requests whose answer was already in the journal. `deferred`:
    requests left to a later run. `asked_by_symbol`: questions that went to the broker, a repeated one counted once.
    `saved`: requests that the same work would have cost with an empty archive, less those planned. `recovered`:
    sessions that answers which an interrupted run left are of; they were written first, and their rows are among
    `rows_by_symbol`. `conditions`: those of its sessions after the write, a row each
    (`repositories.conditions.CONDITION_SCHEMA`); None until somebody has asked the lake.
    """

    dataset: str
    session: date
    sessions: list[date] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    planned: int = 0
    sent: int = 0
    reused: int = 0
    saved: int = 0
    deferred: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows_by_symbol: dict[str, int] = field(default_factory=dict)
    recovered: set[date] = field(default_factory=set)
    asked_by_symbol: Counter[str] = field(default_factory=Counter)
    snapshots_used: dict[str, str] = field(default_factory=dict)
    conditions: pa.Table | None = None

    @property
    def rows(self) -> int:
        """Rows given to the lake."""
        return sum(self.rows_by_symbol.values())

    @property
    def complete(self) -> bool:
        """Whether everything wanted that is available is in the lake. Values that the broker did not give with a quote
        are notes, not failures."""
        return all(problem.kind is ProblemKind.PARTIAL for problem in self.problems)

    def add_rows(self, table: pa.Table) -> None:
        """Add the rows of a table that is given to the lake."""
        counts = table.group_by("symbol").aggregate([("symbol", "count")])
        added = Counter(dict(zip(counts["symbol"].to_pylist(), counts["symbol_count"].to_pylist(), strict=True)))
        self.rows_by_symbol = dict(sorted((Counter(self.rows_by_symbol) + added).items()))

    def count(self, results: Iterable[Result]) -> None:
        """Add the outcomes of results, and whose questions went to the broker."""
        found = list(results)
        self.outcomes.update(str(result.outcome.kind) for result in found)
        self.asked_by_symbol.update(result.request.instrument.symbol for result in found if not result.reused)

    def fail(self, results: Iterable[Result], *, harmless: frozenset[OutcomeKind], delayed: bool = False) -> None:
        """Report every result whose outcome is neither data nor `harmless`, and every answer of which a part cannot be
        stored.

        `delayed`: the settings ask for delayed market data.
        """
        for result in results:
            outcome = result.outcome
            if result.quarantined is not None and result.quarantined.held is not None:
                continue  # `collecting.units` reports it
            if result.quarantined is not None:
                outcome = Outcome(OutcomeKind.QUARANTINED, None, result.quarantined.reason)
            if outcome.kind is OutcomeKind.COMPLETE or outcome.kind in harmless:
                continue
            instrument = result.request.instrument
            self.problems.append(
                Problem(
                    ProblemKind.FAILED,
                    symbol=instrument.symbol,
                    subject=(
                        f"{type(result.request).kind}"
                        f" {instrument.local_symbol or instrument.last_trade or instrument.symbol}".strip()
                    ),
                    sentence=" ".join(filter(None, (as_sentence(outcome.text), remedy_of(outcome, delayed=delayed)))),
                    outcome=str(outcome.kind),
                    broker_code=outcome.code,
                )
            )

    def defer(self, requests: Sequence[Request]) -> None:
        """Report requests that are left to a later run, one problem a symbol."""
        self.deferred += len(requests)
        for symbol, count in sorted(Counter(request.instrument.symbol for request in requests).items()):
            sentence = f"{count} request(s) are left to a later run: this one may send only so many (max_requests)."
            self.problems.append(Problem(ProblemKind.DEFERRED, symbol, self.dataset, sentence))

    def violation(self, symbol: str, sentence: str) -> None:
        """Report a symbol whose prerequisite is missing."""
        self.problems.append(Problem(ProblemKind.PREREQUISITE_VIOLATION, symbol, self.dataset, sentence))

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "dataset": self.dataset,
            "session": self.session.isoformat(),
            "sessions": len(self.sessions),
            "first_session": self.sessions[0].isoformat() if self.sessions else None,
            "last_session": self.sessions[-1].isoformat() if self.sessions else None,
            "symbols": self.symbols,
            "planned": self.planned,
            "sent": self.sent,
            "reused": self.reused,
            "saved": self.saved,
            "deferred": self.deferred,
            "rows": self.rows,
            "rows_by_symbol": self.rows_by_symbol,
            "asked_by_symbol": dict(self.asked_by_symbol),
            "outcomes": dict(self.outcomes),
            "snapshots_used": self.snapshots_used,
            "problems": [problem.as_row() for problem in self.problems],
            "notes": self.notes,
        }


def as_sentence(text: str) -> str:
    """The broker's words, closed like a sentence."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


@dataclass
class Collected:
    """Rows of one dataset on their way to the lake, with their coverage and the journalled answers they came from."""

    dataset: Dataset
    table: pa.Table
    coverage: pa.Table
    request_ids: list[int]
    report: CollectionReport
    as_of: datetime
    """The market's instant of the collection (UTC): a session not closed by then is refused at the write."""
    reopened: pa.Table | None = None
    """Conditions that take the place of a `complete` as well: of stored bars that must be requested again."""
