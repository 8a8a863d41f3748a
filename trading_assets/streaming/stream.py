"""One stream: its state, its gap, its health. What its messages hold is in `quote_stream` and `bar_stream`.

A stream is asked for under a request id, may be asked for again under another one, and has at most one gap open. Its
state changes when something is heard of it or of its connection; `supervision` looks at the time that passes. Instants
are the recorder's clock, durations the event loop's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from datetime import datetime

from trading_assets.broker.codes import CodeClass, Retry, classify, delayed_may_follow, lookup, remedy_of
from trading_assets.broker.contact import DELAYED_NOTICE
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.streaming.context import Context, Suspicion
from trading_assets.streaming.health import StreamHealth, StreamState
from trading_assets.streaming.subjects import Subject
from trading_assets.streaming.updates import Gap, GapReason

COMPETING_SESSION = 10197

RATE_SECONDS = 60
"""Seconds over which the rate of a stream is counted."""

_STATES = {1: StreamState.LIVE, 2: StreamState.FROZEN, 3: StreamState.DELAYED, 4: StreamState.DELAYED}
"""State by the broker's market data type."""

_NOT_ASKED_FOR = frozenset({StreamState.DOWN, StreamState.SHED, StreamState.REFUSED, StreamState.NOT_PERMITTED})

_SEEN = frozenset({StreamState.LIVE, StreamState.DELAYED, StreamState.FROZEN, StreamState.WAITING})

_LONGEST_QUIET = 5
"""A stream of which nothing new came so often is looked at after 2 to this power times the stall seconds."""

FINAL = frozenset({StreamState.REFUSED, StreamState.NOT_PERMITTED})
"""States of streams that hold no line."""


class Stream:
    """Base of the streams. Use it from the event loop only."""

    def __init__(self, subject: Subject, stream_id: str, context: Context) -> None:
        self.subject = subject
        self.stream_id = stream_id
        self.con_id = subject.instrument.con_id
        self._context = context
        self._outlet, self._clock, self._days = context.outlet, context.clock, context.days
        self._session = self._days.session(self._clock())
        """Of which something may be known."""
        self._time = asyncio.get_running_loop().time
        self.state = StreamState.WAITING
        self.since = self._seen_from = self._clock()
        self.code: int | None = None
        self.said = ""
        self.req_id: int | None = None
        """Under which the broker sends it now."""
        self.due = 0.0
        """From when (loop time) it is to be asked for, again if it has a request id; infinite: not at all."""
        self.asked_at = -math.inf
        self.heard_at = -math.inf
        """When (loop time) its last message came."""
        self.answer_by = math.inf
        """Until when (loop time) a message must come, or it is asked for again."""
        self.stalls = 0
        """How often it was found silent since it was seen last."""
        self._quiet = 0
        """How often it was found silent since its last update."""
        self.blocked_until = -math.inf
        """Until when (loop time) what still comes ends no gap: it was on its way when an outage began, or is not the
        whole. Asked for again, it is."""
        self._suspicion: Suspicion | None = None
        self.last_update: datetime | None = None
        self.updates = 0
        self.gaps = 0
        self.resubscriptions = 0
        self.data_type = 1
        """The broker's market data type."""
        self._unsettled = True
        self._failures = 0
        self._gap: Gap | None = None
        self._counts: deque[tuple[float, int]] = deque()
        if subject.refusal:
            self.state, self.said, self.due = StreamState.REFUSED, subject.refusal, math.inf

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing has come since it was asked for."""
        return self.req_id is not None and self.heard_at < self.asked_at

    @property
    def wants_line(self) -> bool:
        """Whether it would use a market-data line if it were given one."""
        return self.state not in FINAL or self.due < math.inf

    def about(self, subject: Subject) -> None:
        """What is known of its subject now: its rank may have changed, or why it is refused."""
        self.subject = subject
        self.said = subject.refusal or self.said

    # what happens to it

    def asked(self, req_id: int) -> None:
        """It has just been asked for under this id."""
        if self.asked_at > -math.inf:
            self.resubscriptions += 1
        self.req_id, self.asked_at, self.due, self.answer_by = req_id, self._time(), math.inf, math.inf
        self._unsettled, self.blocked_until = True, -math.inf
        self.data_type = 1  # TWS says so where it is another one
        self._forget()
        if self.state in _NOT_ASKED_FOR:
            self._become(StreamState.WAITING, self.code, self.said)

    def _forget(self) -> None:
        """What was known of the contract is known no more until it is received again."""

    def lose(
        self,
        state: StreamState,
        reason: GapReason,
        *,
        code: int | None = None,
        text: str = "",
        began: datetime | None = None,
    ) -> None:
        """Nothing is seen of it any more, since `began` (now)."""
        now = self._clock()
        self._become(state, code, text)
        self._unsettled, self._suspicion = True, None
        self.answer_by = math.inf
        if self._gap is not None:
            if self._gap.reason is reason:
                return
            self.close_gap(now)
        if self.con_id:
            began = now if began is None else min(began, now)
            self._gap = Gap(
                self._days.session(began), self.con_id, self.subject.symbol, self.stream_id, began, None, reason,
                code, text,
            )  # fmt: skip
            self.gaps += 1
            self._outlet.gap(self._gap)

    def suspect(self, suspicion: Suspicion) -> None:
        """What it may come from is down: if nothing comes of it for a while, it is lost since now."""
        if self._suspicion is None and self.state in _SEEN:
            self._suspicion, self._unsettled = suspicion, True

    def look_for_outage(self) -> None:
        """See whether a suspicion has come true."""
        found = self._suspicion
        if found is not None and self._time() >= found.due:
            self.lose(StreamState.DOWN, GapReason.FARM_DOWN, code=found.code, text=found.text, began=found.began)

    def resume(self, answer_by: float) -> None:
        """What it comes from is up again: it goes on by itself, or is asked for again if nothing has come by then."""
        self.blocked_until, self._suspicion = -math.inf, None
        if self.req_id is not None and self.state is StreamState.DOWN:
            self._become(StreamState.WAITING, self.code, self.said)
            self.answer_by = answer_by

    def ask_again(self, at: float = 0.0) -> None:
        """Have it asked for (again) at that time of the loop, if it can be."""
        if not self.subject.refusal:
            self.due = at

    def let_go(self, *, cancel: bool) -> None:
        """Take nothing more under the id it was asked for with; `cancel` where the broker may still send."""
        if self.req_id is not None:
            self._context.release(self.subject.kind, self.req_id, cancel)
            self.req_id = None

    def begin_session(self, at: datetime) -> None:
        """A session's rows begin at that instant: a gap that lasts is one of that session, too, and nothing is known
        of the contract until it is received in that session."""
        session = self._days.session(at)
        if session != self._session:
            self._session = session
            self._forget()
        if self._gap is not None and self._gap.began < at:
            gap = self._gap
            self.close_gap(at)
            self._gap = gap._replace(session=session, began=at)
            self._outlet.gap(self._gap)

    def wait_for_turn(self, at: float) -> None:
        """It may only be asked for at that time of the loop: the broker's limit on new real-time bars is reached."""
        self.due = at
        if self.state in _NOT_ASKED_FOR:
            self._become(StreamState.WAITING)
        self.said = "Waits for its turn: the broker allows 60 new streams of real-time bars in 10 minutes."

    def look_for_stall(self, seconds: float, regular_since: float) -> None:
        """See whether it has been silent for too long in regular hours, which began at that time of the loop: then it
        is asked for again, once. One that only had nothing new is given twice the time before the next look."""
        silent = self._time() - max(self.heard_at, self.asked_at, regular_since)
        if self.due < math.inf:
            return
        if self.state is StreamState.STALLED:
            if self.stalls == 1 and silent >= seconds:
                self.said = f"No update for {seconds:g} s after it was asked for again: look at the symbol in TWS."
                self.stalls += 1
        elif self.state in _SEEN and silent >= seconds * 2 ** min(self._quiet, _LONGEST_QUIET):
            known = [self._seen_from, self._days.opened_at(self._clock())]
            began = max([*known, self.last_update] if self.last_update else known)
            text = f"No update for {silent:.0f} s in regular hours while TWS answers; asked for again."
            self.lose(StreamState.STALLED, GapReason.STALLED, text=text, began=began)
            self._quiet += 1
            self.stalls = 1
            self.ask_again()

    def stopped(self) -> None:
        """The recorder ends."""
        if self.con_id:
            self.lose(StreamState.DOWN, GapReason.RECORDER_STOPPED, text="The recorder was stopped.")

    def retire(self, text: str) -> None:
        """It is wanted no more, for the reason that the text says."""
        self.let_go(cancel=True)
        self.ask_again(math.inf)
        if self.con_id:
            self.lose(StreamState.DOWN, GapReason.RECORDER_STOPPED, text=text)

    def close_gap(self, now: datetime) -> None:
        """What comes from now on is seen again."""
        if self._gap is not None:
            self._outlet.gap(self._gap._replace(ended=max(now, self._gap.began)))
            self._gap = None

    def _settle(self) -> None:
        """Something came after it was asked for, or after an outage: it is seen again."""
        if self.state in FINAL or self._time() < self.blocked_until:
            return
        self._unsettled, self._suspicion = False, None
        self._failures = self.stalls = 0
        self.answer_by = self.due = math.inf
        self._seen_from = self._clock()
        self.close_gap(self._seen_from)
        self._become(_STATES.get(self.data_type, StreamState.LIVE))

    def _become(self, state: StreamState, code: int | None = None, text: str = "") -> None:
        if state is not self.state:
            self.since = self._clock()
        self.state, self.code, self.said = state, code, text

    # what the broker says (`broker.streams.Stream`)

    def error(self, code: int, text: str) -> None:
        """A warning, or the end of the stream at the broker."""
        row = lookup(code, text)
        if code == DELAYED_NOTICE and not self._context.allow_delayed:
            self._not_permitted(code, text)
        elif self._context.allow_delayed and delayed_may_follow(code, text):
            self.code, self.said = code, text  # only when no tick follows is it a refusal
        elif row is not None and row.cls is CodeClass.WARNING:
            self.code, self.said = code, text
        else:
            self._ended(classify(code, text, in_reset_window=self._context.in_reset()))

    def unreadable(self, fault: str) -> None:
        """An update was lost: it is asked for again, which brings the whole quote, at most once a minute."""
        if self._gap is None:
            self.lose(StreamState.WAITING, GapReason.UNREADABLE, text=fault)
        self.blocked_until = math.inf  # what comes until then does not bring what was lost
        self.ask_again(max(self._time(), self.asked_at + self._context.retry_seconds))

    def _not_permitted(self, code: int, text: str) -> None:
        """The broker gives delayed data, and the lake holds live data: the stream ends, nothing delayed is stored."""
        said = f"{text} {remedy_of(Outcome(OutcomeKind.NOT_PERMITTED, code, text))}".strip()
        self.let_go(cancel=True)
        self.due = math.inf
        self.lose(StreamState.NOT_PERMITTED, GapReason.NOT_PERMITTED, code=code, text=said)

    def _ended(self, outcome: Outcome) -> None:
        """The broker has ended it: refused, or to be asked for again."""
        said = f"{outcome.text} {remedy_of(outcome)}".strip()
        self._failures += 1
        row = lookup(outcome.code or 0, outcome.text)
        if outcome.kind is OutcomeKind.UNAVAILABLE and row is not None and row.retry is Retry.USER:
            if outcome.code != COMPETING_SESSION:  # what that leaves of the subscription may go on by itself
                self.let_go(cancel=False)
            self.lose(StreamState.COMPETING, GapReason.COMPETING, code=outcome.code, text=said)
            self.ask_again(self._time() + self._context.retry_seconds)
            return
        self.let_go(cancel=False)
        if outcome.kind in (OutcomeKind.UNAVAILABLE, OutcomeKind.TIMEOUT, OutcomeKind.CANCELLED):
            self.lose(StreamState.DOWN, GapReason.DISCONNECTED, code=outcome.code, text=said)
            self.ask_again(self._time() + (0.0 if self._failures == 1 else self._context.retry_seconds))
        else:
            self.lose(StreamState.REFUSED, GapReason.REFUSED, code=outcome.code, text=said)
            again = outcome.kind is OutcomeKind.PACING
            self.due = self._time() + self._context.retry_seconds if again else math.inf

    # how it is

    def health(self) -> StreamHealth:
        """Its health now."""
        now = self._time()
        self._counts.append((now, self.updates))
        while self._counts[0][0] < now - RATE_SECONDS and len(self._counts) > 1:
            self._counts.popleft()
        then, count = self._counts[0]
        rate = (self.updates - count) / (now - then) if now > then else 0.0
        return StreamHealth(
            stream_id=self.stream_id,
            con_id=self.con_id,
            symbol=self.subject.symbol,
            contract=self.subject.contract,
            kind=self.subject.kind,
            state=self.state,
            since=self.since,
            last_update=self.last_update,
            updates=self.updates,
            rate=round(rate, 3),
            lag=self._outlet.lag(),
            gaps=self.gaps + self._outlet.gaps[self.stream_id],
            resubscriptions=self.resubscriptions,
            code=self.code,
            stalls=self.stalls,
            text=self.said,
            unrecorded=self._outlet.trouble if self.state in _SEEN else "",
        )
