"""What all repositories share: where they are, reading as a frame, saving a user's frame.

A repository is given the folder of its dataset, as the guide does (`EquityBarRepository("data/equity_bars")`), the data
folder (`EquityBarRepository(data_dir="data")`), or nothing: then it is that of the settings.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from trading_assets import arguments
from trading_assets.arguments.days import Day as Day
from trading_assets.errors import InvalidRequest
from trading_assets.repositories.as_of import AsOf, checked
from trading_assets.repositories.frames import As, Dates, Frame, as_pandas, check_output, completed, to_frame
from trading_assets.repositories.restrictions import Restriction, restricted
from trading_assets.repositories.rows import read_rows
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.store import ParquetStore, UpsertCounts
from trading_assets.sessions import calendar
from trading_assets.settings import folder_of


class DatasetRepository:
    """One dataset of one lake."""

    DATASET: ClassVar[Dataset]

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        data_dir: Path | str | None = None,
        store: ParquetStore | None = None,
        dates: Dates = "datetime64",
        as_of: AsOf | str | None = None,
    ) -> None:
        """Give at most one of: `path`, the dataset's folder; `data_dir`, the folder above it; `store`, one already
        made. None: the data folder of the settings.

        `dates`: what exchange dates are in pandas frames (see `frames.to_pandas`). `as_of`: every reading method reads
        the dataset as it was known at an instant (with a zone), or with "first" each row as it was first collected;
        nothing can be saved then.
        """
        if sum(given is not None for given in (path, data_dir, store)) > 1:
            raise TypeError(f"{type(self).__name__} takes only one of: the dataset's folder, data_dir=, store=.")
        check_output("pandas", dates)
        self._dates = dates
        self._as_of = None if as_of is None else checked(as_of)
        if path is not None:
            if not isinstance(path, str | os.PathLike):
                raise InvalidRequest(f"path is {path!r}, and the folder of {self.DATASET.name} is wanted.")
            folder = Path(path)
            if folder.name != self.DATASET.name:
                raise InvalidRequest(
                    f"{folder} is not a folder of {self.DATASET.name}: give .../{self.DATASET.name}, or data_dir=..."
                )
            data_dir = folder.parent
        if store is None:
            store = ParquetStore(
                folder_of(None) if data_dir is None else arguments.new_lake_folder(data_dir, "data_dir")
            )
        self.store = store

    def _load(self, where: Restriction, as_: As, **bounds: Any) -> Frame:
        """Rows in the dataset's order as `as_` says, those of `_read(where, **bounds)`."""
        check_output(as_)
        return to_frame(self._read(where, **bounds), as_, self._dates)

    def _read(
        self,
        where: Restriction,
        *,
        columns: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        variants: Sequence[str] | None = None,
        distinct: bool = False,
    ) -> pa.Table:
        """Rows as Arrow (see `rows.read_rows`). Raises `NotALake`."""
        return read_rows(
            arguments.lake_folder(self.store.data_dir),
            self.DATASET,
            where,
            columns=columns,
            first=first,
            last=last,
            variants=variants,
            distinct=distinct,
            as_of=self._as_of,
        )

    def _sessions(
        self,
        where: Restriction,
        first: date | None = None,
        last: date | None = None,
        variants: Sequence[str] | None = None,
    ) -> set[date]:
        """The sessions of those rows."""
        return set(
            self._read(where, columns=["session"], first=first, last=last, variants=variants, distinct=True)[
                "session"
            ].to_pylist()
        )

    def _save(self, frame: Frame, **constants: Any) -> UpsertCounts:
        if self._as_of is not None:
            raise InvalidRequest(f"This {type(self).__name__} reads the past (as_of): save with one without as_of.")
        return self.store.upsert(self.DATASET, completed(self.DATASET, as_pandas(frame), constants))


class SessionRepository(DatasetRepository):
    """One dataset whose rows are of a symbol and session, without bar sizes."""

    def present_dates(self, symbol: str, start_date: Day | None = None, end_date: Day | None = None) -> set[date]:
        """Sessions from `start_date` to `end_date` (both included) of which there are rows of the symbol."""
        where = restricted(symbol=arguments.stored_symbol(symbol))
        return self._sessions(where, *arguments.day_range(start_date, end_date))


def one_day_or_range(trade_date: Day | None, start_date: Day | None, end_date: Day | None) -> dict[str, date | None]:
    """The bounds of reading one session, or those from `start_date` to `end_date` (both included). Raises
    `InvalidRequest` where both are given."""
    if trade_date is not None and (start_date is not None or end_date is not None):
        raise InvalidRequest("Give trade_date, or start_date and end_date, not both.")
    first, last = arguments.day_range(start_date, end_date)
    day = arguments.optional_day(trade_date, "trade_date")
    return {"first": day or first, "last": day or last}


def session_of(value: Day, name: str) -> date:
    """The session that a snapshot of that day belongs to: itself, or on a weekend or holiday the session before."""
    return calendar().on_or_before(arguments.day(value, name))
