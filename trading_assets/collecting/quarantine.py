"""What becomes of bad answers: each answer is examined before it is decoded, a bad one is set aside, kept, and
requested again with backoff.

Here belongs the way of an answer between journal and decoding. What makes one bad is in `collecting.examine`, the table
of those that are kept in `broker.quarantine`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import HELD, Fault, Outcome, OutcomeKind, Quarantined, Result
from trading_assets.broker.quarantine import Entry, Quarantine, question
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    QuoteRequest,
    Request,
)
from trading_assets.broker.unit_decisions import DecidedUnits, UnitDecision, UnitDecisions, units_of
from trading_assets.collecting.backoff import FIRST_BACKOFF, LONGEST_BACKOFF, backoff_after
from trading_assets.collecting.decode import bar_rows, contract_rows, listing_rows
from trading_assets.collecting.decode.answer_units import in_assumed_units
from trading_assets.collecting.decode.arrow_tables import replaced
from trading_assets.collecting.decode.unit_changes import Quantity, shifted_hours
from trading_assets.collecting.examine import Examined, examine
from trading_assets.collecting.examine.answers import nothing_left
from trading_assets.errors import InvalidFrame
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, INSTANT, OPTION_BARS, OPTION_CHAINS
from trading_assets.sessions import SessionCalendar, session_date
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.collecting.archive import Archive

FIRST_SNAPSHOT_BACKOFF = timedelta(minutes=5)
"""After the first bad answer about a snapshot: it is available in its session only."""

IN_QUARANTINE = "is in quarantine:"
"""How a reason says that an answer is; what comes behind it are the faults."""

NAMED_FAULTS = 2
"""Faults that a reason names."""

_Trial = Callable[[list[Result]], object]


class Examiner:
    """Examines the answers of one archive. `settle` is due when their rows are in the lake."""

    def __init__(self, settings: Settings, journal: Journal, calendar: SessionCalendar) -> None:
        self._settings = settings
        self._journal = journal
        self._calendar = calendar
        self._quarantine = Quarantine(settings.state_url)
        self._decisions = UnitDecisions(settings.state_url)
        self._decided: list[UnitDecision] = []
        self._seen: dict[int, Result] = {}
        self._held: set[int] = set()

    def examined(self, results: Iterable[Result]) -> list[Result]:
        """The results with what can be stored of their payloads; bad ones carry `quarantined` and are set aside in the
        journal.

        Where the market's clock is pinned, `finished_at` is by it.
        """
        found = [
            result if self._settings.now is None else replace(result, finished_at=self._pinned(result))
            for result in results
        ]
        found = self._decodable([self._examined(result) for result in self._in_units(found)])
        bad = [result for result in found if result.quarantined is not None]
        if bad:
            self._journal.set_aside([result.request_id for result in bad])
        self._seen |= {result.request_id: replace(result, payload=None) for result in found}
        return found

    def hold(self, result: Result, fault: Fault, sessions: frozenset[date], reason: str) -> Result:
        """The result without its payload: the answer may be right, and is kept until the user decides (`fault` is
        `HELD`). It is asked for again with the next session."""
        session = self._calendar.last_closed(result.finished_at)
        due = self._calendar.closes_at(self._calendar.following(session))
        held = self._bad(result, Examined(None, (fault,), sessions))
        assert held.quarantined is not None
        held = replace(
            held,
            outcome=Outcome(OutcomeKind.QUARANTINED, None, reason, due),
            quarantined=replace(held.quarantined, reason=reason, retry_after=due),
        )
        self._journal.set_aside([result.request_id])
        self._held.add(result.request_id)
        self._seen[result.request_id] = held
        return held

    def is_held(self, result: Result) -> bool:
        """Whether `hold` has been called with the answer."""
        return result.request_id in self._held

    def decided(self, result: Result) -> DecidedUnits:
        """What the user decided about the units of an answer."""
        return units_of(self._decided, result, self._calendar.last_closed(result.finished_at))

    def settle(self, request_ids: Iterable[int], now: datetime) -> None:
        """The rows of these answers are in the lake: keep the bad ones, close what they answer. Before
        `Journal.applied`."""
        results = [self._seen.pop(request_id) for request_id in request_ids if request_id in self._seen]
        self._quarantine.settle(results, now)

    def due_listings(self, symbols: Iterable[str]) -> dict[str, set[str]]:
        """Symbols of which an answer about what is listed is in quarantine and due again, each with the last trading
        days (`YYYYMMDD`) concerned.

        What is stored of those days is not whole. The set is empty where the option parameters are concerned.
        """
        found: dict[str, set[str]] = defaultdict(set)
        for entry in self._open(symbols, due=True):
            if entry.dataset == OPTION_CHAINS.name and entry.kind != QuoteRequest.kind:
                found[entry.symbol] |= {entry.last_trade} if entry.last_trade else set()
        return found

    def due_details(self, symbols: Iterable[str]) -> set[str]:
        """Symbols of whose contract details a part is in quarantine and due again: another of the contracts may be
        meant."""
        return {entry.symbol for entry in self._open(symbols, due=True) if entry.kind == ContractDetailsRequest.kind}

    def waiting_quotes(self, symbols: Iterable[str], session: date) -> dict[tuple[str, int], Entry]:
        """Quotes of the session that are in quarantine and not due yet, by symbol and contract id (of the underlying:
        its own)."""
        mine = (
            entry
            for entry in self._open(symbols, due=False)
            if entry.kind == QuoteRequest.kind and entry.sessions == (session,)
        )
        return {(entry.symbol, entry.con_id): entry for entry in mine}

    def due_bars(self, dataset: str, bar_size: str, symbols: Iterable[str]) -> dict[tuple[str, int], set[date]]:
        """Sessions whose bars are in quarantine and due again, by symbol and contract id (0: the underlying), whatever
        coverage says of them."""
        today = f"{session_date(self._settings.clock()):%Y%m%d}"
        found: dict[tuple[str, int], set[date]] = defaultdict(set)
        for entry in self._open(symbols, due=True):
            mine = entry.kind == BarsRequest.kind and (entry.dataset, entry.bar_size) == (dataset, bar_size)
            if mine and not "" < entry.last_trade < today:  # of an expired contract nothing can be asked
                found[entry.symbol, entry.con_id if dataset == OPTION_BARS.name else 0] |= set(entry.sessions)
        return found

    def _open(self, symbols: Iterable[str], *, due: bool) -> list[Entry]:
        """The open entries of the symbols that are due again, or those that are not yet."""
        now = self._settings.clock()
        return [entry for entry in self._quarantine.entries(symbols=symbols) if (entry.retry_after <= now) is due]

    def _in_units(self, results: list[Result]) -> list[Result]:
        """The results, bars in another unit that the user has accepted in the unit of the settings."""
        bars = any(isinstance(result.request, BarsRequest) for result in results)
        self._decided = self._decisions.all() if bars else []
        if not self._decided:
            return results
        setting = self._settings.stock_volume_unit
        return [
            replace(result, payload=in_assumed_units(result, units, setting))
            if (units := self.decided(result).units) and result.payload is not None
            else result
            for result in results
        ]

    def _examined(self, result: Result) -> Result:
        kind = result.outcome.kind
        if kind is OutcomeKind.QUARANTINED and result.payload is None:
            return self._lost(result, Fault("response", "the answer", "", result.outcome.text))
        if result.payload is None or kind not in (OutcomeKind.COMPLETE, OutcomeKind.QUARANTINED):
            return result
        try:
            examined = examine(result.request, result.payload, self._calendar, result.finished_at)
        except MemoryError:
            raise
        except (
            Exception
        ) as error:  # whatever an answer holds, it must not keep the others out: it is quarantined, and says why
            return self._undecodable(result, error)
        if examined.faults:
            return self._bad(result, self._in_another_zone(result, examined))
        return replace(result, outcome=Outcome(OutcomeKind.COMPLETE), payload=examined.payload)

    def _in_another_zone(self, result: Result, examined: Examined) -> Examined:
        """What the faults come to where every time of the answer is off by the same hours: none of it can be stored as
        it is, and the user decides."""
        if not isinstance(result.request, BarsRequest) or any(fault.field != "start" for fault in examined.faults):
            return examined
        hours = shifted_hours((bar[0] for bar in result.payload["bars"] if type(bar) is list and bar), self._calendar)
        if hours is None:
            return examined
        evidence = f"(all bars lie outside the session's hours or {abs(hours):g} hours from where they belong)"
        fault = Fault(str(Quantity.TIME), HELD, f"off by {hours:+g}h", evidence)
        first, known_at = result.request.first_session, result.finished_at
        last = min(result.request.session, self._calendar.last_closed(known_at))
        return Examined(None, (fault,), frozenset(self._calendar.sessions(first, last) if first <= last else ()))

    def _pinned(self, result: Result) -> datetime:
        """When an answer came in a replay: now, but a snapshot of an earlier session before the next one opened."""
        now, request = self._settings.clock(), result.request
        return (
            now
            if isinstance(request, BarsRequest)
            else min(now, self._calendar.opens_at(self._calendar.following(request.session)))
        )

    def _bad(self, result: Result, examined: Examined) -> Result:
        failures = 1 + max((entry.failures for entry in self._earlier(result, examined)), default=0)
        retry_after = result.finished_at + _backoff(result.request, failures, result.finished_at)
        bad = Quarantined(
            examined.faults, examined.sessions, _sentence(result.request, examined), failures, retry_after
        )
        left = examined.payload is not None
        kind, text = (OutcomeKind.COMPLETE, "") if left else (OutcomeKind.QUARANTINED, bad.reason)
        outcome = Outcome(kind, None, text, None if left else retry_after)
        return replace(result, outcome=outcome, payload=examined.payload, quarantined=bad)

    def _earlier(self, result: Result, examined: Examined) -> list[Entry]:
        """Open entries of the same question about the same sessions."""
        return [
            entry
            for entry in self._quarantine.entries(symbols=[result.request.symbol])
            if entry.question == question(result.request)
            and entry.request_id < result.request_id
            and (not isinstance(result.request, BarsRequest) or examined.sessions & set(entry.sessions))
        ]

    def _undecodable(self, result: Result, error: Exception) -> Result:
        reason = " ".join(error.problems) if isinstance(error, InvalidFrame) else f"{type(error).__name__}: {error}"
        return self._lost(result, Fault("the answer", "the answer", "", f"cannot be stored ({reason[:500]})"))

    def _lost(self, result: Result, fault: Fault) -> Result:
        """An answer of which nothing can be stored."""
        return self._bad(result, nothing_left(result.request, fault, self._calendar, result.finished_at))

    def _decodable(self, results: Sequence[Result]) -> list[Result]:
        """The results, those of which decoding or the checks at the write would fail as bad ones: found by trying, not
        by what is known of them."""
        groups: dict[tuple[type[Request], str], list[int]] = defaultdict(list)
        for position, result in enumerate(results):
            if result.payload is not None and result.outcome.kind is OutcomeKind.COMPLETE:
                groups[type(result.request), result.request.dataset].append(position)
        found = list(results)
        for (kind, dataset), positions in groups.items():
            trial = self._trial(kind, dataset)
            for position, error in _culprits(found, positions, trial) if trial is not None else ():
                found[position] = self._undecodable(results[position], error)
        return found

    def _trial(self, kind: type[Request], dataset: str) -> _Trial | None:
        """Decoding answers of a kind and checking their rows, as the steps and the store do."""
        settings = self._settings
        if kind is BarsRequest:
            unit, now = settings.stock_volume_unit, settings.clock()
            return lambda group: validated(
                DATASETS[dataset], bar_rows(group, DATASETS[dataset], self._calendar, stock_volume_unit=unit), now
            )
        if kind is OptionListingRequest:
            return lambda group: validated(OPTION_CHAINS, listing_rows(group, {}))
        if kind is ContractDetailsRequest:
            return lambda group: validated(CONTRACTS, contract_rows(group))
        return None


def _culprits(results: Sequence[Result], positions: list[int], trial: _Trial) -> list[tuple[int, Exception]]:
    """Positions of the results with which the trial fails, and how: by halves, so that a hundred good ones cost one
    trial."""
    try:
        trial([results[position] for position in positions])
    except (MemoryError, pa.ArrowMemoryError):
        raise
    except Exception as error:  # ends in quarantine with the error as the reason
        if len(positions) == 1:
            return [(positions[0], error)]
        middle = len(positions) // 2
        return [*_culprits(results, positions[:middle], trial), *_culprits(results, positions[middle:], trial)]
    return []


def _backoff(request: Request, failures: int, now: datetime) -> timedelta:
    """The backoff after so many bad answers: one, two, four, ... hours; of what is available today only never more than
    the first."""
    if not isinstance(request, BarsRequest):
        return min(LONGEST_BACKOFF, FIRST_SNAPSHOT_BACKOFF * 2 ** min(failures - 1, 16))
    expiring = "" < request.instrument.last_trade[:8] <= f"{session_date(now):%Y%m%d}"
    return FIRST_BACKOFF if expiring else backoff_after(failures)


def _sentence(request: Request, examined: Examined) -> str:
    asked = type(request).kind.replace("_", " ")
    instrument = request.instrument
    of = f"{request.bar_size} bars" if isinstance(request, BarsRequest) else asked
    who = (instrument.local_symbol or f"{instrument.symbol} {instrument.last_trade}").strip()
    named = "; ".join(str(fault) for fault in examined.faults[:NAMED_FAULTS])
    more = f" (and {len(examined.faults) - NAMED_FAULTS:,} more)" if len(examined.faults) > NAMED_FAULTS else ""
    part = "part of " if examined.payload is not None else ""
    return (
        f"The broker answered with values that cannot be stored, so {part}its answer about {of} of {who}"
        f" {IN_QUARANTINE} {named}{more}."
    )


def make_due(archive: Archive, entry_id: int) -> Entry:
    """Let the question of an open entry be requested again from now on: in the quarantine and in what coverage says.

    Raises `ValueError` for an entry that is not open.
    """
    entry = Quarantine(archive.settings.state_url).make_due(entry_id, archive.now)
    rows = archive.coverage.recorded(
        entry.dataset,
        entry.bar_size,
        [entry.symbol],
        min(entry.sessions, default=None),
        max(entry.sessions, default=None),
    )
    con_id = entry.con_id if entry.kind == BarsRequest.kind and entry.dataset == OPTION_BARS.name else 0
    mine = pc.and_(pc.equal(rows["con_id"], con_id), pc.is_in(rows["session"], pa.array(entry.sessions, pa.date32())))
    retry_now(archive, rows.filter(mine))
    return entry


def retry_now(archive: Archive, rows: pa.Table) -> None:
    """Let what these rows of coverage wait for be requested with the next run."""
    waiting = rows.filter(pc.is_valid(rows["retry_after"]))
    archive.coverage.record(replaced(waiting, "retry_after", pa.nulls(waiting.num_rows, INSTANT)))
