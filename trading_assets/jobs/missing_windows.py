"""Which sessions of a series are missing, for whoever requests them: the guide's `calculate_missing_windows`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from trading_assets import arguments, sessions
from trading_assets.arguments.days import Day
from trading_assets.errors import InvalidRequest
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.present_sessions import PresentSessions, Series
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, Condition
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

_SETTLED = [condition for condition in Condition if condition.settled and condition is not Condition.COMPLETE]
"""Conditions of sessions without bars that need no further request."""

_NAMES = ("symbol", "bar_size", "con_id", "local_symbol")
"""Columns that name a series."""

_DAYS = ("session", "date", "start", "datetime", "time")
"""Columns that say which session a row is of, the first of them counts."""


def calculate_missing_windows(
    present: Any,
    start_date: Day,
    end_date: Day,
    *,
    symbol: str | None = None,
    bar_size: str | None = None,
    base_path: Path | str | None = None,
    settings: Settings | None = None,
) -> list[tuple[date, date]]:
    """Windows of consecutive sessions from `start_date` to `end_date` that are missing: `[(first, last), ...]`, in
    order; both ends are sessions and included.

    `present` is what is there: what `present_dates` answered, a frame (pandas, Arrow or Polars) with a column `session`
    or `date` or an index of days, or any collection of days. Weekends, holidays and sessions that have not closed yet
    are never missing. Neither are sessions without bars that the coverage has settled (no trade, not listed yet, lost):
    of which series that is asked follows from `present`, where it comes from `present_dates` or is a frame with the
    columns `symbol` and `bar_size`; otherwise name `symbol` (and `bar_size`, by default `1 day`). `base_path` is the
    data folder whose coverage is read (default: that of `present_dates`, else the settings').

    Raises `InvalidRequest` for reversed dates and for what are no days, `NotALake`.
    """
    given = settings or Settings()
    first, last = arguments.day_range(
        arguments.day(start_date, "start_date"), arguments.day(end_date, "end_date"), ("start_date", "end_date")
    )
    assert first is not None
    assert last is not None
    have = _days(present)
    series = _series(present, symbol, bar_size, given.data_dir)
    if series is not None:
        folder = series.data_dir if base_path is None else arguments.lake_folder(base_path, "base_path")
        have |= _settled(replace(series, data_dir=folder), first, last)
    return sessions.calculate_missing_windows(have, first, min(last, calendar().last_closed(given.clock())))


def _days(present: Any) -> set[date]:
    present = _arrow(present)
    if isinstance(present, pa.Table):
        name = next((name for name in _DAYS if name in present.column_names), None)
        values = [] if name is None else present.column(name).to_pylist()
        if name is None:
            raise _no_days(present.column_names)
    elif isinstance(present, pd.DataFrame):
        name = next((name for name in _DAYS if name in present.columns), None)
        if name is None and not isinstance(present.index, pd.DatetimeIndex) and len(present):
            raise _no_days(list(present.columns))
        values = list(present.index if name is None else present[name])
    elif isinstance(present, str) or not isinstance(present, Iterable):
        raise InvalidRequest(
            f"present is {present!r}, and the days that are there are wanted: a set or list of dates, an index, or a"
            " frame with a column session or date."
        )
    else:
        values = arguments.several(present)
    return {arguments.day(value, "present") for value in values}


def _arrow(present: Any) -> Any:
    """A Polars frame as an Arrow table; everything else as it is."""
    return present.to_arrow() if hasattr(present, "to_arrow") and hasattr(present, "columns") else present


def _no_days(columns: list[str]) -> InvalidRequest:
    return InvalidRequest(
        f"The frame has the columns {', '.join(map(str, columns)) or '(none)'}, and none of {', '.join(_DAYS)}: give"
        " one with a column session or date."
    )


def _series(present: Any, symbol: str | None, bar_size: str | None, folder: Path) -> Series | None:
    """The series whose coverage counts: of the arguments, else of `present`; None where neither names one."""
    size = None if bar_size is None else arguments.bar_size(bar_size)
    if symbol is not None:
        return Series(folder, EQUITY_BARS.name, arguments.stored_symbol(symbol), size or DAILY)
    origin = present.series if isinstance(present, PresentSessions) else _series_of_frame(present, folder)
    return origin if origin is None or size is None else replace(origin, bar_size=size)


def _series_of_frame(present: Any, folder: Path) -> Series | None:
    """The series of bars that a frame holds, by its columns; None where it is of several, or does not say."""
    present = _arrow(present)
    if isinstance(present, pa.Table):
        columns = {name: present[name].unique().to_pylist() for name in _NAMES if name in present.column_names}
    elif isinstance(present, pd.DataFrame):
        columns = {name: present[name].unique().tolist() for name in _NAMES if name in present.columns}
    else:
        return None
    if not {"symbol", "bar_size"} <= columns.keys() or any(len(values) != 1 for values in columns.values()):
        return None
    only = {name: values[0] for name, values in columns.items()}
    of_option = "local_symbol" in only
    dataset, con_id = (OPTION_BARS, int(only["con_id"])) if of_option else (EQUITY_BARS, 0)
    return Series(folder, dataset.name, str(only["symbol"]), str(only["bar_size"]), con_id)


def _settled(series: Series, first: date, last: date) -> set[date]:
    """The sessions without bars of which the coverage says that no request would bring any."""
    of_options = series.dataset == OPTION_BARS.name
    size = OPTION_BAR_SIZE if of_options and series.bar_size == DAILY else series.bar_size
    rows = CoverageRepository(ParquetStore(series.data_dir)).recorded(
        series.dataset, size, [series.symbol], first, last
    )
    return {
        row["session"]
        for row in rows.select(["con_id", "session", "condition"]).to_pylist()
        if row["con_id"] == series.con_id and row["condition"] in _SETTLED
    }
