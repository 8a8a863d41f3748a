"""Bars of the underlyings."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pyarrow as pa

from trading_assets.repositories.base import DatasetRepository, Day
from trading_assets.repositories.contracts import ContractRepository
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.repositories.store import UpsertCounts

DAILY = "1 day"


class EquityBarRepository(DatasetRepository):
    """Reads and saves equity bars. Prices in dollars, split-adjusted at the time of the request; times in UTC;
    `session` is the exchange date.

    Frames have the columns of `schemas.EQUITY_BARS`, dtypes of `frames.to_pandas`.
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
    ) -> pd.DataFrame:
        """Bars of one symbol in the sessions from `start_date` to `end_date` (both included), ordered by start.

        They are of the company that holds the symbol now. With `con_id` they are of that contract: also of a company
        that held the symbol before (`trading-assets universe series` lists the contracts).
        """
        where = restricted(symbol=symbol)
        if con_id is not None:
            also, parameters = "symbol = ? or starts_with(symbol, ?)", (symbol, f"{symbol}@")
            where = replace(restricted(con_id=con_id), also=also, parameters=parameters)
        return self._load(where, first=start_date, last=end_date, variants=[bar_size])

    def load(
        self, symbol: str | list[str] | None = None, trade_date: Day | None = None, bar_size: str = DAILY
    ) -> pd.DataFrame:
        """Bars of some or all symbols, of one session or of all. A day without trading has no bars."""
        return self._load(restricted(symbol=symbol), first=trade_date, last=trade_date, variants=[bar_size])

    def present_dates(
        self, symbol: str, bar_size: str = DAILY, start_date: Day | None = None, end_date: Day | None = None
    ) -> set[date]:
        """Sessions from `start_date` to `end_date` of which there are bars."""
        return self._sessions(restricted(symbol=symbol), start_date, end_date, [bar_size])

    def symbols(self, bar_size: str = DAILY) -> list[str]:
        """Symbols of which there are bars, in order."""
        found: list[str] = self._read(restricted(), columns=["symbol"], variants=[bar_size], distinct=True)[
            "symbol"
        ].to_pylist()
        return found

    def save(
        self, frame: pa.Table | pd.DataFrame, symbol: str | None = None, bar_size: str | None = None
    ) -> UpsertCounts:
        """Save bars that the user has, for instance from another source or an own request.

        Needed are `open`, `high`, `low`, `close`, `volume` and a time: `start` (aware), an aware index, or of daily
        bars `session` or `date`. See `frames.completed` for what is filled in; `con_id` is that of the stored contract
        of the symbol, else 0. Raises `InvalidFrame` before anything is written.
        """
        con_id = None
        if symbol is not None and "con_id" not in (
            frame.column_names if isinstance(frame, pa.Table) else frame.columns
        ):
            contract = ContractRepository(store=self.store).latest(symbol)
            con_id = contract["con_id"] if contract else 0
        return self._save(frame, symbol=symbol, bar_size=bar_size, con_id=con_id)
