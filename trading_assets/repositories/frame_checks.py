"""What may enter the lake: frames are refused as a whole, before anything is written, with a sentence that names rows.

Here belong the conversion of a frame to a dataset's Arrow schema (`to_arrow`) and the checks of its values
(`validated`). What does not belong here: completing a user's frame (`repositories.frames`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trading_assets.errors import InvalidFrame
from trading_assets.instrument import DELTA_ROUNDING, largest_delta
from trading_assets.repositories.file_schemas import TEXT, same_kind
from trading_assets.repositories.merge import combined_codes
from trading_assets.repositories.schemas import (
    COVERAGE,
    DATASETS,
    EQUITY_BARS,
    INSTANT,
    OPTION_CHAINS,
    POSITION_SNAPSHOTS,
    Column,
    Condition,
    Dataset,
)
from trading_assets.sessions import NEW_YORK, calendar

NAMED_ROWS = 5
"""How many of the offending rows a sentence names."""

UNSET = 1e300
"""Doubles above this are the broker's "unset" (1.797e308; `broker.numbers`)."""

BAR_SIZE = re.compile(r"[0-9]{1,2} (secs|mins)|[0-9] (min|hours?|day|week|month)")
"""Bar sizes in the broker's words. They name folders, so nothing else may come in."""


def to_arrow(dataset: Dataset, frame: pa.Table | pd.DataFrame) -> pa.Table:
    """The frame with exactly the dataset's columns, in its order and types.

    Accepts any order of columns and any type that converts without loss (int to float, categorical to text, date at
    midnight to date, aware times of any zone and resolution of a microsecond or more); NaN becomes null. Raises
    `InvalidFrame`.
    """
    wanted = dataset.schema.names
    given = [str(name) for name in (frame.column_names if isinstance(frame, pa.Table) else frame.columns)]
    problems = [f"Column `{name}` is missing." for name in wanted if name not in given]
    problems += [f"Column `{name}` is not a column of {dataset.name}." for name in given if name not in wanted]
    problems += [
        f"Column `{name}` is there {given.count(name)} times."
        for name in sorted({n for n in given if given.count(n) > 1})
    ]
    if problems:
        raise InvalidFrame(dataset.name, problems)
    arrays: list[pa.ChunkedArray] = []
    for column in dataset.columns:
        try:
            arrays.append(_converted(column, _array(frame, column.name)))
        except (TypeError, ValueError, pa.ArrowException) as error:
            problems.append(f"Column `{column.name}`: {error}")
    if problems:
        raise InvalidFrame(dataset.name, problems)
    return pa.Table.from_arrays(arrays, schema=dataset.schema)


def _array(frame: pa.Table | pd.DataFrame, name: str) -> pa.ChunkedArray:
    if isinstance(frame, pa.Table):
        return frame[name]
    series = frame[name]
    if series.dtype == object:
        # Arrow takes a naive time among aware ones for UTC: look before it does.
        for position, value in enumerate(series):
            if isinstance(value, datetime) and value.tzinfo is None and not pd.isna(value):
                raise ValueError(naive_time(position, value))
    array = pa.Array.from_pandas(series)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def naive_time(position: int, value: Any) -> str:
    """The sentence on a time without a zone."""
    return f"row {position} has the time {value} without a time zone; give aware times, for example in UTC."


_KINDS = (
    TEXT,
    (pt.is_floating, pt.is_integer, pt.is_decimal),
    (pt.is_timestamp,),
    (pt.is_date,),
    (pt.is_boolean,),
)


def _converted(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast without loss. Kinds never change: text does not become a number, nor a number text."""
    if pt.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    target, given = column.type, values.type
    if pt.is_floating(given) and pc.any(pc.is_nan(values)).as_py():
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, given), values)
    if pt.is_timestamp(target) and pt.is_timestamp(given) and given.tz is None and len(values) > values.null_count:
        position = int(np.flatnonzero(pc.is_valid(values).to_numpy())[0])
        raise ValueError(naive_time(position, values[position].as_py()))
    if pt.is_date(target) and pt.is_timestamp(given):
        days = values.cast(pa.date32())
        if given.tz is not None or pc.any(pc.not_equal(days.cast(given), values)).as_py():
            raise ValueError("holds times, and an exchange date is wanted.")
        return days
    if not (given == target or pt.is_null(given) or same_kind(target, given, *_KINDS)):
        raise TypeError(f"is {given}, and {target} is wanted.")
    return values if given == target else values.cast(target)


def validated(dataset: Dataset, frame: pa.Table | pd.DataFrame, now: datetime | None = None) -> pa.Table:
    """The frame as an Arrow table of the dataset's schema, with every row possible and every key unique.

    With `now` (an instant), bars of sessions that are not closed then are refused. Raises `InvalidFrame`.
    """
    table = to_arrow(dataset, frame)
    if not table.num_rows:
        return table
    problems = [_sentence(dataset, table, rows, what) for rows, what in _checks(dataset, table, now) if rows.any()]
    if problems:
        raise InvalidFrame(dataset.name, problems)
    return table if all(column.num_chunks == 1 for column in table.columns) else table.combine_chunks()


def storable(dataset: Dataset, table: pa.Table) -> pa.Table:
    """The rows that a write would take of rows read from the lake: an older version of the platform may have stored
    what is refused now."""
    bad = np.zeros(table.num_rows, dtype=bool)
    for rows, _ in _checks(dataset, table, None) if table.num_rows else ():
        bad |= rows
    return table.filter(pa.array(~bad)) if bad.any() else table


Check = tuple[np.ndarray, str]


def _checks(dataset: Dataset, table: pa.Table, now: datetime | None) -> Iterator[Check]:
    nulls = {
        c.name: _mask(pc.is_null(table[c.name])) for c in dataset.columns if not c.nullable and table[c.name].null_count
    }
    for name, rows in nulls.items():
        yield rows, f"no value in `{name}`"
    if nulls:
        return  # the checks that follow need the values
    for column in dataset.columns:
        if pt.is_floating(column.type):
            yield _mask(pc.is_inf(table[column.name])), f"an infinite `{column.name}`"
            unset = pc.and_(pc.greater(pc.abs(table[column.name]), UNSET), pc.is_finite(table[column.name]))
            yield _mask(unset), f'the broker\'s "unset" for a `{column.name}`'
    yield from _words(dataset, table)
    yield from _duplicates(dataset, table)
    yield from _sessions(dataset, table, now)
    if "high" in dataset.schema.names:
        yield from _bars(table)
    if dataset is EQUITY_BARS:
        yield from _equity_bars(table)
    yield from _contracts(dataset, table)
    if dataset is OPTION_CHAINS:
        yield from _quotes(table)


def _words(dataset: Dataset, table: pa.Table) -> Iterator[Check]:
    for name in dataset.key:
        if pt.is_string(dataset.column(name).type) and not (name == "bar_size" and dataset.variant != "bar_size"):
            yield _mask(pc.equal(table[name], "")), f"an empty `{name}`"
    if dataset.variant == "bar_size":
        bad = [size for size in pc.unique(table["bar_size"]).to_pylist() if not BAR_SIZE.fullmatch(size)]
        yield _mask(pc.is_in(table["bar_size"], pa.array(bad, pa.string()))), "a bar size the broker does not have"
    allowed = {"right": ["C", "P"], "condition": [c.value for c in Condition], "dataset": [*DATASETS]}
    for name in allowed.keys() & set(dataset.schema.names):
        known = pc.is_in(table[name], pa.array(allowed[name]))
        if dataset.column(name).nullable:
            known = pc.or_(known, pc.is_null(table[name]))
        yield ~_mask(known), f"a `{name}` that is none of {', '.join(allowed[name])}"


def _duplicates(dataset: Dataset, table: pa.Table) -> Iterator[Check]:
    codes = combined_codes(table, dataset.key)
    ordered = np.sort(codes)
    doubled = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(doubled):
        yield np.isin(codes, doubled), f"a key ({', '.join(dataset.key)}) that another row has too"


def _sessions(dataset: Dataset, table: pa.Table, now: datetime | None) -> Iterator[Check]:
    xnys = calendar()
    days = pc.unique(table["session"]).to_pylist()
    strange = [day for day in days if not xnys.is_session(day)]
    yield _in(table["session"], strange), "a session that is not a trading day of the New York Stock Exchange"
    if "start" not in dataset.schema.names:
        return
    local = pc.local_timestamp(table["start"].cast(pa.timestamp("us", NEW_YORK.key)))
    yield (
        _mask(pc.not_equal(local.cast(pa.date32()), table["session"])),
        "a session that is not the New York date of `start`",
    )
    if now is not None:
        unfinished = [day for day in days if day not in strange and not xnys.is_closed(day, now)]
        yield (
            _in(table["session"], unfinished),
            f"a session that is not closed at {now.isoformat()}: an unfinished bar is not stored",
        )


def _bars(table: pa.Table) -> Iterator[Check]:
    prices = {name: table[name].to_numpy() for name in ("open", "high", "low", "close")}
    first, high, low, last = prices.values()
    yield high < low, "a high below the low"
    yield (high >= low) & (high < np.maximum(first, last)), "a high below the open or the close"
    yield (high >= low) & (low > np.minimum(first, last)), "a low above the open or the close"
    for name, values in prices.items():
        yield values < 0, f"a negative `{name}`"
    for name in ("volume", "wap", "bar_count"):
        yield _mask(pc.fill_null(pc.less(table[name], 0), False)), f"a negative `{name}`"


def _equity_bars(table: pa.Table) -> Iterator[Check]:
    """A share has a price, always; an option can be worthless. Bars are of regular hours, on half days until 13:00 New
    York."""
    for name in ("open", "high", "low", "close"):
        yield table[name].to_numpy() == 0, f"a `{name}` of zero"
    xnys = calendar()
    days = pc.dictionary_encode(table["session"].combine_chunks())
    known = [day if xnys.is_session(day) else None for day in days.dictionary.to_pylist()]
    opens = pa.array([xnys.opens_at(day) if day else None for day in known], INSTANT).take(days.indices)
    closes = pa.array([xnys.closes_at(day) if day else None for day in known], INSTANT).take(days.indices)
    start = table["start"].combine_chunks()
    outside = pc.or_(pc.less(start, opens), pc.greater_equal(start, closes))
    yield (
        np.asarray(pc.fill_null(outside, False).to_numpy(zero_copy_only=False), dtype=bool),
        "a `start` outside the session's regular hours",
    )


def _contracts(dataset: Dataset, table: pa.Table) -> Iterator[Check]:
    """Contract ids from 1 on (in coverage 0 is the underlying, in snapshots of positions an account without any), and
    the terms of options."""
    if "con_id" in dataset.schema.names:
        ids = table["con_id"].to_numpy()
        of_requests = table["request_id"].to_numpy() != 0  # a user's own bars of an underlying need no contract id
        optional = (
            ~of_requests if dataset is EQUITY_BARS else np.full(len(ids), dataset in (COVERAGE, POSITION_SNAPSHOTS))
        )
        yield (ids < 0) | ((ids == 0) & ~optional), "a `con_id` that is none"
    for name in [name for name in ("strike", "multiplier") if name in dataset.schema.names]:
        yield table[name].to_numpy() <= 0, f"a `{name}` that is not above 0"
    if "min_tick" in dataset.schema.names:
        yield _mask(pc.less(table["min_tick"], 0)), "a negative `min_tick`"


def _quotes(table: pa.Table) -> Iterator[Check]:
    for name in (
        "bid",
        "ask",
        "last",
        "bid_size",
        "ask_size",
        "volume",
        "open_interest",
        "implied_volatility",
        "model_price",
        "underlying_price",
    ):
        yield _mask(pc.less(table[name], 0)), f"a negative `{name}`"
    yield from _deltas(table)
    yield (
        _mask(pc.invert(pc.is_in(pc.fill_null(table["market_data_type"], 1), pa.array([1, 2, 3, 4], pa.int8())))),
        "a `market_data_type` that is none of 1 to 4",
    )


def _deltas(table: pa.Table) -> Iterator[Check]:
    size = pc.abs(table["delta"])
    large = _mask(pc.greater(size, 1 + DELTA_ROUNDING))
    if not large.any():
        return
    terms = table.select(["symbol", "trading_class", "multiplier"]).to_pylist()
    most = np.array([largest_delta(**row) if is_large else 1.0 for row, is_large in zip(terms, large, strict=True)])
    yield large & (most == 1.0), "a `delta` beyond 1"
    beyond = _mask(pc.greater(size, pa.array(most * (1 + DELTA_ROUNDING))))
    yield beyond & (most > 1.0), "a `delta` beyond what an adjusted contract delivers"


def _in(column: pa.ChunkedArray, days: list[Any]) -> np.ndarray:
    return _mask(pc.is_in(column, pa.array(days, pa.date32())))


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    """As booleans; null (of a nullable value) is False."""
    return np.asarray(pc.fill_null(values, False).to_numpy(), dtype=bool)


def _sentence(dataset: Dataset, table: pa.Table, rows: np.ndarray, what: str) -> str:
    positions = np.flatnonzero(rows)
    shown = [name for name in dataset.key if name != "account"]  # account numbers are not for logs
    named = []
    for position in positions[:NAMED_ROWS].tolist():
        key = ", ".join(f"{name} {_word(table[name][position].as_py())}" for name in shown)
        named.append(f"row {position} ({key})")
    more = f" and {len(positions) - NAMED_ROWS} more" if len(positions) > NAMED_ROWS else ""
    count = "1 row has" if len(positions) == 1 else f"{len(positions)} rows have"
    return f"{count} {what}: {', '.join(named)}{more}."


def _word(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
