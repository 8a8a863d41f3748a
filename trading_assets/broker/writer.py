"""The journal's writer: a thread that commits sends and ends in batches, and hands an answer on only once it is
committed. Instants are this machine's until then; what is committed and handed on has those of the state database."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from trading_assets.broker.journal import Finish, Journal
from trading_assets.broker.journal_rows import count_rows
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.payloads import pack
from trading_assets.broker.requests import Request
from trading_assets.errors import BrokerError
from trading_assets.state.engine import clock_ahead
from trading_assets.state.outages import is_outage

BATCH = 500
"""Rows of one transaction at most."""

LINGER = 0.005
"""Seconds an answer may wait for others before it is committed: a quarter of a message slot, and most commits saved
when answers come fast."""

SENT_LINGER = 0.1
"""Seconds a mark "sent" may wait for an answer to be committed with: it is for accounts only, a lost one loses no
data."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that has just been sent."""

    request_id: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that has ended."""

    request: Request
    request_id: int
    outcome: Outcome
    payload: Any
    attempt: int
    sent_at: float | None
    at: float


class Writer:
    """Thread-safe. `committed(result)` is called in the writer's thread after the commit; `failed(error)` when the
    database fails for longer than an outage of its server may last."""

    def __init__(
        self, journal: Journal, committed: Callable[[Result], None], failed: Callable[[BaseException], None]
    ) -> None:
        self._journal = journal
        self._committed = committed
        self._failed = failed
        self._items: queue.SimpleQueue[Sent | Ended | Future[None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def put(self, item: Sent | Ended) -> None:
        """Hand over a send or an end."""
        self._items.put(item)

    def close(self) -> Future[None]:
        """Ask the thread to end; the future is done when all before it is committed, or has the database's error."""
        done: Future[None] = Future()
        self._items.put(done)
        return done

    def _work(self) -> None:
        error: BaseException | None = None
        while True:
            batch, done = self._batch()
            if error is None:
                try:
                    self._hand_on(self._journal.retry(partial(self._commit, batch)))
                except BaseException as caught:
                    error = caught
                    self._failed(error)
            if done is not None:
                if done.set_running_or_notify_cancel():  # an interrupted run no longer waits for it
                    done.set_exception(error) if error is not None else done.set_result(None)
                return

    def _batch(self) -> tuple[list[Sent | Ended], Future[None] | None]:
        """What has arrived, waiting for the first item and lingering a little for more."""
        batch: list[Sent | Ended] = []
        deadline = float("inf")
        while len(batch) < BATCH:
            try:
                item = self._items.get(timeout=max(0.0, deadline - time.monotonic()) if batch else None)
            except queue.Empty:
                break
            if isinstance(item, Future):
                return batch, item
            batch.append(item)
            deadline = min(deadline, time.monotonic() + (LINGER if isinstance(item, Ended) else SENT_LINGER))
        return batch, None

    def _commit(self, batch: list[Sent | Ended]) -> list[Ended]:
        """The ends of the batch, committed. Safe to repeat."""
        ahead = clock_ahead(self._journal.engine)
        batch = [_shifted(item, ahead) for item in batch] if ahead else batch
        packed = [_packed(item) for item in batch if isinstance(item, Ended)]
        ended = [item for item, _ in packed]
        over = {item.request_id for item in ended}
        sent = [
            (item.request_id, item.attempt, item.at)
            for item in batch
            if isinstance(item, Sent) and item.request_id not in over
        ]
        self._journal.record(sent, [_finish(item, response) for item, response in packed])
        return ended

    def _hand_on(self, ended: list[Ended]) -> None:
        for item in ended:
            self._committed(
                Result(item.request, item.outcome, item.payload, item.request_id, datetime.fromtimestamp(item.at, UTC))
            )


def failed_journal(error: BaseException) -> BrokerError:
    """What ends a run whose state database fails: what cannot be journalled must not be asked for."""
    why = str(error).partition("\n")[0]  # what follows is the statement, with answers in it
    failure = BrokerError(
        f"The journal cannot be written ({why}): nothing more is sent. Check the state database and its disk, then run"
        " again."
    )
    failure.retryable = is_outage(error)
    return failure


def _shifted(item: Sent | Ended, ahead: float) -> Sent | Ended:
    """With its instants by a clock that is so many seconds ahead."""
    if isinstance(item, Sent):
        return replace(item, at=item.at + ahead)
    return replace(item, at=item.at + ahead, sent_at=None if item.sent_at is None else item.sent_at + ahead)


def _packed(item: Ended) -> tuple[Ended, bytes | None]:
    """The end as the journal can hold it, with its response. An answer that cannot be packed ends its own request and
    no other."""
    outcome = replace(item.outcome, code=_code(item.outcome.code), text=_text(item.outcome.text))
    if item.payload is None:
        return replace(item, outcome=outcome), None
    try:
        return replace(item, outcome=outcome), pack(item.payload)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        sentence = (
            f"The answer holds what the journal cannot keep ({error}), so nothing of it was taken; this says nothing"
            " about whether there is data."
        )
        return replace(item, outcome=Outcome(OutcomeKind.UNREADABLE, None, _text(sentence)), payload=None), None


def _code(code: int | None) -> int | None:
    """A code as databases can hold it; no code of the broker has more than five digits."""
    return code if code is None or abs(code) < 2**31 else None


def _text(text: str) -> str:
    """Text without what databases refuse: lone surrogates and NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _finish(item: Ended, response: bytes | None) -> Finish:
    return Finish(
        item.request_id, item.outcome, response, count_rows(item.payload), item.attempt, item.sent_at, item.at
    )
