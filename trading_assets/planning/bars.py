"""Bars: wanted sessions minus settled ones, as the fewest requests.

Here belongs which instrument needs bars of which sessions and in which order they are asked for. How sessions become
end and duration belongs to `planning.durations`; which options are wanted at all to `planning.selection`.

*Settled* sessions are those that must not be asked for now: the lake has the bars, or a recorded answer of "no data"
that is still believed (`repositories.lake.Lake.wanted`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.broker.requests import BarsRequest
from trading_assets.instrument import OPTION_BAR_SIZE, Instrument
from trading_assets.planning.durations import Span, earliest_reach, spans, within_reach
from trading_assets.planning.selection import parse_day
from trading_assets.sessions import NEW_YORK, SessionCalendar


@dataclass(frozen=True, slots=True)
class WantedOption:
    """An option contract and the sessions whose bars are wanted. `expiry` is the expiry date (AM-settled:
    settlement)."""

    instrument: Instrument
    expiry: date
    sessions: Sequence[date]


@dataclass(frozen=True, slots=True)
class LostOption:
    """An expired contract and the wanted sessions that the broker can no longer give."""

    instrument: Instrument
    expiry: date
    sessions: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class OptionBarsPlan:
    """Requests in the order they are to be sent, and what is lost for good."""

    requests: list[BarsRequest]
    lost: list[LostOption]


def plan_equity_bars(
    wanted: Mapping[str, tuple[Instrument, Collection[date]]],
    settled: Mapping[str, Collection[date]],
    stored_last: Mapping[str, date | None],
    bar_size: str,
    now: datetime,
    calendar: SessionCalendar,
    *,
    again: Mapping[str, tuple[date, date]] | None = None,
) -> list[BarsRequest]:
    """The fewest requests for the missing bars of underlyings, by symbol, earliest first.

    `wanted` maps a symbol to its resolved instrument and its wanted sessions; `settled` and `stored_last` (the last
    session with stored bars) are those of this bar size. Sessions not closed at `now` are left out, and so are those
    beyond the reach of small bars.

    Where it costs no further request, a request also covers a session that is stored already, and more of them: back to
    the first session of `again` if it reaches back, up to the last if it is of older sessions. The broker's prices are
    split-adjusted at the time of the request, and sessions held twice show whether they have been restated since
    (`collecting.decode.restated`).
    """
    requests: list[BarsRequest] = []
    for symbol in sorted(wanted):
        instrument, sessions = wanted[symbol]
        done = settled.get(symbol, ())
        missing = within_reach(bar_size, calendar.missing(sessions, done, now), now)
        overlapping = _with_overlap(bar_size, missing, stored_last.get(symbol), done, now, calendar)
        overlapping = _with_more(bar_size, missing, overlapping, (again or {}).get(symbol), now, calendar)
        requests += [_request(instrument, bar_size, span) for span in spans(bar_size, overlapping, now, calendar)]
    return requests


def plan_redownload(
    instrument: Instrument, bar_size: str, first: date, last: date, now: datetime, calendar: SessionCalendar
) -> list[BarsRequest]:
    """The fewest requests for all closed sessions from `first` to `last`, stored or not: for a symbol whose prices were
    restated."""
    sessions = within_reach(bar_size, calendar.sessions(first, min(last, calendar.last_closed(now))), now)
    return [_request(instrument, bar_size, span) for span in spans(bar_size, sessions, now, calendar)]


def plan_option_bars(
    wanted: Iterable[WantedOption],
    settled: Mapping[int, Collection[date]],
    now: datetime,
    calendar: SessionCalendar,
    bar_size: str = OPTION_BAR_SIZE,
) -> OptionBarsPlan:
    """One request a contract for its whole missing span; the contracts that expire first come first.

    `settled` maps a contract id to its settled sessions of this bar size. Order: expiry, symbol, strike, right,
    contract id. A contract of an earlier expiry than today in New York is never asked for (`is_expired`): its missing
    sessions are returned as lost. Sessions after the last trading day (AM-settled: the one before the expiry) are left
    out.

    Raises `ValueError` for `1 day` and for `1 secs` bars: the broker has none of the first for options, and the second
    would cost twelve requests a contract and session.
    """
    if bar_size in ("1 day", "1 secs"):
        raise ValueError(
            f"Option bars of {bar_size!r} cannot be asked for; ask for {OPTION_BAR_SIZE!r} bars: they are aggregated by"
            " session."
        )
    requests: list[BarsRequest] = []
    lost: list[LostOption] = []
    for option in sorted(wanted, key=_expiring_first):
        last_day = (
            min(option.expiry, parse_day(option.instrument.last_trade[:8]))
            if option.instrument.last_trade
            else option.expiry
        )
        sessions = [session for session in option.sessions if session <= last_day]
        missing = calendar.missing(sessions, settled.get(option.instrument.con_id, ()), now)
        if not missing:
            continue
        if is_expired(option.expiry, now):
            lost.append(LostOption(option.instrument, option.expiry, tuple(missing)))
            continue
        reachable = within_reach(bar_size, missing, now)
        requests += [
            _request(option.instrument, bar_size, span)
            for span in spans(bar_size, reachable, now, calendar, sparse=True)
        ]
    return OptionBarsPlan(requests, lost)


def is_expired(expiry: date, now: datetime) -> bool:
    """Whether the broker has forgotten a contract: from midnight New York after its expiry date.

    The history of an expired option is gone for good (limits.md). On the evening of the expiry date it is still
    available, which is the last chance to collect the contract's last session.
    """
    return now.astimezone(NEW_YORK).date() > expiry


def _with_overlap(
    bar_size: str,
    missing: list[date],
    stored_last: date | None,
    settled: Collection[date],
    now: datetime,
    calendar: SessionCalendar,
) -> list[date]:
    """The missing sessions and one stored session beside them, if one request covers it without a further one."""
    if not missing or stored_last is None or bar_size == "1 secs" or missing[0] <= stored_last <= missing[-1]:
        return missing
    if stored_last > missing[-1]:
        neighbour = calendar.following(missing[-1])
        extended = [*missing, neighbour]
        fits = neighbour in settled and calendar.is_closed(neighbour, now)
    else:
        extended = [stored_last, *missing]
        fits = earliest_reach(bar_size, missing[-1], calendar) <= stored_last
    if not fits:
        extended = [calendar.previous(missing[0]), *missing] if calendar.previous(missing[0]) in settled else missing
    return (
        extended
        if len(spans(bar_size, extended, now, calendar)) == len(spans(bar_size, missing, now, calendar))
        else missing
    )


def _with_more(
    bar_size: str,
    missing: list[date],
    overlapping: list[date],
    again: tuple[date, date] | None,
    now: datetime,
    calendar: SessionCalendar,
) -> list[date]:
    """The sessions with as many within `again` as no further request is needed for, on the side on which they reach
    beyond the missing ones already."""
    if overlapping == missing or again is None:
        return overlapping
    first, last = overlapping[0], overlapping[-1]
    if first < missing[0]:
        beside = calendar.sessions(again[0], first)[:-1]
    else:
        beside = [session for session in calendar.sessions(last, again[1])[:0:-1] if calendar.is_closed(session, now)]
    count = len(spans(bar_size, overlapping, now, calendar))
    for furthest in beside:
        extended = sorted({furthest, *overlapping})
        if len(spans(bar_size, extended, now, calendar)) == count:
            return extended
    return overlapping


def _request(instrument: Instrument, bar_size: str, span: Span) -> BarsRequest:
    return BarsRequest(
        instrument=instrument,
        session=span.last,
        bar_size=bar_size,
        first_session=span.first,
        end=span.end,
        duration=span.duration,
    )


def _expiring_first(option: WantedOption) -> tuple[date, str, float, str, int]:
    instrument = option.instrument
    return option.expiry, instrument.symbol, instrument.strike, instrument.right, instrument.con_id
