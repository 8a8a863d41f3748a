"""Frames as people have them: pandas, Arrow or Polars out of the lake, and a user's own frame completed before it goes
in.

What does not belong here: what may enter the lake (`repositories.frame_checks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from trading_assets import arguments
from trading_assets.errors import ExtraMissing, InvalidFrame, InvalidRequest
from trading_assets.repositories.frame_checks import naive_time
from trading_assets.repositories.schemas import INSTANT, Dataset
from trading_assets.sessions import calendar, session_date

GIVEN_BY_USER = 0
"""`request_id` of rows that no request brought."""

TIMES = ("date", "time", "datetime")
ALIASES = {**dict.fromkeys(TIMES, "start"), "average": "wap", "barCount": "bar_count"}
"""Names of bar columns in the client libraries (`ib_insync.util.df`, `ibapi`) and ours."""

ROWS_OF_ONE_THREAD = 65_536
"""Up to so many rows are converted by one thread: waking others costs more than they save."""

As = Literal["pandas", "arrow", "polars"]
"""How rows are given: `as_` of the reading methods."""

Dates = Literal["datetime64", "date"]
"""What exchange dates (`session`, `expiry`) are in pandas: `dates` of the repositories."""

Frame = Any
"""A `pandas.DataFrame`, `pyarrow.Table` or `polars.DataFrame`, as `as_` says."""

DAY = pd.ArrowDtype(pa.date32())

_DTYPES = {pa.date32(): DAY, INSTANT: pd.DatetimeTZDtype("us", "UTC")}


def check_output(as_: str, dates: str = "datetime64") -> None:
    """Refuse what is no way to give rows, before any is read. Raises `InvalidRequest`, and `ExtraMissing` without
    Polars."""
    arguments.one_of(as_, get_args(As), "as_")
    arguments.one_of(dates, get_args(Dates), "dates")
    if as_ == "polars":
        _polars()


def to_frame(table: pa.Table, as_: As = "pandas", dates: Dates = "datetime64") -> Frame:
    """The table as pandas (see `to_pandas`), as it is, or as Polars: `Date` and `Datetime[us, UTC]`, null as null."""
    if as_ == "pandas":
        return to_pandas(table, dates)
    return _polars().from_arrow(table) if as_ == "polars" else table


def _polars() -> Any:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise ExtraMissing("as_='polars'", "Polars", "polars") from error
    return polars


def to_pandas(table: pa.Table, dates: Dates = "datetime64") -> pd.DataFrame:
    """The table as pandas: instants as `datetime64[us, UTC]`, text as `str`, integers that may be null as `Int64` or
    alike.

    Dates (`session`, `expiry`) are `datetime64[us]` at midnight: they compare with text and `Timestamp`, an index of
    them takes `.loc["2024"]`, and they join with the dates of other frames. pandas does not compare them with
    `datetime.date`; with `dates="date"` they are `date32[day][pyarrow]`, which compare with nothing else.
    """
    table = table.replace_schema_metadata(None)
    integers: dict[int, pd.api.extensions.ExtensionArray] = {}
    for position, field in enumerate(table.schema):
        if pt.is_date(field.type) and dates == "datetime64":
            table = table.set_column(position, field.name, table.column(position).cast(pa.timestamp("us")))
        if pt.is_integer(field.type) and field.nullable:
            nullable = getattr(pd, f"{str(field.type).capitalize()}Dtype")()
            integers[position] = nullable.__from_arrow__(table.column(position))
            # pandas keeps columns of one type together: taking one out again costs more than converting all.
            table = table.set_column(position, field.name, pa.nulls(table.num_rows))
    frame: pd.DataFrame = table.to_pandas(types_mapper=_DTYPES.get, use_threads=table.num_rows > ROWS_OF_ONE_THREAD)
    for position, values in integers.items():
        frame.isetitem(position, values)
    return frame


def as_pandas(frame: Frame) -> pd.DataFrame:
    """A user's frame as pandas. Raises `InvalidRequest` for what is no frame."""
    if isinstance(frame, pd.DataFrame):
        return frame
    if not isinstance(frame, pa.Table) and not hasattr(frame, "to_arrow"):
        raise InvalidRequest(f"{type(frame).__name__} is no frame: give one of pandas, Polars or Arrow.")
    return to_pandas(frame if isinstance(frame, pa.Table) else frame.to_arrow())


def completed(dataset: Dataset, frame: pd.DataFrame, constants: Mapping[str, Any]) -> pd.DataFrame:
    """A user's frame with the columns filled that follow from what is there.

    Filled where missing: `constants` that are not None (symbol, bar size, ...), `session` from `start` and `start` of
    `1 day` bars from `session`, nullable columns with null, `collected_at` with the present, `request_id` with 0 (given
    by the user). The client libraries' column names (`date`, `average`, `barCount`) and a time index are understood.
    Raises `InvalidFrame` when a constant contradicts the frame; what else is wrong the store says.
    """
    frame = _with_dates(dataset, _named(dataset, frame))
    problems: list[str] = []
    if "symbol" in frame:
        frame["symbol"], problems = _symbols(frame["symbol"])
    for name, value in constants.items():
        if value is None:
            continue
        if name not in frame:
            frame[name] = value
        elif not (frame[name] == value).all():
            problems.append(f"Column `{name}` has other values than the {name} given, {value}.")
    if problems:
        raise InvalidFrame(dataset.name, problems)
    if "start" in dataset.schema.names:
        frame = _times(dataset, frame)
    for column in dataset.columns:
        if column.name not in frame and column.nullable:
            frame[column.name] = pd.Series([None] * len(frame), index=frame.index, dtype=object)
    if "collected_at" not in frame:
        frame["collected_at"] = pd.Series(datetime.now(UTC), index=frame.index, dtype="datetime64[us, UTC]")
    if "request_id" not in frame:
        frame["request_id"] = GIVEN_BY_USER
    return frame


def _symbols(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """The symbols as the lake has them, and a sentence for each that is none; missing values stay missing."""
    names: dict[Any, str] = {}
    problems = []
    for value in column.dropna().unique():
        try:
            names[value] = arguments.stored_symbol(value)
        except InvalidRequest as error:
            problems.append(f"Column `symbol`: {error}")
    if all(name == value for value, name in names.items()):
        return column, problems
    return column.astype(object).map(names), problems


def _named(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame (a copy) with our column names, an index that carries data turned into columns."""
    frame = frame.copy()
    if isinstance(frame.index, pd.DatetimeIndex) and not {"start", *TIMES} & set(frame.columns):
        frame = frame.rename_axis(index="start")
    carries_data = any(name in dataset.schema.names for name in frame.index.names if name)
    frame = frame.reset_index(drop=not carries_data)
    if "start" not in dataset.schema.names:
        return frame
    return frame.rename(
        columns={
            theirs: ours for theirs, ours in ALIASES.items() if theirs in frame.columns and ours not in frame.columns
        }
    )


def _with_dates(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the exchange dates that pandas keeps as midnights turned into dates."""
    for column in dataset.columns:
        if column.name in frame and pt.is_date(column.type):
            values = frame[column.name]
            if pd.api.types.is_datetime64_dtype(values.dtype) and _holds_dates(values.dropna()):
                frame[column.name] = values.astype(DAY)
    return frame


def _times(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """`session` from aware starts; starts of daily bars, given as dates, from their session's open."""
    if "start" in frame and "session" not in frame:
        if _holds_dates(frame["start"]):
            frame = frame.rename(columns={"start": "session"})
        else:
            for position, start in enumerate(frame["start"]):
                if not isinstance(start, datetime) or start.tzinfo is None:
                    raise InvalidFrame(dataset.name, [f"Column `start`: {naive_time(position, start)}"])
            frame["session"] = pd.Series(
                [session_date(start) for start in frame["start"]], index=frame.index, dtype=DAY
            )
    daily = "bar_size" in frame and bool((frame["bar_size"] == "1 day").all())
    if "session" in frame and "start" not in frame and daily:
        days = [None if pd.isna(day) else arguments.day(day, "session") for day in frame["session"]]
        frame["session"] = pd.Series(days, index=frame.index, dtype=DAY)
        opens = [calendar().opens_at(day) if day is not None and calendar().is_session(day) else pd.NaT for day in days]
        frame["start"] = pd.Series(opens, index=frame.index, dtype="datetime64[us, UTC]")
    return frame


def _holds_dates(values: pd.Series) -> bool:
    """Whether these are exchange dates: dates, or naive times that are all midnight."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return False
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return bool((values == values.dt.normalize()).all())
    return values.dtype == DAY or all(isinstance(value, date) and not isinstance(value, datetime) for value in values)
