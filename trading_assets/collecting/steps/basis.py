"""All stored bars of a symbol on one basis: noticing that the broker has restated them, reading them anew, and
recording what could not be read.

Every request for new bars reads some stored sessions again (`read_again`) and compares them. Nothing is kept
between two collections but the lake: the bars, and the conditions of sessions that a failed reading left behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from math import log
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.backoff import Backoff
from trading_assets.collecting.decode import Restatement, restated
from trading_assets.collecting.decode.arrow_tables import from_rows
from trading_assets.collecting.decode.restated import PRICES
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.sizes_apart import left_by_the_broker
from trading_assets.collecting.steps.whole_answers import DAILY, changed_rows
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import plan_equity_bars, plan_redownload
from trading_assets.planning.durations import bars_in_session
from trading_assets.repositories.basis import NO_LONGER_GIVEN, ON_OLD_BASIS
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, Condition

READ_AGAIN = 5
"""Stored sessions that a request for new bars reads again: a week, so that a restatement is seen that comes some
sessions late, or leaves the last sessions before it on the old basis."""

READ_WEEKLY = 60
"""The same for the first request after a week's end: restatements come later than that, are small, or lie further
back. Daily bars come by the year, and are compared whole by every request (`steps.whole_answers`)."""

JUMP = log(1.04)
"""Change from a close to the next open (logarithm) that may be a corporate action: a stock dividend of 5 % is one."""

LARGE_JUMP = log(1.2)
"""The same for bars of which a month is a full answer of several seconds: a smaller ratio shows in other sizes."""

BARS_OF_A_MONTH = 2_000
"""Bars in 22 sessions from which on that is so: those of less than five minutes."""

DAYS_BESIDE = 60
"""Days within which a stored session is beside new ones: over a longer time prices move as far as a jump anyway."""

AFTER_A_JUMP = 20
"""Sessions after a jump in which requests reach back before it: the broker restates within days, a month is ample."""

BEFORE_A_JUMP = 10
"""Sessions before a jump that are read again: a restatement may leave the last ones of them out."""

Series = tuple[str, str]
"""Symbol and bar size."""

Place = tuple[str, str, date]
"""Symbol, bar size and session."""

_PLACE = ["symbol", "bar_size", "session"]


def read_again(archive: Archive, stored: Mapping[str, Sequence[date]], bar_size: str) -> dict[str, tuple[date, date]]:
    """How far a request for other sessions than the `stored` ones of a symbol reaches over these, if it costs no
    further request: back to the first of the two, or up to the second.

    These are the last and the first `READ_AGAIN` stored sessions; after a jump it reaches back to `BEFORE_A_JUMP`
    sessions before it, and after a week's end over `READ_WEEKLY` sessions, or as many as hold `BARS_OF_A_MONTH` bars.
    """
    weekly = READ_AGAIN
    if bar_size != DAILY:
        weekly = max(READ_AGAIN, min(READ_WEEKLY, BARS_OF_A_MONTH // bars_in_session(bar_size)))
    this_week = archive.calendar.last_closed(archive.now).isocalendar()[:2]
    known = {symbol: sessions for symbol, sessions in stored.items() if sessions}
    jumps = _jumps(archive, known, bar_size)
    found = {}
    for symbol, sessions in known.items():
        count = READ_AGAIN if sessions[-1].isocalendar()[:2] == this_week else weekly
        since = sessions[-count:][0]
        if symbol in jumps:
            since = min(since, max(sessions[0], archive.calendar.previous(jumps[symbol], BEFORE_A_JUMP)))
        found[symbol] = since, sessions[:READ_AGAIN][-1]
    return found


def _jumps(archive: Archive, stored: Mapping[str, Sequence[date]], bar_size: str) -> dict[str, date]:
    """The earliest of the last stored sessions of each symbol that opened a jump away from the close before."""
    if not stored:
        return {}
    sql = """with days as (
                 select e.symbol, e.session, arg_min(e.open, e.start) as opened, arg_max(e.close, e.start) as closed
                 from equity_bars e
                 join (select unnest($symbols::varchar[]) as symbol, unnest($since::date[]) as since) s
                   on s.symbol = e.symbol and e.session >= s.since
                 where e.bar_size = $size and e.session >= $first
                 group by e.symbol, e.session),
             steps as (
                 select *, lag(closed) over (partition by symbol order by session) as previous from days)
             select symbol, min(session) as session from steps
             where previous > 0 and opened > 0 and abs(ln(opened / previous)) >= $jump group by symbol"""
    since = [archive.calendar.previous(sessions[-1], AFTER_A_JUMP) for sessions in stored.values()]
    values = {"size": bar_size, "symbols": list(stored), "since": since, "first": min(since), "jump": _jump(bar_size)}
    rows = archive.lake.query(sql, values)
    return dict(zip(rows["symbol"].to_pylist(), rows["session"].to_pylist(), strict=True))


def _jump(bar_size: str) -> float:
    return LARGE_JUMP if 22 * bars_in_session(bar_size) > BARS_OF_A_MONTH else JUMP


def beside_a_jump(archive: Archive, underlyings: Mapping[str, Instrument], new: pa.Table) -> list[Request]:
    """Requests for the stored session beside `new` bars (rows of `equity_bars`) that came without a stored one and lie
    a jump away from it: a request that is full has no room for one, and only a jump is worth a further request."""
    series = new.sort_by("start").group_by(["symbol", "bar_size"], use_threads=False)
    edges = series.aggregate([("session", "min"), ("session", "max"), ("open", "first"), ("close", "last")])
    sql = """with given as (
                 select unnest($symbol::varchar[]) as symbol, unnest($bar_size::varchar[]) as bar_size,
                        unnest($session_min::date[]) as first, unnest($session_max::date[]) as last,
                        unnest($open_first::double[]) as opened, unnest($close_last::double[]) as closed),
             beside as (
                 select g.*, max(e.session) filter (e.session < g.first) as before,
                        arg_max(e.close, e.start) filter (e.session < g.first) as closed_before,
                        min(e.session) filter (e.session > g.last) as after,
                        arg_min(e.open, e.start) filter (e.session > g.last) as opened_after
                 from given g join equity_bars e
                   on e.symbol = g.symbol and e.bar_size = g.bar_size
                  and e.session between g.first - $days and g.last + $days
                 group by all having count(*) filter (e.session between g.first and g.last) = 0)
             select symbol, bar_size, before as session, abs(ln(opened / closed_before)) as step from beside
             union all
             select symbol, bar_size, after, abs(ln(opened_after / closed)) from beside where before is null"""
    found: list[Request] = []
    values = {name: edges[name].to_pylist() for name in edges.column_names}
    for row in archive.lake.query(sql, {**values, "days": DAYS_BESIDE}).to_pylist() if new.num_rows else ():
        symbol, size, session = row["symbol"], row["bar_size"], row["session"]
        if session is not None and row["step"] >= _jump(size) and symbol in underlyings:
            wanted = {symbol: (underlyings[symbol], [session])}
            found += plan_equity_bars(wanted, {}, {}, size, archive.now, archive.calendar)
    return found


def left_on_old_basis(archive: Archive, symbols: Collection[str]) -> list[dict[str, Any]]:
    """Conditions (rows of `coverage`) of the sessions of symbols that an earlier collection could not read anew."""
    where = f"dataset = '{EQUITY_BARS.name}' and starts_with(reason, '{ON_OLD_BASIS}')"
    return archive.view(COVERAGE).table(symbols=list(symbols), where=where).to_pylist()


def left_over(
    archive: Archive, underlyings: Mapping[str, Instrument], backoff: Backoff, results: Sequence[Result]
) -> list[Request]:
    """The requests for those sessions that may be asked for now and are not asked for by the requests of `results`."""
    asked = _sessions_of([result.request for result in results], archive)
    due: dict[Series, list[date]] = defaultdict(list)
    for row in left_on_old_basis(archive, underlyings):
        series, session = (row["symbol"], row["bar_size"]), row["session"]
        waits = row["retry_after"] is not None and row["retry_after"] > archive.now
        if row["condition"] != Condition.COMPLETE and not waits and session not in asked[series]:
            due[series].append(session)
    requests: list[Request] = []
    for (symbol, size), sessions in sorted(due.items()):
        if (symbol, size) not in backoff.underlyings:
            wanted = {symbol: (underlyings[symbol], sessions)}
            requests += plan_equity_bars(wanted, {}, {}, size, archive.now, archive.calendar)
    return requests


class Restated:
    """The symbols whose stored bars differ from the `new` ones by more than corrections, and what is stored of them.

    `new` are all bars of the answers, `asked` those of the sessions that were asked for (rows of `equity_bars`).
    Sessions that are known to be on the old basis are not compared: that they differ is no new restatement. `corrected`
    are the bars outside of the sessions asked for that the broker has corrected.
    """

    def __init__(self, archive: Archive, report: CollectionReport, new: pa.Table, asked: pa.Table) -> None:
        self._archive = archive
        self._asked: defaultdict[Series, set[date]] = defaultdict(set)
        self._named: list[dict[str, Any]] = []
        self._left: set[Place] = set()
        self.symbols: set[str] = set()
        self.corrected = new.slice(0, 0)
        self._stored: dict[Series, list[date]] = {}
        if not new.num_rows:
            return
        symbols = new["symbol"].unique().to_pylist()
        self._named = left_on_old_basis(archive, symbols)
        self._left = {_place(row) for row in self._named}
        stored = _without(_stored_beside(archive, new, asked), self._left)
        changes = restated(new, stored)
        moved = _under_another_contract(new, stored)
        # A series that goes on under another contract may have other prices altogether; one ratio restates them.
        self.symbols = {c.symbol for c in changes if not c.corrected and (c.uniform or c.symbol not in moved)}
        self._stored = _series(archive, self.symbols)
        corrected = changed_rows(new, stored, asked) if changes else self.corrected
        others = pc.is_in(corrected["symbol"], pa.array(sorted(self.symbols | moved), pa.string()))
        self.corrected = corrected.filter(pc.invert(others))
        self._tell(report, changes)

    def _tell(self, report: CollectionReport, changes: Iterable[Restatement]) -> None:
        for change in changes:
            symbol, size = change.symbol, change.bar_size
            if symbol in self.symbols and not change.corrected:
                sizes = ", ".join(sorted(size for name, size in self._stored if name == symbol))
                report.notes.append(
                    f"{symbol} {size}: prices {change.words()}; the stored history of all bar sizes ({sizes}) is read"
                    " anew."
                )
            elif symbol not in self.symbols:
                said = (
                    "were corrected by the broker" if change.corrected else "have other prices under the new contract"
                )
                report.notes.append(f"{symbol} {size}: {change.bars} stored bar(s) {said}.")

    def requests(self, underlyings: Mapping[str, Instrument], results: Sequence[Result]) -> list[BarsRequest]:
        """The requests for all stored bars of the symbols among `underlyings`, but of series that `results` answer as a
        whole."""
        archive = self._archive
        answered = _sessions_of([r.request for r in results if r.outcome.kind is OutcomeKind.COMPLETE], archive)
        found: list[BarsRequest] = []
        for (symbol, size), sessions in sorted(self._stored.items()):
            if symbol not in underlyings or answered[symbol, size] >= set(sessions):
                continue
            last = max([sessions[-1], *answered[symbol, size]])
            found += plan_redownload(underlyings[symbol], size, sessions[0], last, archive.now, archive.calendar)
        self._asked = _sessions_of(found, archive)
        return found

    def left_behind(self, underlyings: Collection[str], coverage: pa.Table, bars: pa.Table) -> pa.Table:
        """Conditions (rows of `coverage`) of the sessions on the old basis, to be recorded whatever stands of them: of
        those of which no new bar came, from the `coverage` of what was answered, and of those that the broker answers
        as before while it has restated another bar size."""
        stored = {(*series, session) for series, sessions in self._stored.items() for session in sessions}
        places = {place for place in stored if place[0] in underlyings} | self._left
        if not places:
            return COVERAGE.schema.empty_table()
        said = {_place(row): row for row in coverage.to_pylist()}
        fresh = {_place(row) for row in bars.select(_PLACE).group_by(_PLACE).aggregate([]).to_pylist()}
        rows = []
        for place in sorted(places - fresh):
            row = said.get(place)
            if row is not None and row["condition"] not in (Condition.NO_TRADES, Condition.COMPLETE):
                rows.append({**row, "reason": f"{ON_OLD_BASIS}: {row['reason']}"})
            elif row is not None or (place in stored and place[2] not in self._asked[place[:2]]):
                rows.append(self._no_longer_given(place, 0 if row is None else row["request_id"]))
        symbols = {place[0] for place in places}
        return pa.concat_tables(
            [from_rows(COVERAGE, rows), left_by_the_broker(self._archive, symbols, bars, self._named)]
        )

    def _no_longer_given(self, place: Place, request_id: int) -> dict[str, Any]:
        named = {"dataset": EQUITY_BARS.name, "con_id": 0, **dict(zip(_PLACE, place, strict=True))}
        said = {"condition": str(Condition.COMPLETE), "reason": NO_LONGER_GIVEN}
        return {**named, **said, "collected_at": self._archive.now, "request_id": request_id}


def _stored_beside(archive: Archive, new: pa.Table, asked: pa.Table) -> pa.Table:
    """The stored bars to compare new ones with: of the sessions that were asked for, and daily ones of the others."""
    view, symbols = archive.view(EQUITY_BARS), new["symbol"].unique().to_pylist()
    sessions = set(asked["session"].unique().to_pylist())
    earlier = set(new["session"].unique().to_pylist()) - sessions
    columns = [*_PLACE, "start", "con_id", *PRICES]
    tables = [view.table(sessions=sorted(sessions), symbols=symbols, columns=columns)] if sessions else []
    if earlier:
        # What a user has stored (request_id 0) is compared where it is asked for, as ever.
        of_broker = f"bar_size = '{DAILY}' and request_id <> 0"
        tables.append(view.table(sessions=sorted(earlier), symbols=symbols, columns=columns, where=of_broker))
    return pa.concat_tables(tables)


def _under_another_contract(new: pa.Table, stored: pa.Table) -> set[str]:
    """The symbols of which a stored bar has a contract id that no new one has."""
    key = ["symbol", "con_id"]
    known = {tuple(row.values()) for row in new.select(key).group_by(key).aggregate([]).to_pylist()}
    rows = stored.select(key).group_by(key).aggregate([]).to_pylist()
    return {row["symbol"] for row in rows if tuple(row.values()) not in known}


def _place(row: Mapping[str, Any]) -> Place:
    return row["symbol"], row["bar_size"], row["session"]


def _sessions_of(requests: Iterable[Request], archive: Archive) -> defaultdict[Series, set[date]]:
    """The sessions of each series that requests ask for."""
    found: defaultdict[Series, set[date]] = defaultdict(set)
    for request in requests:
        if isinstance(request, BarsRequest):
            sessions = archive.calendar.sessions(request.first_session, request.session)
            found[request.symbol, request.bar_size] |= set(sessions)
    return found


def _series(archive: Archive, symbols: Collection[str]) -> dict[Series, list[date]]:
    """The stored sessions of every bar size of symbols."""
    if not symbols:
        return {}
    sql = """select symbol, bar_size, list(distinct session order by session) as sessions from equity_bars
             where symbol in (select unnest($symbols::varchar[])) group by symbol, bar_size"""
    rows = archive.lake.query(sql, {"symbols": sorted(symbols)}).to_pylist()
    return {(row["symbol"], row["bar_size"]): row["sessions"] for row in rows}


def _without(bars: pa.Table, places: Collection[Place]) -> pa.Table:
    """Bars without those of the given series and sessions."""
    if not places or not bars.num_rows:
        return bars
    rows = zip(*(bars[name].to_pylist() for name in _PLACE), strict=True)
    return bars.filter(pa.array([row not in places for row in rows], pa.bool_()))


def without(coverage: pa.Table, others: pa.Table) -> pa.Table:
    """Conditions without those of the series and sessions of which there are `others`."""
    return _without(coverage, {_place(row) for row in others.to_pylist()})
