"""`calculate_missing_windows`: sessions of the exchange, less what is there and what the coverage has settled."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trading_assets.collecting.decode.arrow_tables import from_rows
from trading_assets.collecting.decode.session_findings import SessionFinding, coverage_row
from trading_assets.errors import InvalidRequest, NotALake
from trading_assets.jobs import calculate_missing_windows
from trading_assets.repositories import CoverageRepository, EquityBarRepository, ParquetStore
from trading_assets.repositories.schemas import COVERAGE, Condition
from trading_assets.settings import Settings
from trading_assets_tests.scenarios.desk import at

START, END = date(2024, 5, 20), date(2024, 5, 31)
"""Two weeks around Memorial Day, Monday the 27th."""

PRESENT = [date(2024, 5, 21), date(2024, 5, 28), date(2024, 5, 29)]

WINDOWS = [
    (date(2024, 5, 20), date(2024, 5, 20)),
    (date(2024, 5, 22), date(2024, 5, 24)),
    (date(2024, 5, 30), date(2024, 5, 31)),
]
"""The holiday is missing nowhere, and no window ends at it."""


def settings(folder: Path, now: str = "2024-06-14T17:00-04:00") -> Settings:
    return Settings(**{"data_dir": folder, "now": at(now)})


@pytest.mark.parametrize(
    "present",
    [
        set(PRESENT),
        PRESENT,
        [day.isoformat() for day in PRESENT],
        pd.DatetimeIndex(PRESENT),
        pd.Series(pd.to_datetime(PRESENT)),
        pd.DataFrame({"session": PRESENT}),
        pd.DataFrame({"date": pd.to_datetime(PRESENT), "close": 1.0}),
        pd.DataFrame({"close": 1.0}, index=pd.DatetimeIndex(PRESENT)),
        pd.DataFrame({"start": pd.to_datetime(PRESENT).tz_localize("America/New_York") + pd.Timedelta("9h30min")}),
        pa.table({"session": PRESENT}),
        pa.table({"session": PRESENT})["session"],
        pl.DataFrame({"session": PRESENT}),
    ],
    ids=[
        *("set", "list", "texts", "index", "series", "sessions", "dates", "frame with index", "starts", "arrow"),
        *("arrow column", "polars"),
    ],
)
def test_whatever_says_which_days_are_there(tmp_path: Path, present: Any) -> None:
    assert calculate_missing_windows(present, START, END, settings=settings(tmp_path)) == WINDOWS
    assert calculate_missing_windows(present, "2024-05-20", pd.Timestamp(END), settings=settings(tmp_path)) == WINDOWS


def test_nothing_is_there(tmp_path: Path) -> None:
    for nothing in (set(), [], pd.DataFrame(), pd.DataFrame({"session": []})):
        assert calculate_missing_windows(nothing, START, END, settings=settings(tmp_path)) == [(START, END)]


def test_sessions_that_have_not_closed_are_not_missing(tmp_path: Path) -> None:
    during = settings(tmp_path, "2024-05-30T12:00-04:00")
    assert calculate_missing_windows(PRESENT, START, END, settings=during) == WINDOWS[:2]


@pytest.mark.parametrize(
    ("present", "first", "last", "sentence"),
    [
        (PRESENT, END, START, "exchange the two"),
        (PRESENT, "yesterday", END, "names no day"),
        ("2024-05-21", START, END, "a set or list of dates"),
        (5, START, END, "a set or list of dates"),
        ([1], START, END, "names no day"),
        (pd.DataFrame({"close": [1.0]}), START, END, "column session or date"),
        (pa.table({"close": [1.0]}), START, END, "column session or date"),
    ],
)
def test_what_names_no_days_is_refused(tmp_path: Path, present: Any, first: Any, last: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        calculate_missing_windows(present, first, last, settings=settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Bars of XYZ in the sessions of `PRESENT`; of May 22 to 24 the broker has none, of May 31 it had none yet."""
    now = datetime(2024, 6, 14, 21, tzinfo=UTC)
    bars = pd.DataFrame({"session": PRESENT, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0})
    EquityBarRepository(data_dir=tmp_path).save(bars, symbol="XYZ", bar_size="1 day")
    found = {
        **dict.fromkeys(PRESENT, Condition.COMPLETE),
        **{date(2024, 5, day): Condition.NO_TRADES for day in (22, 23, 24)},
        date(2024, 5, 31): Condition.PENDING,
    }
    rows = [
        coverage_row("equity_bars", "1 day", "XYZ", 0, session, SessionFinding(condition, ""), now)
        for session, condition in found.items()
    ]
    CoverageRepository(ParquetStore(tmp_path)).record(from_rows(COVERAGE, rows))
    return tmp_path


LEFT = [WINDOWS[0], WINDOWS[2]]
"""What a request may still bring."""


def test_what_the_coverage_has_settled_is_not_missing(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    repository, elsewhere = EquityBarRepository(data_dir=lake), settings(tmp_path_factory.mktemp("elsewhere"))
    present = repository.present_dates("XYZ", "1 day", START, END)
    assert present == set(PRESENT)
    assert calculate_missing_windows(present, START, END, settings=elsewhere) == LEFT, "the set knows its lake"
    frame = repository.load_symbol_data("XYZ", START, END)
    assert calculate_missing_windows(frame, START, END, settings=settings(lake)) == LEFT
    assert calculate_missing_windows(frame, START, END, base_path=lake, settings=elsewhere) == LEFT
    assert calculate_missing_windows(PRESENT, START, END, symbol="xyz", settings=settings(lake)) == LEFT
    assert calculate_missing_windows(PRESENT, START, END, symbol="ABC", settings=settings(lake)) == WINDOWS
    assert calculate_missing_windows(PRESENT, START, END, symbol="XYZ", bar_size="1 hour", settings=settings(lake)) == (
        WINDOWS
    )


def test_a_row_that_is_not_among_those_present_is_missing(lake: Path) -> None:
    frame = EquityBarRepository(data_dir=lake).load_symbol_data("XYZ", START, END)
    windows = calculate_missing_windows(frame.iloc[1:], START, END, settings=settings(lake))
    assert windows == [(date(2024, 5, 20), date(2024, 5, 21)), WINDOWS[2]]


def test_what_is_made_of_the_present_dates_is_a_plain_set(lake: Path) -> None:
    present = EquityBarRepository(data_dir=lake).present_dates("XYZ")
    assert set(pd.bdate_range(date(2024, 5, 28), date(2024, 5, 30)).date) - present == {date(2024, 5, 30)}
    assert isinstance(present, set)
    assert len(present) == 3


def test_a_folder_without_a_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotALake):
        calculate_missing_windows(PRESENT, START, END, symbol="XYZ", base_path=tmp_path, settings=settings(tmp_path))
