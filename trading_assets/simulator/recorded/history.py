"""Bars as of an instant: which recorded rows were known then, which file is to be trusted, in whose shares prices
stand.

Which file answers (README of the recorded data, "Checked"):

- Stocks, a day and more: the daily file; minute high and low are off by cents. Within the day: the minute file, else
  the hour file (bars of an hour and more).
- Options, an hour and more: the hour file, else (bars of 8 hours, one a session) the daily file, else minutes. Hour and
  daily agree for every contract; the GOOG minutes come from another vendor run and do not. Under an hour: minutes only.
- A session still open at `now`: of the trusted file what is complete, after that the minutes that are over.

Option bars are of regular hours whatever is asked, as at the broker. The hour file's row stamped at the close (13:00 on
a half day) is the settlement bar and belongs to its session; minutes after the close are late prints that no daily row
counts. Stock prices are split-adjusted as of `now` to full precision (a millionth of a dollar), not to the cent; option
prices and strikes stand as they were listed. Nothing is filled in: a minute without a change has no bar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from trading_assets.simulator.market import Bar, ListedContract, MarketRefusal
from trading_assets.simulator.recorded import candles as c
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.candles import Candles
from trading_assets.simulator.recorded.catalog import Catalog
from trading_assets.simulator.recorded.grid import Ints, Mask, grid
from trading_assets.simulator.recorded.instruments import LATE_CLOSE, trades_late
from trading_assets.simulator.recorded.recorded_files import Rows, Table

_LONGEST_PERIOD = {c.WEEK: 6, c.MONTH: 24}
"""Sessions to look back from the asked start so that the period it falls into is seen whole or recognised as begun
before."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file's answer for one contract: its rows and the seconds one row spans (`SESSION`: the whole session)."""

    rows: Rows
    span: int


class History:
    """Bars of stocks and options, and the recorded rows behind them."""

    def __init__(self, archive: Archive, catalog: Catalog) -> None:
        self._archive, self._catalog = archive, catalog

    @cached_property
    def _late(self) -> set[str]:
        """Underlyings whose options trade until 16:15."""
        return {symbol for symbol, contract in self._catalog.underlyings.items() if trades_late(contract)}

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what_to_show: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        """As `Market.bars`, without regard to expiry."""
        if bar_size not in c.BAR_SECONDS:
            raise MarketRefusal(
                321, f"Historical data bar size setting is invalid. Legal ones are: {', '.join(c.BAR_SECONDS)}"
            )
        seconds = c.BAR_SECONDS[bar_size]
        is_option = contract.sec_type == "OPT"
        if is_option and seconds >= c.SESSION:
            return []
        sessions = grid()
        last = sessions.current(min(end.timestamp() - 1, now.timestamp()))
        first = max(sessions.of_or_after(start.timestamp()) - _LONGEST_PERIOD.get(seconds, 0), 0)
        known = self.known(contract, what_to_show, seconds, first, last, now.timestamp(), use_rth)
        starts = c.bucket_starts(known, seconds, use_rth or is_option, is_option and seconds == c.EIGHT_HOURS)
        unopened = starts > now.timestamp()  # a bar of all hours, before the open that names it
        if unopened.any():
            starts = np.where(unopened, known.start[unopened].min(), starts)
        asked = (starts >= start.timestamp()) & (starts < end.timestamp())
        return _as_bars(c.aggregate(known.where(asked), starts[asked], averaged=what_to_show == "BID_ASK"))

    def head(self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime) -> datetime | None:
        """The start of the oldest bar known at `now`, of whatever size: at the latest the open of the first session."""
        starts = []
        for source in self._sources(contract, c.SESSION):
            known = self._known_rows(contract, source, what_to_show, now.timestamp(), use_rth)
            if len(known):
                starts.append(min(int(known.start[0]), int(grid().opens[known.session[0]])))
        return datetime.fromtimestamp(min(starts), UTC) if starts else None

    def last_quote_rows(self, contract: ListedContract, session: int, now: float) -> Rows | None:
        """The rows with a quote in a session that were complete at `now`, of the first file (minutes, hours, daily)
        that has any."""
        for source in sorted(self._sources(contract, c.SESSION), key=lambda source: source.span):
            rows = source.rows.of_session(session)
            quoted = ~(
                np.isnan(rows["bid_close"])
                & np.isnan(rows["ask_close"])
                & np.isnan(rows["bid_size"])
                & np.isnan(rows["ask_size"])
            )
            rows = rows.where(quoted & (self._ends(contract, rows.start, rows.session, source.span) <= now))
            if len(rows):
                return rows
        return None

    def known(
        self,
        contract: ListedContract,
        what_to_show: str,
        seconds: int,
        first: int,
        last: int,
        now: float,
        use_rth: bool = True,
    ) -> Candles:
        """The rows of the sessions `first` to `last` known at `now` that bars of `seconds` are made of, adjusted, in
        order.

        For each session the first file that speaks for it; for the session open at `now`, the finer files go on where
        it ends.
        """
        parts: list[Candles] = []
        current = grid().current(now)
        is_open = now < self._final(contract, current)
        spoken = np.zeros(len(grid().dates), dtype=np.bool_)
        covered = 0
        for source in self._sources(contract, seconds):
            rows = source.rows.sessions(first, last)
            over = self._ends(contract, rows.start, rows.session, source.span)
            complete = slice(0, int(np.searchsorted(over, now, side="right")))
            rows, over = rows.where(complete), over[complete]
            missing = ~spoken[rows.session]
            if is_open and covered:
                missing |= (rows.session == current) & (rows.start >= covered)
            if not missing.any():
                continue
            if not missing.all():
                rows, over = rows.where(missing), over[missing]
            known = self._known_rows(contract, _Source(rows, source.span), what_to_show, now, use_rth)
            parts.append(known)
            spoken[rows.session if what_to_show in c.TRADE_BARS else known.session] = True
            covered = max(covered, int(np.max(over[rows.session == current], initial=0)))
        known = c.joined(parts) if parts else c.NOTHING
        return self._adjusted(contract, known, what_to_show, now)

    def _sources(self, contract: ListedContract, seconds: int) -> list[_Source]:
        """The files that can make bars of a size, the one to be trusted first."""
        archive, key = self._archive, contract.local_symbol
        if contract.sec_type == "OPT":
            order: list[tuple[Table, int]] = [(archive.option_minute, c.MINUTE)]
            if seconds >= c.EIGHT_HOURS:
                order.insert(0, (archive.option_daily, c.SESSION))
            if seconds >= c.HOUR:
                order.insert(0, (archive.option_hour, c.HOUR))
        else:
            key = contract.symbol
            order = [(archive.equity_minute, c.MINUTE)] if seconds >= c.MINUTE else []
            if seconds >= c.HOUR:
                order.append((archive.equity_hour, c.HOUR))
            if seconds >= c.SESSION:
                order.insert(0, (archive.equity_daily, c.SESSION))
        return [_Source(rows, span) for table, span in order if seconds >= c.MINUTE and len(rows := table.of(key))]

    def _final(self, contract: ListedContract, session: int | Ints) -> Ints:
        """The instant from which a session's rows are complete: its close, 15 minutes later for options on indices and
        funds."""
        late = LATE_CLOSE if contract.sec_type == "OPT" and contract.symbol in self._late else 0
        return grid().closes[session] + late

    def _ends(self, contract: ListedContract, start: Ints, session: Ints, span: int) -> Ints:
        """The instant each row is complete, and so known."""
        final, close = self._final(contract, session), grid().closes[session]
        if span == c.SESSION:
            return final
        if span == c.HOUR:
            return np.where(start < close, np.minimum(start + c.HOUR, close), final)
        return start + c.MINUTE

    def _known_rows(
        self, contract: ListedContract, source: _Source, what_to_show: str, now: float, use_rth: bool
    ) -> Candles:
        """The rows of one source that say something, are of the wanted hours and complete at `now`."""
        rows = c.candles(source.rows, what_to_show, contract.sec_type == "IND")
        if contract.sec_type != "OPT":
            begun = grid().days[rows.session] >= self._archive.factors.first_day(contract.symbol)
            rows = rows.where(begun) if not begun.all() else rows
        wanted: Mask = self._ends(contract, rows.start, rows.session, source.span) <= now
        if source.span != c.SESSION and (use_rth or contract.sec_type == "OPT"):
            opens, closes = grid().opens[rows.session], grid().closes[rows.session]
            wanted &= rows.start + source.span > opens
            settlement = (rows.start <= closes) if source.span == c.HOUR and contract.sec_type == "OPT" else False
            wanted &= (rows.start < self._final(contract, rows.session)) | settlement
        rows = rows.where(wanted)
        # The hour file names the bar that holds the first half hour 09:00; the broker's starts with the session.
        return (
            replace(rows, start=np.maximum(rows.start, grid().opens[rows.session])) if source.span == c.HOUR else rows
        )

    def _adjusted(self, contract: ListedContract, rows: Candles, what_to_show: str, now: float) -> Candles:
        if contract.sec_type == "OPT":
            return rows
        sessions, factors = grid(), self._archive.factors
        days, today = sessions.days[rows.session], int(sessions.days[sessions.current(now)])
        split = factors.split_ratio(contract.symbol, days, today)
        dividends = factors.dividend_ratio(contract.symbol, days, today) if what_to_show == "ADJUSTED_LAST" else 1.0
        return rows.scaled(split * dividends, split)


def _as_bars(rows: Candles) -> list[Bar]:
    """Bars for an answer. Average price and trade count were not recorded: -1, which the broker uses for "none"."""
    dates = grid().dates
    columns = (getattr(rows, name).tolist() for name in Candles.__slots__)
    return [
        Bar(datetime.fromtimestamp(start, UTC), dates[session], opened, high, low, close, volume, -1.0, -1)
        for start, session, opened, high, low, close, volume in zip(*columns, strict=True)
    ]
