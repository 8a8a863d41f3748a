"""What is taken for another unit, and what is not: a thin stock, a spike, a split, late trades."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from trading_assets.collecting.decode.unit_changes import Quantity, compared, shifted_hours
from trading_assets.collecting.decode.unit_history import against_history, by_session, of_new_series
from trading_assets.sessions import NEW_YORK, calendar

XNYS = calendar()
FIRST = date(2024, 6, 3)


def bars(
    volumes: list[float | None], *, close: float = 50.0, first: date = FIRST, size: str = "1 day", trades: int = 100
) -> pa.Table:
    """Daily bars of one stock from `first` on, at one price; None is an unknown volume."""
    days = XNYS.sessions(first, first + timedelta(days=90))[: len(volumes)]
    rows: list[dict[str, Any]] = [
        {"symbol": "AAA", "con_id": 7, "bar_size": size, "start": XNYS.opens_at(day), "session": day, "open": close}
        | {"high": close, "low": close, "close": close, "volume": volume, "bar_count": trades}
        for day, volume in zip(days, volumes, strict=True)
    ]
    return pa.Table.from_pylist(rows).set_column(9, "volume", pa.array(volumes, pa.float64()))


@pytest.mark.parametrize(
    ("stored", "new", "close", "found"),
    [
        ([4_500.0], [454_321.0], 50.0, (Quantity.VOLUME, 100.0)),
        ([4_543.0, 0.0], [45.0, 0.0], 50.0, (Quantity.VOLUME, 0.01)),
        ([4_543.0], [46.1], 50.0, (Quantity.VOLUME, 0.01)),
        ([4_543.0, None], [4_543.0, None], 5_000.0, (Quantity.PRICE, 100.0)),
        ([None], [None], 0.5, (Quantity.PRICE, 0.01)),
        ([4_543.0], [4_800.0], 50.0, None),
        ([150.0], [15_000.0], 50.0, None),
        ([4_543.0], [454_300.0], 0.5, None),
        ([4_543.0], [45.0], 5_000.0, None),
        ([4_543.0], [1_817_200.0], 12.5, (Quantity.VOLUME, 100.0)),
        ([4_543.0], [2.0], 1_000.0, (Quantity.VOLUME, 0.01)),
        ([4_543.0], [18_172.0], 12.5, None),
        ([4_543.0], [4_543.0], 45.685, None),
        ([4_543.0], [90_000.0], 50.0, None),
        ([4_543.0, 5_000.0], [454_300.0, 5_000.0], 50.0, None),
    ],
    ids=[
        *("lots then shares", "shares then lots", "hundredths and late trades", "cents", "an index in dollars"),
        *("late trades", "too thin to say", "a split of 100:1", "a reverse split"),
        *("a split and shares for lots", "a reverse split and lots for shares", "a split of 4:1", "a spin-off"),
        *("a spike", "one bar corrected"),
    ],
)
def test_stored_bars_that_come_again(
    stored: list[float | None], new: list[float | None], close: float, found: tuple[Quantity, float] | None
) -> None:
    result = compared(bars(new, close=close), bars(stored))
    assert [(change.quantity, change.factor) for change in result.changes] == ([found] if found else [])


@pytest.mark.parametrize("hours", [-3, 5.5, 0])
def test_times_of_another_zone(hours: float) -> None:
    starts = [XNYS.opens_at(day) + timedelta(minutes=30 * i) for day in XNYS.sessions(FIRST, FIRST) for i in range(13)]
    moved = [int((start + timedelta(hours=hours)).timestamp()) for start in starts]
    assert shifted_hours(moved, XNYS) == (hours or None)


def test_single_bars_outside_the_hours_are_no_zone() -> None:
    night = int(datetime(2024, 6, 3, 3, tzinfo=NEW_YORK).timestamp())
    opens = int(XNYS.opens_at(FIRST).timestamp())
    assert shifted_hours([night, *(opens + 1_800 * i for i in range(13))], XNYS) is None


def sums(table: pa.Table) -> pd.DataFrame:
    return by_session(table)


@pytest.mark.parametrize(
    ("volumes", "close", "found"),
    [
        ([510_000.0, 480_000.0, 500_000.0], 51.0, (Quantity.VOLUME, 100.0)),
        ([510_000.0], 51.0, None),
        ([510_000.0, 9_000.0, 7_000.0], 51.0, None),
        ([5_100.0], 5_050.0, (Quantity.PRICE, 100.0)),
        ([51.0, 49.0, 50.0], 5_050.0, None),
    ],
    ids=["three sessions", "an earnings day", "and after it", "cents", "a reverse split"],
)
def test_sessions_beside_the_stored_ones(
    volumes: list[float | None], close: float, found: tuple[Quantity, float] | None
) -> None:
    stored = sums(bars([5_000.0 + 100 * i for i in range(12)]))
    new = sums(bars(volumes, close=close, first=date(2024, 7, 1)))
    change = against_history("AAA", "1 day", new, stored)
    assert (change and (change.quantity, change.factor)) == found


def test_another_bar_size_of_the_same_session() -> None:
    stored = sums(bars([5_000.0]))
    change = against_history("AAA", "1 hour", sums(bars([390_000.0], size="1 hour")), stored)
    assert change is not None and change.factor == 100.0
    assert against_history("AAA", "1 hour", sums(bars([3_900.0], size="1 hour")), stored) is None


@pytest.mark.parametrize(
    ("volume", "close", "trades", "assumed", "factor"),
    [
        (1_100.0, 190.0, 1_000, "shares", 0.01),
        (110_000.0, 190.0, 1_000, "shares", None),
        (11_000_000.0, 190.0, 1_000, "round_lots", 100.0),
        (110_000.0, 190.0, 1_000, "round_lots", None),
        (1_100.25, 9_000.0, 500, "shares", 0.01),
        (1_000.0, 600_000.0, 1_000, "shares", None),
        (20.0, 5.0, 10, "shares", None),
    ],
    ids=["lots", "shares", "shares for lots", "lots as said", "hundredths", "an expensive share", "a thin stock"],
)
def test_the_first_answer_of_a_stock(
    volume: float, close: float, trades: int, assumed: str, factor: float | None
) -> None:
    change = of_new_series(bars([volume] * 3, close=close, trades=trades), assumed)
    assert (change and change.factor) == factor
