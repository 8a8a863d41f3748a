"""Messages that could not be read and carried no usable request id: whose answer they were shows in who gets none.

A message that is an answer by itself (bars), or ends one (an error, an end), belongs to one of the requests open at
that moment. Those that get their end were not meant. When no more are left than messages were lost, those are the ones:
they end after a short grace, without waiting for their timeout. The grace is for messages that were nobody's here
(about an order, or a request of an earlier session): the answer is then on its way. At the timeout a request in doubt
ends as `unreadable` as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from trading_assets.broker.collectors import Collector
from trading_assets.broker.outcomes import Outcome

GRACE = 1.0
"""Seconds in which the answer of the last requests in doubt may still come."""


class Doubts:
    """The requests in doubt of one connection, by the kind of message that was lost."""

    def __init__(self) -> None:
        self._lost: dict[int, int] = {}
        self._suspects: dict[int, list[Collector]] = {}

    def add(self, kind: int, suspects: Sequence[tuple[Collector, Outcome]]) -> None:
        """One message of a kind was lost; each of the suspects with the outcome it gets if it was its answer."""
        if not suspects:
            return
        known = self._suspects.setdefault(kind, [])
        self._lost[kind] = self._lost.get(kind, 0) + 1
        for collector, outcome in suspects:
            collector.doubt = outcome
            if collector not in known:
                known.append(collector)
                collector.answer.add_done_callback(partial(self._cleared, kind, collector))
        self._judge(kind)

    def _cleared(self, kind: int, collector: Collector, _answer: object) -> None:
        if collector in (known := self._suspects.get(kind, [])):
            known.remove(collector)
            self._judge(kind)

    def _judge(self, kind: int) -> None:
        if len(self._suspects[kind]) > self._lost[kind]:
            return
        guilty = self._suspects.pop(kind)
        del self._lost[kind]
        for collector in guilty:
            if collector.doubt is not None:
                asyncio.get_running_loop().call_later(GRACE, collector.give_up, collector.doubt)
