"""How streaming is: the recorder, each stream, each callback, and what is wrong with any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trading_assets.sessions import calendar
from trading_assets.streaming.callbacks import CallbackCounts
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.registry import SILENT_SECONDS, RecorderState

_WRONG = {
    StreamState.WAITING: "The broker has not answered yet.",
    StreamState.STALLED: "No update comes although the connection answers.",
    StreamState.DOWN: "The connection to the broker is down; the recorder reconnects by itself.",
    StreamState.COMPETING: (
        "Another session of this user receives the market data: end it, or wait; it is tried again every minute."
    ),
    StreamState.REFUSED: "The broker refused it.",
    StreamState.NOT_PERMITTED: "The account may not receive this data live.",
}
"""States in which updates are missing, and what is said where the stream itself says nothing. A stream that is `shed`
has given its line to one that is needed more, which is as intended."""


@dataclass(frozen=True, slots=True, repr=False)
class StreamingStatus:
    """How the streams of a lake are at `at` (UTC). Printed, it is a table.

    `streams` are those of the symbols that were asked about, `problems` one sentence for each thing that is wrong,
    `callbacks` the counts of the callbacks of this `LiveDataManager`.
    """

    at: datetime
    recorder: RecorderState
    streams: tuple[StreamHealth, ...]
    problems: tuple[str, ...]
    callbacks: tuple[CallbackCounts, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that is wanted streams: nothing is wrong."""
        return not self.problems

    @property
    def states(self) -> dict[str, int]:
        """How many streams are in each state, the most frequent first."""
        return dict(Counter(str(stream.state) for stream in self.streams).most_common())

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "at": self.at.isoformat(),
            "ok": self.ok,
            "recorder": {
                "running": self.recorder.running,
                "pid": self.recorder.pid,
                "host": self.recorder.host,
                "started_at": self.recorder.started_at.isoformat() if self.recorder.started_at else None,
                "age": self.recorder.age,
            },
            "states": self.states,
            "streams": [stream.as_dict() for stream in self.streams],
            "problems": list(self.problems),
            "callbacks": [counts.as_dict() for counts in self.callbacks],
        }

    def __str__(self) -> str:
        return "\n".join(
            [self.summary(), *(_line(stream) for stream in self.streams), *(f"! {said}" for said in self.problems)]
        )

    __repr__ = __str__

    def summary(self) -> str:
        """One line: the recorder, and how many streams are in which state."""
        state = self.recorder
        who = f"Recorder: process {state.pid} on {state.host}" if state.running else "Recorder: not running"
        counted = ", ".join(f"{count} {name}" for name, count in self.states.items()) or "none"
        return f"{who}. Streams: {counted}."


def _line(stream: StreamHealth) -> str:
    last = f"{stream.last_update:%H:%M:%S}" if stream.last_update else "never"
    return (
        f"  {stream.contract:<24} {stream.kind:<6} {stream.state:<14} last update {last:<9} {stream.rate:6.1f}/s"
        f"  {stream.gaps} gaps"
    )


def status_of(
    at: datetime,
    state: RecorderState,
    wanted: Collection[Subscription],
    refused: Mapping[str, str],
    callbacks: Sequence[CallbackCounts] = (),
    *,
    everything: bool = False,
) -> StreamingStatus:
    """The status of the streams of the `wanted` symbols; `refused` has a sentence for each symbol that was refused
    before any recorder saw it. With `everything` the status has all streams; those that nobody wants any more are no
    problem."""
    symbols = {one.symbol for one in wanted}
    streams = tuple(stream for stream in state.streams if everything or stream.symbol in symbols)
    if not state.running:
        streams = tuple(_without_recorder(stream) for stream in streams) if wanted else ()
    problems = [*refused.values()]
    if wanted:
        problems += _problems(at, state, wanted, [stream for stream in streams if stream.symbol in symbols])
    problems += [said for counts in callbacks if (said := counts.sentence())]
    return StreamingStatus(at, state, streams, tuple(problems), tuple(callbacks))


def _without_recorder(stream: StreamHealth) -> StreamHealth:
    """A stream of a recorder that has gone: whatever it said last, nothing comes now."""
    return replace(stream, state=StreamState.DOWN, rate=0.0, text="No recorder is running.", code=None)


def _problems(
    at: datetime, state: RecorderState, wanted: Collection[Subscription], streams: Sequence[StreamHealth]
) -> list[str]:
    if not state.running:
        return [f"No recorder is running: nothing is recorded. {state.reason}".strip()]
    if state.age is None:
        return [f"The recorder (process {state.pid}) has started and has not said yet how its streams are."]
    if state.age > SILENT_SECONDS:
        return [
            f"The recorder (process {state.pid} on {state.host}) has not reported for {state.age:.0f} seconds: it"
            " hangs, or its machine is busy. If that lasts, end the process; a new one is started."
        ]
    known = {stream.symbol for stream in streams}
    missing = [f"{one.symbol}: the recorder has not taken it up yet." for one in wanted if one.symbol not in known]
    unrecorded = sorted({stream.unrecorded for stream in streams if stream.unrecorded})
    return missing + unrecorded + [_sentence(stream) for stream in _due(streams, at) if stream.state in _WRONG]


def _due(streams: Sequence[StreamHealth], at: datetime) -> list[StreamHealth]:
    """The streams that must have answered: not those of bars outside of regular hours, for which the broker says
    nothing until the market opens."""
    xnys = calendar()
    closed = {stream.symbol for stream in streams if stream.state is StreamState.FROZEN}
    if xnys.closes_at(xnys.current(at)) <= at:
        closed |= {stream.symbol for stream in streams}
    return [
        stream
        for stream in streams
        if not (stream.kind == "bar" and stream.state is StreamState.WAITING and stream.symbol in closed)
    ]


def _sentence(stream: StreamHealth) -> str:
    code = f" (code {stream.code})" if stream.code is not None else ""
    what = " ".join(dict.fromkeys(filter(None, (stream.symbol, stream.contract))))
    since = f"{stream.since:%H:%M:%S} UTC"
    return f"{what}, {stream.kind}: {stream.state} since {since}. {stream.text or _WRONG[stream.state]}{code}"


def answered(status: StreamingStatus, wanted: Collection[Subscription], since: float) -> bool:
    """Whether each symbol that has been wanted `since` (epoch seconds) has streams, and the broker has answered or
    refused each of them."""
    state = status.recorder
    fresh = state.running and state.age is not None and state.age <= SILENT_SECONDS and (state.seen_at or 0.0) >= since
    known = {stream.symbol for stream in status.streams}
    return (
        fresh
        and all(one.symbol in known for one in wanted)
        and all(stream.state is not StreamState.WAITING for stream in _due(status.streams, status.at))
    )
