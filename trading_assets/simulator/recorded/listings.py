"""Which option contracts were listed in a session, told from what was recorded up to it and nothing later.

A contract is taken to be listed in session S when it was seen on the latest *whole* chain recorded up to S, or on a
later partial one, and has not expired. What counts as having been seen on a date:

- strong: a trade or a quote in a bar file, a row of a chain-quotes file;
- weak: a row with a price in `option_universe_lean`, a row of `option_open_interest`. Weak evidence counts only where
  no whole strong chain is recorded that day, and never brings back a contract that a whole chain has shown to be gone.
  The universe file pads days with contracts of other days (price 0: not seen) and carries contracts that a split has
  ended.

A date is whole when its quotes cover half of the contracts listed before it (a date with trades only, or with a handful
of contracts, adds to the listing but removes nothing). A split that changes strikes ends every contract listed before
it: AAPL's 490 of 2014-06-06 is gone on 2014-06-09, its 70.71 is not there before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.catalog import Catalog
from trading_assets.simulator.recorded.grid import Ints, Mask, grid
from trading_assets.simulator.recorded.recorded_files import Table

_WHOLE = 0.5
"""Share of the contracts listed before that a date's quotes must cover to count as a whole chain; the recorded whole
chains cover 90 % and more, the partial ones 5 % and less."""

_STRONG, _QUOTED, _WEAK = 0, 1, 2

_Seen = dict[int, list[Ints]]
"""Codes seen, by session."""


@dataclass(frozen=True, slots=True)
class _History:
    """The sessions with evidence, and what was listed at the end of each (sorted codes, some since expired)."""

    sessions: Ints
    listed: list[Ints]


class Listings:
    """Listed option contracts by underlying and session."""

    def __init__(self, archive: Archive, catalog: Catalog) -> None:
        self._archive = archive
        self._catalog = catalog
        self._histories: dict[str, _History] = {}

    def first_session(self, symbol: str) -> int | None:
        """The first session with a recorded chain of the underlying; None without one."""
        history = self._history(symbol)
        return int(history.sessions[0]) if len(history.sessions) else None

    def listed(self, symbol: str, session: int, now: float, include_expired: bool = False) -> Ints:
        """Codes listed in a session and not expired at `now` (epoch seconds), sorted.

        With `include_expired` every contract that was seen up to the session.
        """
        history = self._history(symbol)
        last = int(np.searchsorted(history.sessions, session, side="right")) - 1
        if last < 0:
            return np.empty(0, dtype=np.int64)
        if include_expired:
            return np.unique(np.concatenate(history.listed[: last + 1]))
        if self._strikes_changed(symbol, int(history.sessions[last]), session):
            return np.empty(0, dtype=np.int64)
        codes = history.listed[last]
        return codes[self._catalog.expired_at[codes] > now]

    def _strikes_changed(self, symbol: str, after: int, until: int) -> bool:
        days = grid().days
        return self._archive.factors.strikes_changed(symbol, int(days[after]), int(days[until]))

    def _history(self, symbol: str) -> _History:
        history = self._histories.get(symbol)
        if history is None:
            history = self._histories[symbol] = self._walk(symbol)
        return history

    def _walk(self, symbol: str) -> _History:
        """Go through the recorded dates of an underlying in order and keep what is listed after each."""
        strong, quoted, weak = (self._evidence[kind].get(symbol, {}) for kind in (_STRONG, _QUOTED, _WEAK))
        sessions = sorted({*strong, *weak})
        size = len(self._catalog.osis)
        days, expiry_days = grid().days, self._catalog.expiry_days
        alive, gone = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        listed: list[Ints] = []
        for i, session in enumerate(sessions):
            if i and self._strikes_changed(symbol, sessions[i - 1], session):
                gone |= alive
                alive[:] = False
            alive &= expiry_days >= days[session]
            seen, priced, hinted = (_mask(evidence, session, size) for evidence in (strong, quoted, weak))
            whole = _WHOLE * np.count_nonzero(alive)
            if priced.any() and np.count_nonzero(priced) >= whole:
                gone |= alive & ~seen
                alive = seen
            elif (hinted & ~gone).any() and np.count_nonzero(hinted & ~gone) >= whole:
                gone |= alive & ~(hinted | seen)
                alive = (hinted & ~gone) | seen
            else:
                alive = alive | seen | (hinted & ~gone)
            gone &= ~seen
            listed.append(np.flatnonzero(alive))
        return _History(np.array(sessions, dtype=np.int64), listed)

    @cached_property
    def _evidence(self) -> dict[int, dict[str, _Seen]]:
        """By kind of evidence and underlying, the codes seen in each session."""
        evidence: dict[int, dict[str, _Seen]] = {
            kind: defaultdict(lambda: defaultdict(list)) for kind in (_STRONG, _QUOTED, _WEAK)
        }
        archive = self._archive
        for table in (archive.option_minute, archive.option_hour, archive.option_daily):
            quotes = ~np.isnan(table.rows["bid_close"]) | ~np.isnan(table.rows["ask_close"])
            self._add(evidence[_STRONG], table, quotes | ~np.isnan(table.rows["close"]))
            self._add(evidence[_QUOTED], table, quotes)
        for table in archive.chain_quotes.values():
            for kind in (_STRONG, _QUOTED):
                self._add(evidence[kind], table, ~(table.rows["stale"] > 0))
        self._add(evidence[_WEAK], archive.universe, archive.universe.rows["close"] > 0)
        self._add(evidence[_WEAK], archive.open_interest, ~np.isnan(archive.open_interest.rows["open_interest"]))
        return evidence

    def _add(self, evidence: dict[str, _Seen], table: Table, seen: Mask) -> None:
        """Add the contracts that a table shows as seen, each once a session."""
        if not len(table):
            return
        catalog = self._catalog
        codes = np.array([catalog.code_of[osi] for osi in table.keys], dtype=np.int64)
        pairs = np.unique(table.rows.session[seen] * len(catalog.osis) + codes[table.code[seen]])
        session, code = np.divmod(pairs, len(catalog.osis))
        for run in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(session)) + 1):
            if len(run):
                self._add_session(evidence, int(session[run[0]]), code[run])

    def _add_session(self, evidence: dict[str, _Seen], session: int, codes: Ints) -> None:
        names, numbers = self._symbols
        for number in np.unique(numbers[codes]).tolist():
            evidence[names[number]][session].append(codes[numbers[codes] == number])

    @cached_property
    def _symbols(self) -> tuple[list[str], Ints]:
        """The underlyings, and for each code the number of its own."""
        names = sorted(set(self._catalog.symbols))
        place = {name: number for number, name in enumerate(names)}
        return names, np.array([place[name] for name in self._catalog.symbols], dtype=np.int64)


def _mask(evidence: _Seen, session: int, size: int) -> Mask:
    mask = np.zeros(size, dtype=np.bool_)
    for codes in evidence.get(session, ()):
        mask[codes] = True
    return mask
