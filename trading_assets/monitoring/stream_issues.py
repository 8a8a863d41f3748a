"""What is wrong with live streams: those that are wanted and not recorded, and those that stand still.

The state database is read, in which the recorder says each second how its streams are; no broker is asked.
`monitoring.watch` calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.wording import minute
from trading_assets.settings import Settings
from trading_assets.state import read_state
from trading_assets.streaming.health import StreamHealth, StreamState
from trading_assets.streaming.registry import SILENT_SECONDS, RecorderState, recorder_state, subscribed

CONNECTION, COMPETING, RECORDING = "connection", "competing session", "recording"
"""Subjects of alerts that concern many streams and have one cause."""

LASTING_STALLS = 2
"""Stalls in a row from which on a stream stands still: after the first one it is asked for again."""


def down(settings: Settings) -> list[Issue]:
    """`stream_down`: one issue a cause for which streams that are wanted are not recorded."""
    state, wanted = _look(settings)
    if not wanted:
        return []
    symbols = ", ".join(wanted)
    if not state.running:
        return [_down("", f"Streams of {symbols} are wanted and no recorder is running. {state.reason}".strip())]
    if state.age is None or state.age > SILENT_SECONDS:
        said = "has not said yet" if state.age is None else f"has not said for {state.age:.0f} s"
        return [_down("", f"The recorder (process {state.pid} on {state.host}) {said} how its streams are.")]
    return [
        *_together(CONNECTION, [one for one in state.streams if one.state is StreamState.DOWN]),
        *_together(COMPETING, [one for one in state.streams if one.state is StreamState.COMPETING]),
        *_unrecorded(state.streams),
        *_ended(state.streams),
    ]


def stalled(settings: Settings) -> list[Issue]:
    """`stream_stalled`: streams of which nothing comes though they were asked for again, one issue a symbol."""
    state, wanted = _look(settings)
    if not wanted or not state.running:
        return []
    found = [one for one in state.streams if one.state is StreamState.STALLED and one.stalls >= LASTING_STALLS]
    return [Issue(AlertType.STREAM_STALLED, symbol, said) for symbol, said in _by_symbol(found)]


def _look(settings: Settings) -> tuple[RecorderState, list[str]]:
    with read_state(settings.state_url) as connection:
        wanted, _ = subscribed(connection)
        return recorder_state(connection), [one.symbol for one in wanted]


def _together(subject: str, streams: Sequence[StreamHealth]) -> list[Issue]:
    """One issue for all streams of one cause."""
    if not streams:
        return []
    since = min(one.since for one in streams)
    texts = " ".join(dict.fromkeys(one.text for one in streams if one.text))
    symbols = ", ".join(sorted({one.symbol for one in streams}))
    return [_down(subject, f"{len(streams)} streams ({symbols}) since {minute(since)}: {texts}".rstrip(": "))]


def _unrecorded(streams: Sequence[StreamHealth]) -> list[Issue]:
    texts = sorted({one.unrecorded for one in streams if one.unrecorded})
    return [_down(RECORDING, " ".join(texts), "Make room on the disk of the data folder.")] if texts else []


def _ended(streams: Sequence[StreamHealth]) -> list[Issue]:
    """Streams that the broker ended or refused, one issue a symbol: nobody sees it where one that was live ends, or
    where nobody started it by hand. What the lake does not know was refused by us, before any message."""
    refused = [one for one in streams if one.state is StreamState.REFUSED and one.code is not None]
    ended = [one for one in streams if one.state is StreamState.NOT_PERMITTED]
    return [_down(symbol, said) for symbol, said in _by_symbol([*ended, *refused])]


def _by_symbol(streams: Iterable[StreamHealth]) -> list[tuple[str, str]]:
    """What is said of the streams of each symbol: the first contract's sentence, and how many more there are."""
    found: dict[str, list[StreamHealth]] = {}
    for one in streams:
        found.setdefault(one.symbol, []).append(one)
    return [
        (symbol, _said(first) + (f" The same holds for {len(more)} more of its streams." if more else ""))
        for symbol, (first, *more) in found.items()
    ]


def _said(one: StreamHealth) -> str:
    return f"{one.contract}, {one.kind}, since {minute(one.since)}: {one.text}"


def _down(subject: str, reason: str, remedy: str = "") -> Issue:
    return Issue(AlertType.STREAM_DOWN, subject, reason, remedy)
