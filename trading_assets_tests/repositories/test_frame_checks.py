"""Frames that are refused, each with its sentence; conversions that keep every value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import InvalidFrame
from trading_assets.repositories import ParquetStore, to_arrow
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.frames import to_pandas
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Dataset
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, option_bar, table

DAY = date(2015, 12, 24)
DAYS = calendar().sessions(date(2015, 12, 1), date(2015, 12, 24))

impossible: list[tuple[dict[str, Any], str]] = [
    (
        {"high": 98.0},
        "1 row has a high below the low: row 1 (symbol AAPL, bar_size 1 day, start 2015-12-24T14:30:00+00:00).",
    ),
    ({"high": 99.5}, "1 row has a high below the open or the close: row 1"),
    ({"low": 100.5}, "1 row has a low above the open or the close: row 1"),
    ({"open": -1.0, "low": -1.0}, "1 row has a negative `open`: row 1"),
    ({"open": 0.0, "low": 0.0}, "1 row has a `open` of zero: row 1"),
    (
        {"start": datetime(2015, 12, 24, 18, 0, tzinfo=UTC)},
        "1 row has a `start` outside the session's regular hours: row 1",
    ),
    (
        {"start": datetime(2015, 12, 24, 14, 29, tzinfo=UTC)},
        "1 row has a `start` outside the session's regular hours: row 1",
    ),
    ({"volume": -1.0}, "1 row has a negative `volume`: row 1"),
    ({"wap": -0.5}, "1 row has a negative `wap`: row 1"),
    ({"bar_count": -1}, "1 row has a negative `bar_count`: row 1"),
    ({"high": float("inf")}, "1 row has an infinite `high`: row 1"),
    ({"high": 1.7976931348623157e308}, '1 row has the broker\'s "unset" for a `high`: row 1'),
    ({"volume": 1.7976931348623157e308}, '1 row has the broker\'s "unset" for a `volume`: row 1'),
    ({"con_id": 0}, "1 row has a `con_id` that is none: row 1"),
    ({"close": float("nan")}, "1 row has no value in `close`: row 1"),
    ({"close": None}, "1 row has no value in `close`: row 1"),
    ({"symbol": ""}, "1 row has an empty `symbol`: row 1"),
    ({"bar_size": "../evil"}, "1 row has a bar size the broker does not have: row 1"),
    (
        {"session": date(2015, 12, 25)},
        "1 row has a session that is not a trading day of the New York Stock Exchange: row 1",
    ),
    ({"session": date(2015, 12, 22)}, "1 row has a session that is not the New York date of `start`: row 1"),
]


@pytest.mark.parametrize(("change", "sentence"), impossible, ids=[sentence[6:40] for _, sentence in impossible])
def test_an_impossible_bar_is_refused_with_its_row_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    frame = table(EQUITY_BARS, [bar(date(2015, 12, 23)), {**bar(DAY), **change}])
    with pytest.raises(InvalidFrame) as refusal:
        ParquetStore(tmp_path).upsert(EQUITY_BARS, frame)
    assert str(refusal.value).startswith("equity_bars refused the frame and wrote nothing. ")
    assert sentence in str(refusal.value)
    assert not list(tmp_path.iterdir())


impossible_quotes: list[tuple[dict[str, Any], str]] = [
    ({"con_id": 0}, "a `con_id` that is none"),
    ({"con_id": -5}, "a `con_id` that is none"),
    ({"strike": 0.0}, "a `strike` that is not above 0"),
    ({"multiplier": -100.0}, "a `multiplier` that is not above 0"),
    ({"right": "X"}, "a `right` that is none of C, P"),
    ({"min_tick": -0.01}, "a negative `min_tick`"),
    ({"bid": -1.0}, "a negative `bid`"),
    ({"open_interest": -1.0}, "a negative `open_interest`"),
    ({"implied_volatility": float("inf")}, "an infinite `implied_volatility`"),
    ({"theta": 1.7976931348623157e308}, 'the broker\'s "unset" for a `theta`'),
    ({"delta": -2.0}, "a `delta` beyond 1"),
    (
        {"delta": -200.0, "trading_class": "AAPL1"},
        "a `delta` beyond what an adjusted contract delivers",
    ),
    ({"market_data_type": 5}, "a `market_data_type` that is none of 1 to 4"),
]


@pytest.mark.parametrize(
    ("change", "sentence"), impossible_quotes, ids=[f"{change}" for change, _ in impossible_quotes]
)
def test_an_impossible_chain_is_refused_like_an_impossible_bar(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    frame = table(OPTION_CHAINS, [chain_row(DAY, con_id=7), {**chain_row(DAY), **change}])
    with pytest.raises(InvalidFrame) as refusal:
        ParquetStore(tmp_path).upsert(OPTION_CHAINS, frame)
    assert f"1 row has {sentence}: row 1" in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_an_adjusted_contract_that_delivers_150_shares_for_a_multiplier_of_100_moves_by_up_to_one_and_a_half() -> None:
    terms = [{"trading_class": "AAPL1"}, {"multiplier": 150.0}, {"trading_class": "2AAPL"}]
    rows = [{**chain_row(DAY, con_id=7 + place), "delta": 1.5, **of} for place, of in enumerate(terms)]
    assert validated(OPTION_CHAINS, table(OPTION_CHAINS, rows)).num_rows == len(terms)


@pytest.mark.parametrize(
    ("dataset", "row"), [(CONTRACTS, {**contract_row(DAY), "con_id": 0}), (COVERAGE, covered(DAY, con_id=-1))]
)
def test_impossible_contract_ids_are_refused_everywhere(dataset: Dataset, row: dict[str, Any]) -> None:
    with pytest.raises(InvalidFrame, match="a `con_id` that is none"):
        validated(dataset, table(dataset, [row]))


def test_only_the_first_five_rows_are_named_and_the_rest_counted() -> None:
    rows = [bar(day, high=1.0, low=2.0, open=1.5, close=1.5) for day in DAYS[:8]]
    with pytest.raises(
        InvalidFrame, match=r"8 rows have a high below the low: row 0 \(.*\), row 1 .*, row 4 \([^)]*\) and 3 more\."
    ):
        validated(EQUITY_BARS, table(EQUITY_BARS, rows))


def test_every_problem_of_a_frame_is_told_at_once() -> None:
    rows = [bar(DAYS[0], volume=-1.0), bar(DAYS[1], high=1.0), bar(DAYS[0])]
    with pytest.raises(InvalidFrame) as refusal:
        validated(EQUITY_BARS, table(EQUITY_BARS, rows))
    assert len(refusal.value.problems) == 3


def test_duplicate_keys_are_refused() -> None:
    frame = table(EQUITY_BARS, [bar(DAY), bar(date(2015, 12, 23)), bar(DAY, 50.0)])
    with pytest.raises(
        InvalidFrame, match=r"2 rows have a key \(symbol, bar_size, start\) that another row has too: row 0 .*, row 2"
    ):
        validated(EQUITY_BARS, frame)


def test_an_unfinished_session_is_refused_at_that_instant_and_taken_after_the_close() -> None:
    frame = table(EQUITY_BARS, [bar(date(2015, 12, 23)), bar(DAY)])
    with pytest.raises(
        InvalidFrame,
        match=(
            r"1 row has a session that is not closed at 2015-12-24T17:59:00\+00:00: an unfinished bar is not stored:"
            r" row 1"
        ),
    ):
        validated(EQUITY_BARS, frame, datetime(2015, 12, 24, 17, 59, tzinfo=UTC))
    assert validated(EQUITY_BARS, frame, datetime(2015, 12, 24, 18, 0, tzinfo=UTC)).num_rows == 2, (
        "a half day closes at 13:00 New York"
    )


def test_words_that_the_datasets_do_not_know_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="a `right` that is none of C, P: row 0"):
        validated(OPTION_BARS, table(OPTION_BARS, [option_bar(DAY) | {"right": "CALL"}]))
    with pytest.raises(InvalidFrame, match="a `condition` that is none of complete, partial"):
        validated(COVERAGE, table(COVERAGE, [covered(DAY, "fine")]))
    with pytest.raises(InvalidFrame, match="a `dataset` that is none of contracts, option_chains"):
        validated(COVERAGE, table(COVERAGE, [covered(DAY, dataset="../bars")]))
    assert validated(COVERAGE, table(COVERAGE, [covered(DAY, dataset="contracts", bar_size="")])).num_rows == 1


wrong_frames: list[tuple[Callable[[pd.DataFrame], Any], str]] = [
    (lambda f: f.drop(columns=["close"]), "Column `close` is missing."),
    (lambda f: f.assign(colour="red"), "Column `colour` is not a column of equity_bars."),
    (lambda f: pd.concat([f, f[["open"]]], axis=1), "Column `open` is there 2 times."),
    (lambda f: f.assign(close="12"), "string, and double is wanted."),
    (lambda f: f.assign(close=["a"] * (len(f) - 1) + [1.0]), "Column `close`: "),
    (lambda f: f.assign(symbol=7), "Column `symbol`: is int64, and string is wanted."),
    (lambda f: f.assign(con_id=1.5), "Column `con_id`: "),
    (
        lambda f: f.assign(start=f.start.dt.tz_localize(None)),
        "Column `start`: row 0 has the time 2015-12-23 14:30:00 without a time zone",
    ),
    (
        lambda f: f.assign(
            start=pd.Series([s.to_pydatetime() for s in f.start], dtype=object).map(
                lambda s: s.replace(tzinfo=None) if s.day == 24 else s
            )
        ),
        "row 1",
    ),
    (lambda f: f.assign(session=f.start), "Column `session`: holds times, and an exchange date is wanted."),
    (
        lambda f: f.assign(session=pd.to_datetime(["2015-12-23 00:00", "2015-12-24 09:30"])),
        "Column `session`: holds times, and an exchange date is wanted.",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), wrong_frames)
def test_a_wrong_schema_is_refused_by_column(spoil: Callable[[pd.DataFrame], pd.DataFrame], sentence: str) -> None:
    good = table(EQUITY_BARS, [bar(date(2015, 12, 23)), bar(DAY)]).to_pandas()
    with pytest.raises(InvalidFrame) as refusal:
        to_arrow(EQUITY_BARS, spoil(good))
    assert sentence in str(refusal.value)


def test_pandas_types_that_convert_without_loss_are_taken() -> None:
    expected = table(EQUITY_BARS, [bar(date(2015, 12, 23), 100.0, bar_count=3), bar(DAY, 101.0, wap=100.5)])
    frame = expected.to_pandas()[EQUITY_BARS.schema.names[::-1]]
    frame = frame.assign(
        symbol=frame.symbol.astype("category"),
        bar_size=frame.bar_size.astype(object),
        session=pd.to_datetime(frame.session),
        start=frame.start.dt.tz_convert(ZoneInfo("America/New_York")).dt.as_unit("ns"),
        collected_at=[t.to_pydatetime() for t in frame.collected_at],
        close=frame.close.astype("int64"),
        volume=frame.volume.astype("float32"),
        con_id=frame.con_id.astype("Int64"),
        bar_count=[3.0, np.nan],
    )
    assert to_arrow(EQUITY_BARS, frame).equals(expected)


def test_a_frame_of_another_order_and_of_arrow_types_is_taken() -> None:
    expected = table(EQUITY_BARS, [bar(DAY)])
    frame = expected.select(expected.column_names[::-1])
    frame = frame.set_column(frame.schema.get_field_index("symbol"), "symbol", frame["symbol"].cast(pa.large_string()))
    frame = frame.set_column(frame.schema.get_field_index("wap"), "wap", pa.array([None]))
    assert to_arrow(EQUITY_BARS, frame).equals(expected)


@pytest.mark.parametrize(
    ("dataset", "row"),
    [
        (EQUITY_BARS, bar(DAY)),
        (OPTION_BARS, option_bar(DAY)),
        (OPTION_CHAINS, chain_row(DAY)),
        (COVERAGE, covered(DAY)),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_what_is_read_as_pandas_can_be_written_again_unchanged(
    tmp_path: Path, dataset: Dataset, row: dict[str, Any]
) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(dataset, table(dataset, [row]))
    frame = to_pandas(store.read(dataset))
    assert to_arrow(dataset, frame).equals(store.read(dataset).combine_chunks())
    assert store.upsert(dataset, frame).unchanged == 1


prices = st.floats(-5, 200, width=32)


@settings(max_examples=150, deadline=None)
@given(prices, prices, prices, prices, st.floats(-3, 1e9))
def test_exactly_the_possible_bars_are_taken(first: float, high: float, low: float, last: float, volume: float) -> None:
    possible = low <= min(first, last) and max(first, last) <= high and low > 0 and volume >= 0
    frame = table(EQUITY_BARS, [bar(DAY, open=first, high=high, low=low, close=last, volume=volume)])
    if possible:
        assert validated(EQUITY_BARS, frame).num_rows == 1
    else:
        with pytest.raises(InvalidFrame):
            validated(EQUITY_BARS, frame)
