"""Contract details of the underlyings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from trading_assets import arguments
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.base import Day, SessionRepository
from trading_assets.repositories.frames import As, Frame, check_output, to_frame
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.repositories.store import ParquetStore, UpsertCounts


class ContractRepository(SessionRepository):
    """Reads and saves contract details, one row a symbol and session. Frames have the columns of
    `schemas.CONTRACTS`, dtypes of `frames.to_pandas`, or are of Arrow or Polars (`as_`)."""

    DATASET = CONTRACTS

    def get(self, symbol: str, session: Day | None = None) -> dict[str, Any] | None:
        """The contract as it was in that session (exactly), or the latest known; None when there is none."""
        name, day = arguments.stored_symbol(symbol), None if session is None else arguments.session(session)
        return self._newest(name, day, day)

    def latest(self, symbol: str, as_of: Day | None = None) -> dict[str, Any] | None:
        """The latest details known, of `as_of` or before if given. Keys are the columns; instants are UTC, `session` is
        a date."""
        name, day = arguments.stored_symbol(symbol), arguments.optional_day(as_of, "as_of")
        return self._newest(name, None, day)

    def _newest(self, symbol: str, first: date | None, last: date | None) -> dict[str, Any] | None:
        if self._as_of is None:
            arguments.lake_folder(self.store.data_dir)
            return newest_contract(self.store, symbol, first, last)
        rows = self._read(restricted(symbol=symbol), first=first, last=last).to_pylist()
        return rows[-1] if rows else None

    def verified_at(self, symbol: str) -> datetime | None:
        """When the broker last gave the details of the symbol, UTC; None when never."""
        contract = self.latest(symbol)
        return contract["verified_at"] if contract else None

    def load(self, symbol: Symbols = None, trade_date: Day | None = None, *, as_: As = "pandas") -> Frame:
        """Details of some or all symbols, of one session or of all, ordered by symbol and session."""
        day = arguments.optional_day(trade_date, "trade_date")
        return self._load(restricted(symbol=arguments.stored_symbols(symbol)), as_, first=day, last=day)

    def load_symbol_data(
        self, symbol: str, start_date: Day | None = None, end_date: Day | None = None, *, as_: As = "pandas"
    ) -> Frame:
        """Details of one symbol in the sessions from `start_date` to `end_date` (both included)."""
        first, last = arguments.day_range(start_date, end_date)
        return self._load(restricted(symbol=arguments.stored_symbol(symbol)), as_, first=first, last=last)

    def latest_of(self, symbols: Symbols = None, as_of: Day | None = None, *, as_: As = "pandas") -> Frame:
        """The latest details of each symbol, one row a symbol, of `as_of` or before if given."""
        where = restricted(symbol=arguments.stored_symbols(symbols, "symbols"))
        check_output(as_)
        rows = self._read(where, last=arguments.optional_day(as_of, "as_of")).combine_chunks()
        symbol = rows["symbol"]  # in order, and so are the sessions of each
        last = [*pc.not_equal(symbol[1:], symbol[:-1]).to_pylist(), True]
        return to_frame(rows.filter(pa.array(last[: rows.num_rows], pa.bool_())), as_, self._dates)

    def symbols(self) -> list[str]:
        """Symbols of which there are details, in order."""
        return self._read(restricted(), columns=["symbol"], distinct=True)["symbol"].to_pylist()

    def save(self, frame: Frame, symbol: str | None = None) -> UpsertCounts:
        """Save details that the user has; see `frames.completed` for what is filled in. Raises `InvalidFrame`."""
        return self._save(frame, symbol=None if symbol is None else arguments.stored_symbol(symbol))


def newest_contract(
    store: ParquetStore, symbol: str, first: date | None = None, last: date | None = None
) -> dict[str, Any] | None:
    """The newest stored details of a symbol in the sessions `first` to `last`; None where there are none, or no lake
    yet."""
    # Newest file first: the latest details are nearly always in it, older files are then not opened.
    for path in reversed(store.files(CONTRACTS, first=first, last=last)):
        table = store.read_one(CONTRACTS, path, where=pads.field("symbol") == symbol, first=first, last=last)
        if table.num_rows:
            return table.sort_by([("session", "descending")]).slice(0, 1).to_pylist()[0]
    return None
