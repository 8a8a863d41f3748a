"""Bars of option contracts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd
import pyarrow as pa

from trading_assets.repositories.base import DatasetRepository, Day
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.frames import as_date
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import OPTION_BARS
from trading_assets.repositories.store import UpsertCounts


class OptionBarRepository(DatasetRepository):
    """Reads and saves option bars. Prices in dollars (index points); times in UTC; `session` and `expiry` are exchange
    dates.

    Frames have the columns of `schemas.OPTION_BARS`, dtypes of `frames.to_pandas`. `1 day` bars are aggregated from
    `8 hours` bars by session; both are kept.
    """

    DATASET = OPTION_BARS

    def load_symbol_data(
        self, symbol: str, start_date: Day | None = None, end_date: Day | None = None, bar_size: str = DAILY
    ) -> pd.DataFrame:
        """Bars of all contracts on one underlying in the sessions from `start_date` to `end_date` (both included)."""
        return self.load(symbol, start_date=start_date, end_date=end_date, bar_size=bar_size)

    def load_contract(
        self, con_id: int, start_date: Day | None = None, end_date: Day | None = None, bar_size: str = DAILY
    ) -> pd.DataFrame:
        """Bars of one contract, ordered by start."""
        return self.load(con_id=con_id, start_date=start_date, end_date=end_date, bar_size=bar_size)

    def load(
        self,
        symbol: str | list[str] | None = None,
        trade_date: Day | None = None,
        bar_size: str = DAILY,
        *,
        con_id: int | Collection[int] | None = None,
        local_symbol: str | None = None,
        expiry: Day | None = None,
        strike: float | None = None,
        right: str | None = None,
        start_date: Day | None = None,
        end_date: Day | None = None,
    ) -> pd.DataFrame:
        """Bars by underlying, contract or terms of the contract; of one session (`trade_date`), or from `start_date` to
        `end_date`.

        `right` is C or P, `local_symbol` the OSI symbol. None does not restrict.
        """
        if trade_date is not None and (start_date is not None or end_date is not None):
            raise ValueError("Give trade_date, or start_date and end_date, not both.")
        where = restricted(
            symbol=symbol, con_id=con_id, local_symbol=local_symbol, expiry=as_date(expiry), strike=strike, right=right
        )
        return self._load(where, first=trade_date or start_date, last=trade_date or end_date, variants=[bar_size])

    def present_dates(
        self,
        symbol: str,
        bar_size: str = DAILY,
        start_date: Day | None = None,
        end_date: Day | None = None,
        *,
        con_id: int | None = None,
    ) -> set[date]:
        """Sessions of which there are bars of any contract on the symbol, or of one contract."""
        return self._sessions(restricted(symbol=symbol, con_id=con_id), start_date, end_date, [bar_size])

    def save(
        self, frame: pa.Table | pd.DataFrame, symbol: str | None = None, bar_size: str | None = None
    ) -> UpsertCounts:
        """Save bars that the user has, with `con_id` and the contract's terms in each row; see `frames.completed` for
        what is filled in.

        Raises `InvalidFrame` before anything is written.
        """
        return self._save(frame, symbol=symbol, bar_size=bar_size)
