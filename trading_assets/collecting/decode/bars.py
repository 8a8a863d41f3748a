"""Bars of underlyings and options, as rows of `equity_bars` and `option_bars`, and their sums by session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.numbers import numbers
from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.decode.arrow_tables import answered, empty, from_columns, last_of_key
from trading_assets.collecting.naming import option_expiry
from trading_assets.repositories.schemas import INSTANT, OPTION_BARS, Dataset
from trading_assets.sessions import NEW_YORK, SessionCalendar

ROUND_LOT = 100
"""Shares a round lot: the unit of stock volume where TWS is set to send lots (recorded: 948837.22 for TSLA on
2023-04-13)."""

AGGREGATED_BAR_SIZE = "1 day"


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The sessions of an interval as arrays: dates, and epoch seconds of their New York day, open and close."""

    dates: list[date]
    days: np.ndarray
    day_ends: np.ndarray
    opens: np.ndarray
    closes: np.ndarray

    @classmethod
    def between(cls, first: date, last: date, calendar: SessionCalendar) -> _Sessions:
        dates = calendar.sessions(first, last)
        midnights = [datetime.combine(day, time.min, NEW_YORK).timestamp() for day in dates]
        ends = [datetime.combine(day + timedelta(days=1), time.min, NEW_YORK).timestamp() for day in dates]
        opens = [calendar.opens_at(day).timestamp() for day in dates]
        closes = [calendar.closes_at(day).timestamp() for day in dates]
        return cls(dates, *(np.array(values, dtype=np.float64) for values in (midnights, ends, opens, closes)))

    def positions(self, starts: Sequence[Any]) -> np.ndarray:
        """The session each bar belongs to, -1 for none. Starts are epoch seconds, or `YYYYMMDD` of bars of a day."""
        if starts and isinstance(starts[0], str):
            named = {f"{day:%Y%m%d}": i for i, day in enumerate(self.dates)}
            return np.array([named.get(start, -1) for start in starts], dtype=np.int64)
        instants = np.array(starts, dtype=np.float64)
        found = np.searchsorted(self.days, instants, side="right") - 1
        return np.where((found >= 0) & (instants < self.day_ends[found]), found, -1)


def bar_rows(
    results: Iterable[Result],
    dataset: Dataset,
    calendar: SessionCalendar,
    *,
    stock_volume_unit: str = "shares",
) -> pa.Table:
    """Rows of `equity_bars` or `option_bars` from the answers to `bars` requests of that dataset.

    Kept are the bars of sessions that were asked for (`first_session` to `session` of the request) and that were closed
    when the answer came: the broker also sends bars before them, and the unfinished bar of a running session. `start`
    of a `1 day` bar is the regular open. A volume, volume-weighted price or count that the broker did not give is null.
    Stock volumes in round lots become shares, exactly. The terms of options come from the request's instrument. Of two
    answers for one bar the later request's is kept. Order: symbol, contract id, bar size, start.
    """
    found = [r for r in answered(results, "bars") if r.request.dataset == dataset.name and r.payload["bars"]]
    if not found:
        return empty(dataset)
    requests: list[BarsRequest] = [result.request for result in found]  # type: ignore[misc]
    sessions = _Sessions.between(min(r.first_session for r in requests), max(r.session for r in requests), calendar)
    if not sessions.dates:
        return empty(dataset)
    counts = np.array([len(result.payload["bars"]) for result in found])
    origin = np.repeat(np.arange(len(found)), counts)
    starts: list[Any] = []
    values: list[list[Any]] = []
    position = np.empty(len(origin), dtype=np.int64)
    begin = 0
    for result, count in zip(found, counts.tolist(), strict=True):
        bars = result.payload["bars"]
        starts = [bar[0] for bar in bars]
        position[begin : begin + count] = sessions.positions(starts)
        values += bars
        begin += count
    first = np.array([np.searchsorted(sessions.days, _midnight(r.first_session)) for r in requests])
    last = np.array([np.searchsorted(sessions.days, _midnight(r.session)) for r in requests])
    instants = [result.finished_at for result in found]
    known = np.array([instant.timestamp() for instant in instants])
    kept = (position >= 0) & (position >= first[origin]) & (position <= last[origin])
    kept &= sessions.closes[position] <= known[origin]
    rows = np.flatnonzero(kept)
    if not len(rows):
        return empty(dataset)
    origin, position = origin[rows], position[rows]
    columns = _prices([values[row] for row in rows.tolist()], origin, requests, stock_volume_unit)
    daily = np.array([request.bar_size == "1 day" for request in requests])[origin]
    raw = np.array([0.0 if isinstance(values[row][0], str) else values[row][0] for row in rows.tolist()])
    epochs = np.where(daily, sessions.opens[position], raw)
    columns["start"] = pa.array(np.round(epochs * 1e6).astype(np.int64)).cast(pa.timestamp("us")).cast(INSTANT)
    columns["session"] = pa.array(sessions.dates, pa.date32()).take(pa.array(position))
    per_request = _request_columns(requests, dataset) | {
        "collected_at": pa.array(instants, INSTANT),
        "request_id": pa.array([result.request_id for result in found], pa.int64()),
    }
    index = pa.array(origin)
    columns |= {name: column.take(index) for name, column in per_request.items()}
    table = last_of_key(from_columns(dataset, columns), dataset.key)
    return table.sort_by(
        [("symbol", "ascending"), ("con_id", "ascending"), ("bar_size", "ascending"), ("start", "ascending")]
    )


def aggregate_sessions(bars: pa.Table, calendar: SessionCalendar) -> pa.Table:
    """One `1 day` row a contract and session from finer bars of one size (rows of `equity_bars` or `option_bars`).

    Open of the first bar, highest high, lowest low, close of the last; the volume-weighted price over all bars with
    volume, the summed volume and the summed count, each null where a bar lacks it. A settlement bar stamped at the
    close belongs to the session it closes. `start` is the regular open; provenance is that of the last bar.

    Raises `ValueError` for a table that holds several bar sizes, or `1 day` bars already.
    """
    sizes = bars["bar_size"].unique().to_pylist()
    if len(sizes) > 1 or sizes == [AGGREGATED_BAR_SIZE]:
        raise ValueError(
            f"Only finer bars of one size can be aggregated into sessions, not {', '.join(map(repr, sizes))}."
        )
    if bars.num_rows == 0:
        return bars
    table = bars.sort_by([("con_id", "ascending"), ("start", "ascending")]).combine_chunks()
    con_ids = table["con_id"].to_numpy()
    days = table["session"].cast(pa.int32()).to_numpy()
    firsts = np.flatnonzero(np.r_[True, (np.diff(con_ids) != 0) | (np.diff(days) != 0)])
    lasts = np.r_[firsts[1:], table.num_rows] - 1
    unknown = np.add.reduceat(table["volume"].is_null().to_numpy().astype(np.int64), firsts) > 0
    volume = pc.fill_null(table["volume"], 0.0).to_numpy()
    total = np.add.reduceat(volume, firsts)
    wap, counts = table["wap"], table["bar_count"]
    lacking = np.add.reduceat((wap.is_null().to_numpy() & (volume > 0)).astype(np.int64), firsts) > 0
    turnover = np.add.reduceat(np.nan_to_num(pc.fill_null(wap, 0.0).to_numpy()) * volume, firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = turnover / total
    uncounted = np.add.reduceat(counts.is_null().to_numpy().astype(np.int64), firsts) > 0
    single = firsts == lasts
    average = np.where(single & ~lacking, pc.fill_null(wap, np.nan).to_numpy()[firsts], average)
    head, tail = table.take(pa.array(firsts)), table.take(pa.array(lasts))
    opens = {session: calendar.opens_at(session) for session in head["session"].unique().to_pylist()}
    columns = {name: head[name] for name in table.column_names} | {
        "start": pa.array([opens[session] for session in head["session"].to_pylist()], INSTANT),
        "bar_size": pa.repeat(AGGREGATED_BAR_SIZE, len(firsts)),
        "high": pa.array(np.maximum.reduceat(table["high"].to_numpy(), firsts)),
        "low": pa.array(np.minimum.reduceat(table["low"].to_numpy(), firsts)),
        "close": tail["close"],
        "volume": pa.array(total, mask=unknown),
        "wap": pa.array(
            average, mask=lacking | ~np.isfinite(average) | (~single & unknown) | (~unknown & (total <= 0))
        ),
        "bar_count": pa.array(np.add.reduceat(pc.fill_null(counts, 0).to_numpy(), firsts), mask=uncounted),
        "collected_at": tail["collected_at"],
        "request_id": tail["request_id"],
    }
    return pa.Table.from_arrays([columns[field.name] for field in table.schema], schema=table.schema)


def _midnight(day: date) -> float:
    return datetime.combine(day, time.min, NEW_YORK).timestamp()


def _prices(
    bars: list[list[Any]], origin: np.ndarray, requests: list[BarsRequest], stock_volume_unit: str
) -> dict[str, Any]:
    _, opens, highs, lows, closes, volumes, waps, counts = zip(*bars, strict=True)
    volume, wap, count = numbers(volumes, -1), numbers(waps, -1), numbers(counts, -1)
    if stock_volume_unit == "round_lots":
        stocks = np.array([request.instrument.sec_type == "STK" for request in requests])[origin]
        volume = np.where(stocks, np.rint(volume * ROUND_LOT), volume)
    return {
        "open": opens,
        "high": highs,
        "low": lows,
        "close": closes,
        "volume": pa.array(volume, mask=np.isnan(volume)),
        "wap": pa.array(wap, mask=~(wap > 0)),
        "bar_count": pa.array(np.nan_to_num(count).astype(np.int64), mask=np.isnan(count)),
    }


def _request_columns(requests: list[BarsRequest], dataset: Dataset) -> dict[str, pa.Array]:
    instruments = [request.instrument for request in requests]
    columns = {
        "symbol": pa.array([i.symbol for i in instruments], pa.string()),
        "con_id": pa.array([i.con_id for i in instruments], pa.int64()),
        "bar_size": pa.array([request.bar_size for request in requests], pa.string()),
    }
    if dataset.name == OPTION_BARS.name:
        columns |= {
            "local_symbol": pa.array([i.local_symbol for i in instruments], pa.string()),
            "trading_class": pa.array([i.trading_class for i in instruments], pa.string()),
            "expiry": pa.array([option_expiry(i.local_symbol, i.last_trade) for i in instruments], pa.date32()),
            "strike": pa.array([i.strike for i in instruments], pa.float64()),
            "right": pa.array([i.right for i in instruments], pa.string()),
            "multiplier": pa.array([float(i.multiplier or 100) for i in instruments], pa.float64()),
        }
    return columns
