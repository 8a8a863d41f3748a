"""Bars of option contracts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from trading_assets import arguments
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.base import DatasetRepository, Day, one_day_or_range
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.frames import As, Frame
from trading_assets.repositories.present_sessions import PresentSessions, Series
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import OPTION_BARS
from trading_assets.repositories.store import UpsertCounts


class OptionBarRepository(DatasetRepository):
    """Reads and saves option bars. Prices in dollars (index points); times in UTC; `session` and `expiry` are exchange
    dates.

    Frames have the columns of `schemas.OPTION_BARS`, dtypes of `frames.to_pandas`, or are of Arrow or Polars (`as_`).
    `1 day` bars are aggregated from `8 hours` bars by session; both are kept.
    """

    DATASET = OPTION_BARS

    def load_symbol_data(
        self,
        symbol: str,
        start_date: Day | None = None,
        end_date: Day | None = None,
        bar_size: str = DAILY,
        *,
        as_: As = "pandas",
    ) -> Frame:
        """Bars of all contracts on one underlying in the sessions from `start_date` to `end_date` (both included)."""
        name = arguments.stored_symbol(symbol)
        return self.load(name, start_date=start_date, end_date=end_date, bar_size=bar_size, as_=as_)

    def load_contract(
        self,
        con_id: int,
        start_date: Day | None = None,
        end_date: Day | None = None,
        bar_size: str = DAILY,
        *,
        as_: As = "pandas",
    ) -> Frame:
        """Bars of one contract, ordered by start."""
        contract = arguments.one_con_id(con_id)
        return self.load(con_id=contract, start_date=start_date, end_date=end_date, bar_size=bar_size, as_=as_)

    def load(
        self,
        symbol: Symbols = None,
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
        as_: As = "pandas",
    ) -> Frame:
        """Bars by underlying, contract or terms of the contract; of one session (`trade_date`), or from `start_date` to
        `end_date`.

        `right` is C or P (call and put are understood), `local_symbol` the OSI symbol. None does not restrict.
        """
        bounds = one_day_or_range(trade_date, start_date, end_date)
        where = restricted(
            symbol=arguments.stored_symbols(symbol),
            con_id=None if con_id is None else arguments.con_ids(con_id),
            local_symbol=None if local_symbol is None else arguments.local_symbol(local_symbol),
            expiry=arguments.optional_day(expiry, "expiry"),
            strike=None if strike is None else arguments.STRIKE.real(strike, "strike"),
            right=None if right is None else arguments.right(right),
        )
        return self._load(where, as_, **bounds, variants=[arguments.bar_size(bar_size)])

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
        contract = None if con_id is None else arguments.one_con_id(con_id)
        name, size = arguments.stored_symbol(symbol), arguments.bar_size(bar_size)
        where = restricted(symbol=name, con_id=contract)
        found = self._sessions(where, *arguments.day_range(start_date, end_date), [size])
        if contract is None:
            return found
        return PresentSessions(found, Series(self.store.data_dir, self.DATASET.name, name, size, contract))

    def save(self, frame: Frame, symbol: str | None = None, bar_size: str | None = None) -> UpsertCounts:
        """Save bars that the user has, with `con_id` and the contract's terms in each row; see `frames.completed` for
        what is filled in.

        Raises `InvalidFrame` before anything is written.
        """
        return self._save(
            frame,
            symbol=None if symbol is None else arguments.stored_symbol(symbol),
            bar_size=None if bar_size is None else arguments.bar_size(bar_size),
        )
