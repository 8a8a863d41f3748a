"""Contract details of the underlyings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from trading_assets.repositories.base import DatasetRepository, Day
from trading_assets.repositories.frames import as_date
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.repositories.store import UpsertCounts


class ContractRepository(DatasetRepository):
    """Reads and saves contract details, one row a symbol and session. Frames have the columns of
    `schemas.CONTRACTS`."""

    DATASET = CONTRACTS

    def get(self, symbol: str, session: Day | None = None) -> dict[str, Any] | None:
        """The contract as it was in that session (exactly), or the latest known; None when there is none."""
        return self.latest(symbol) if session is None else self._last_row(symbol, as_date(session), as_date(session))

    def latest(self, symbol: str, as_of: Day | None = None) -> dict[str, Any] | None:
        """The latest details known, of `as_of` or before if given. Keys are the columns; instants are UTC, `session` is
        a date."""
        return self._last_row(symbol, None, as_date(as_of))

    def verified_at(self, symbol: str) -> datetime | None:
        """When the broker last gave the details of the symbol, UTC; None when never."""
        contract = self.latest(symbol)
        return contract["verified_at"] if contract else None

    def load(self, symbol: str | list[str] | None = None, trade_date: Day | None = None) -> pd.DataFrame:
        """Details of some or all symbols, of one session or of all, ordered by symbol and session."""
        return self._load(restricted(symbol=symbol), first=trade_date, last=trade_date)

    def load_symbol_data(self, symbol: str, start_date: Day | None = None, end_date: Day | None = None) -> pd.DataFrame:
        """Details of one symbol in the sessions from `start_date` to `end_date` (both included)."""
        return self._load(restricted(symbol=symbol), first=start_date, last=end_date)

    def latest_of(self, symbols: list[str] | None = None, as_of: Day | None = None) -> pd.DataFrame:
        """The latest details of each symbol, one row a symbol, of `as_of` or before if given."""
        rows = self._load(restricted(symbol=symbols), last=as_of)
        return rows.groupby("symbol", sort=True).tail(1).reset_index(drop=True)

    def present_dates(self, symbol: str, start_date: Day | None = None, end_date: Day | None = None) -> set[date]:
        """Sessions of which there are details."""
        return self._sessions(restricted(symbol=symbol), start_date, end_date)

    def symbols(self) -> list[str]:
        """Symbols of which there are details, in order."""
        found: list[str] = self._read(restricted(), columns=["symbol"], distinct=True)["symbol"].to_pylist()
        return found

    def save(self, frame: pa.Table | pd.DataFrame, symbol: str | None = None) -> UpsertCounts:
        """Save details that the user has; see `frames.completed` for what is filled in. Raises `InvalidFrame`."""
        return self._save(frame, symbol=symbol)

    def _last_row(self, symbol: str, first: date | None, last: date | None) -> dict[str, Any] | None:
        # Newest file first: the latest details are nearly always in it, older files are then not opened.
        for path in reversed(self.store.files(CONTRACTS, first=first, last=last)):
            table = self.store.read_one(CONTRACTS, path, where=pads.field("symbol") == symbol, first=first, last=last)
            if table.num_rows:
                newest: dict[str, Any] = table.sort_by([("session", "descending")]).slice(0, 1).to_pylist()[0]
                return newest
        return None
