"""Bars of the underlyings."""

from __future__ import annotations

from dataclasses import replace

from trading_assets import arguments
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.base import DatasetRepository, Day
from trading_assets.repositories.contracts import newest_contract
from trading_assets.repositories.frames import As, Frame, as_pandas
from trading_assets.repositories.present_sessions import PresentSessions, Series
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.repositories.store import UpsertCounts

DAILY = "1 day"


class EquityBarRepository(DatasetRepository):
    """Reads and saves equity bars. Prices in dollars, split-adjusted at the time of the request; times in UTC;
    `session` is the exchange date.

    Frames have the columns of `schemas.EQUITY_BARS`, dtypes of `frames.to_pandas`, or are of Arrow or Polars (`as_`).
    """

    DATASET = EQUITY_BARS

    def load_symbol_data(
        self,
        symbol: str,
        start_date: Day | None = None,
        end_date: Day | None = None,
        bar_size: str = DAILY,
        *,
        con_id: int | None = None,
        as_: As = "pandas",
    ) -> Frame:
        """Bars of one symbol in the sessions from `start_date` to `end_date` (both included), ordered by start.

        They are of the company that holds the symbol now. With `con_id` they are of that contract: also of a company
        that held the symbol before (`trading-assets universe series` lists the contracts).
        """
        name = arguments.stored_symbol(symbol)
        first, last = arguments.day_range(start_date, end_date)
        where = restricted(symbol=name)
        if con_id is not None:
            also, parameters = "symbol = ? or starts_with(symbol, ?)", (name, f"{name}@")
            contract = arguments.one_con_id(con_id)
            where = replace(restricted(con_id=contract), also=also, parameters=parameters)
        return self._load(where, as_, first=first, last=last, variants=[arguments.bar_size(bar_size)])

    def load(
        self, symbol: Symbols = None, trade_date: Day | None = None, bar_size: str = DAILY, *, as_: As = "pandas"
    ) -> Frame:
        """Bars of some or all symbols, of one session or of all. A day without trading has no bars."""
        where, day = (
            restricted(symbol=arguments.stored_symbols(symbol)),
            arguments.optional_day(trade_date, "trade_date"),
        )
        return self._load(where, as_, first=day, last=day, variants=[arguments.bar_size(bar_size)])

    def present_dates(
        self, symbol: str, bar_size: str = DAILY, start_date: Day | None = None, end_date: Day | None = None
    ) -> PresentSessions:
        """Sessions from `start_date` to `end_date` of which there are bars."""
        name, size = arguments.stored_symbol(symbol), arguments.bar_size(bar_size)
        found = self._sessions(restricted(symbol=name), *arguments.day_range(start_date, end_date), [size])
        return PresentSessions(found, Series(self.store.data_dir, self.DATASET.name, name, size))

    def symbols(self, bar_size: str = DAILY) -> list[str]:
        """Symbols of which there are bars, in order."""
        sizes = [arguments.bar_size(bar_size)]
        return self._read(restricted(), columns=["symbol"], variants=sizes, distinct=True)["symbol"].to_pylist()

    def save(self, frame: Frame, symbol: str | None = None, bar_size: str | None = None) -> UpsertCounts:
        """Save bars that the user has, for instance from another source or an own request.

        Needed are `open`, `high`, `low`, `close`, `volume` and a time: `start` (aware), an aware index, or of daily
        bars `session` or `date`. See `frames.completed` for what is filled in; `con_id` is that of the stored contract
        of the symbol, else 0. Raises `InvalidFrame` before anything is written.
        """
        con_id, frame = None, as_pandas(frame)
        symbol = None if symbol is None else arguments.stored_symbol(symbol)
        bar_size = None if bar_size is None else arguments.bar_size(bar_size)
        if symbol is not None and "con_id" not in frame.columns:
            contract = newest_contract(self.store, symbol)
            con_id = contract["con_id"] if contract else 0
        return self._save(frame, symbol=symbol, bar_size=bar_size, con_id=con_id)
