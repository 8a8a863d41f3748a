"""Volatilities and greeks computed from a lake: agreement with the pricing functions, reasons, repetition."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.pricing import american
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.pricing.valuation import NullReason, value_quotes
from trading_assets.repositories import OptionGreeksRepository, ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, OPTION_GREEKS
from trading_assets.repositories.store import UpsertCounts
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.repositories.frames import NOON, bar, chain_row, option_bar, table
from trading_assets_tests.validation.recorded_lake import RecordedLake

GREEKS = ["delta", "gamma", "vega", "theta", "rho"]
SESSION = date(2015, 12, 21)
AT = datetime(2015, 12, 21, 20, 45, tzinfo=UTC)
NOW = datetime(2015, 12, 22, 22, 0, tzinfo=UTC)
STRIKES = (90.0, 95.0, 100.0, 105.0, 110.0)


def compute(
    folder: Path, symbols: Sequence[str], first: date, last: date, *, refresh: bool = False, **settings: Any
) -> tuple[pa.Table, UpsertCounts]:
    """What is computed of these sessions, and what its writing changed."""
    with Archive(Settings(data_dir=folder, **{"now": NOW, **settings})) as archive:
        computed = compute_option_greeks(archive, symbols, calendar().sessions(first, last), refresh=refresh)
        return computed.table, archive.write(computed)


def greeks(folder: Path, where: str = "true") -> pd.DataFrame:
    sql = f'select * from option_greeks where {where} order by source, session, expiry, strike, "right"'
    return query(folder, sql).to_pandas()


# --- a lake of an earlier version, of the generated market ------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return copy_of(PLAIN, tmp_path / "lake")


def test_a_lake_of_an_earlier_version_is_read_and_its_past_sessions_are_computed(old: Path) -> None:
    repository = OptionGreeksRepository(data_dir=old)
    assert repository.load().empty and repository.present_dates("AAPL") == set()
    first, last = date(2023, 12, 1), date(2024, 1, 2)
    made, counts = compute(old, ["AAPL", "SPY"], first, last, now=PLAIN_NOW)
    assert counts.inserted == made.num_rows > 100
    wanted = """select session, con_id, 'chain' as source, request_id, collected_at from option_chains
                where quoted_at is not null
                union all select session, con_id, 'bar', request_id, collected_at from option_bars
                where bar_size = '1 day'"""
    stored = query(old, "select session, con_id, source, request_id, collected_at from option_greeks order by all")
    assert stored.equals(query(old, f"select * from ({wanted}) order by all"))
    rows = repository.load("SPY", "2024-01-02", "chain")
    assert set(rows["source"]) == {"chain"} and set(rows["symbol"]) == {"SPY"}
    assert (rows["implied_volatility"].notna() == rows["null_reason"].isna()).all()
    known = rows[rows["implied_volatility"].notna()]
    assert (known["implied_volatility"] - known["broker_implied_volatility"]).abs().max() < 0.01
    assert (known["delta"] - known["broker_delta"]).abs().max() < 0.01


def test_computing_again_changes_nothing(old: Path) -> None:
    first, last = date(2023, 12, 1), date(2024, 1, 2)
    made, _ = compute(old, ["AAPL", "SPY"], first, last, now=PLAIN_NOW)
    again, _ = compute(old, ["AAPL", "SPY"], first, last, now=PLAIN_NOW)
    assert again.num_rows == 0, "nothing has changed"
    repeated, counts = compute(old, ["AAPL", "SPY"], first, last, refresh=True, now=PLAIN_NOW + timedelta(days=3))
    assert repeated.equals(made)
    assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, made.num_rows)


def test_another_rate_is_taken_on_request_and_the_former_values_are_revisions(old: Path) -> None:
    session = date(2024, 1, 2)
    made, _ = compute(old, ["SPY"], session, session, now=PLAIN_NOW)
    assert compute(old, ["SPY"], session, session, now=PLAIN_NOW, rate=0.01)[0].num_rows == 0
    _, counts = compute(old, ["SPY"], session, session, refresh=True, now=PLAIN_NOW, rate=0.01)
    assert counts.updated > 0 and counts.inserted == 0
    assert query(old, "select count(*) as n from revisions_option_greeks")["n"][0].as_py() == counts.updated
    dividends = {"SPY": [["2024-01-03", 1.5]]}
    compute(old, ["SPY"], session, session, refresh=True, now=PLAIN_NOW, dividends=dividends)
    assert set(greeks(old)["dividends"]) == {"setting"}
    assert set(made["dividends"].to_pylist()) == {"none"}


def test_without_anything_to_price_no_compiler_is_loaded(old: Path) -> None:
    code = f"""
import sys
from datetime import date
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.settings import Settings
with Archive(Settings(data_dir={str(old)!r}, now="2024-01-02T16:40-05:00")) as archive:
    made = compute_option_greeks(archive, ["NOSUCH"], [date(2024, 1, 2)])
assert made.table.num_rows == 0
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# --- recorded data ----------------------------------------------------------------------------------------------------


def test_recorded_spx_chain_as_the_pricing_functions_value_it(recorded_market: Path, tmp_path: Path) -> None:
    day = date(2019, 4, 25)
    chain = RecordedLake(recorded_market).chains("option_chain_quotes_spx_2019", {day: day})
    chain = chain.filter(pc.less_equal(chain["expiry"], pa.scalar(date(2019, 5, 20))))
    RecordedLake.fill(tmp_path, (OPTION_CHAINS, chain))
    compute(tmp_path, ["SPX"], day, day, now=datetime(2019, 4, 25, 21, tzinfo=UTC))
    rows = greeks(tmp_path)
    assert len(rows) == chain.num_rows
    assert set(rows["model"]) == {"black_76"}
    expiry = date(2019, 5, 17)
    for trading_class, settled in (("SPXW", "2019-05-17T16:00-04:00"), ("SPX", "2019-05-17T09:30-04:00")):
        of_class = rows[(rows["trading_class"] == trading_class) & (rows["expiry"] == expiry)]
        quotes = of_class.merge(chain.select(["con_id", "bid", "ask"]).to_pandas(), on="con_id")
        years = (
            datetime.fromisoformat(settled) - datetime(2019, 4, 25, 19, 45, tzinfo=UTC)
        ).total_seconds() / 31_536_000
        assert of_class["years"].to_numpy() == pytest.approx(years, rel=1e-12)
        found = value_quotes(
            ExerciseStyle.EUROPEAN, quotes["strike"], quotes["right"].to_numpy(dtype=str), quotes["bid"], quotes["ask"],
            spot=float(quotes["underlying_price"].iloc[0]), years=years, rate=0.04,
        )  # fmt: skip
        assert found.forward is not None
        assert set(of_class["forward"]) == {found.forward.forward}
        assert set(of_class["forward_source"]) == {"parity"}
        np.testing.assert_array_equal(of_class["implied_volatility"], found.implied_volatility)
        for name in GREEKS:
            np.testing.assert_array_equal(of_class[name], getattr(found.greeks, name))
        assert of_class["null_reason"].fillna("").tolist() == [str(reason or "") for reason in found.null_reason]
    near = rows[rows["broker_delta"].abs().between(0.1, 0.9) & (rows["years"] > 7 / 365)]
    assert len(near) > 200
    assert (near["implied_volatility"] - near["broker_implied_volatility"]).abs().median() < 0.001
    assert (near["delta"] - near["broker_delta"]).abs().median() < 0.002


def test_recorded_goog_bars_of_a_half_day(recorded_market: Path, tmp_path: Path) -> None:
    day = date(2015, 12, 24)
    recorded = RecordedLake(recorded_market)
    bars = recorded.option_daily()
    bars = bars.filter(pc.and_(pc.equal(bars["session"], pa.scalar(day)), pc.equal(bars["symbol"], "GOOG")))
    underlying = recorded.equity_daily(["GOOG"], day, day)
    RecordedLake.fill(tmp_path, (OPTION_BARS, bars), (EQUITY_BARS, underlying))
    compute(tmp_path, ["GOOG"], day, day, now=datetime(2015, 12, 24, 23, tzinfo=UTC), rate=0.005)
    rows = greeks(tmp_path)
    assert len(rows) == bars.num_rows > 300
    assert set(rows["underlying_price"]) == {748.40} and set(rows["price_basis"]) == {"close"}
    assert {at.isoformat() for at in rows["at"]} == {"2015-12-24T18:00:00+00:00"}, "the close of the half day"
    expired = rows[rows["expiry"] == day]
    assert set(expired["null_reason"]) == {"expired"} and expired[["implied_volatility", *GREEKS]].isna().all(axis=None)
    known = rows[rows["implied_volatility"].notna()]
    assert len(known) > 200
    assert set(known["forward_source"]) == {"settings"}
    assert known["price"].to_numpy() == pytest.approx(
        american.price(
            748.40, known["strike"], known["years"], known["implied_volatility"],
            known["right"].to_numpy(dtype=str), 0.005,
        ),
        abs=1e-3,
    )  # fmt: skip
    assert (np.sign(known["delta"]) == np.where(known["right"] == "C", 1, -1)).all()


# --- reasons, and what is computed anew -------------------------------------------------------------------------------


def quote(strike: float, right: str, **changes: Any) -> dict[str, Any]:
    """A quote of AAPL at 100 in `SESSION`, for an expiry in January."""
    price = max(0.0, (100.0 - strike) * (1 if right == "C" else -1)) + 3.0
    number = int(strike) * 10 + (right == "P")
    given = {"selected": True, "quote_outcome": "complete", "quoted_at": AT, "underlying_price": 100.0}
    row = {**chain_row(SESSION, con_id=number, strike=strike, right=right), **given}
    return {**row, "bid": price - 0.05, "ask": price + 0.05, **changes}


def stored(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    ParquetStore(folder).upsert(OPTION_CHAINS, table(OPTION_CHAINS, rows))


def test_each_row_without_a_volatility_says_why(tmp_path: Path) -> None:
    faults: dict[int, tuple[NullReason, dict[str, Any]]] = {
        900: (NullReason.NO_BID, {"bid": None}),
        901: (NullReason.CROSSED, {"bid": 4.0, "ask": 3.0}),
        950: (NullReason.BELOW_INTRINSIC, {"bid": 4.0, "ask": 4.1}),
        951: (NullReason.ABOVE_MAXIMUM, {"bid": 94.0, "ask": 97.0}),
        1000: (NullReason.STALE, {"quoted_at": AT - timedelta(minutes=16)}),
        1051: (NullReason.TIME_VALUE_UNDER_TICK, {"bid": 4.99, "ask": 5.01}),
    }
    rows = [quote(strike, right) for strike in STRIKES for right in "CP"]
    for row in rows:
        row |= faults.get(row["con_id"], (None, {}))[1]
    expired = quote(100.0, "C", con_id=1, expiry=SESSION, last_trade="20151221", quoted_at=AT + timedelta(hours=1))
    unknown = quote(100.0, "C", con_id=2, expiry=date(2016, 2, 19), underlying_price=None)
    unquoted = quote(100.0, "P", con_id=3, quote_outcome="no_permission", quoted_at=None)
    stored(tmp_path, [*rows, expired, unknown, unquoted])
    compute(tmp_path, ["AAPL"], SESSION, SESSION)
    found = greeks(tmp_path).set_index("con_id")
    reasons = found["null_reason"].dropna().to_dict()
    assert reasons == {number: str(reason) for number, (reason, _) in faults.items()} | {
        1: "expired",
        2: "no_underlying",
    }
    without = found.loc[list(reasons), ["implied_volatility", *GREEKS]]
    assert without.isna().all(axis=None), "never 0, never a bound"
    assert found.drop(index=list(reasons))[["implied_volatility", *GREEKS]].notna().all(axis=None)
    assert found["price"].isna().sum() == 2


def test_an_expiry_is_computed_anew_when_a_quote_of_it_came_again(tmp_path: Path) -> None:
    other = date(2016, 2, 19)
    rows = [quote(strike, right) for strike in STRIKES for right in "CP"]
    rows += [{**row, "con_id": row["con_id"] + 10_000, "expiry": other} for row in rows]
    stored(tmp_path, rows)
    compute(tmp_path, ["AAPL"], SESSION, SESSION)
    later = quote(100.0, "C", bid=3.25, ask=3.35, quoted_at=AT + timedelta(minutes=1), collected_at=NOON, request_id=2)
    stored(tmp_path, [later])
    made, counts = compute(tmp_path, ["AAPL"], SESSION, SESSION)
    assert set(made["expiry"].to_pylist()) == {later["expiry"]} and made.num_rows == 10
    assert counts.inserted == 0 and counts.updated > 0
    (row,) = greeks(tmp_path, "con_id = 1000").to_dict("records")
    assert (row["price"], row["request_id"], row["at"]) == (pytest.approx(3.3), 2, AT + timedelta(minutes=1))


def test_bars_are_computed_anew_when_the_bar_of_the_underlying_changes(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(OPTION_BARS, table(OPTION_BARS, [{**option_bar(SESSION, 5.0), "high": 5.5, "low": 4.5}]))
    compute(tmp_path, ["AAPL"], SESSION, SESSION)
    (row,) = greeks(tmp_path).to_dict("records")
    assert (row["null_reason"], row["price"]) == ("no_underlying", 5.0)
    seen = []
    for number, close in enumerate((100.0, 101.0)):
        at = NOW + timedelta(hours=number)
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(SESSION, close, collected_at=at)]))
        made, counts = compute(tmp_path, ["AAPL"], SESSION, SESSION)
        assert (made.num_rows, counts.updated) == (1, 1)
        seen += made["implied_volatility"].to_pylist()
        assert made["underlying_price"].to_pylist() == [close]
    assert seen[0] > seen[1] > 0, "the same price of a call, and a dearer share"


def test_quotes_of_a_weekend_are_valued_at_the_close(tmp_path: Path) -> None:
    friday, saturday = date(2015, 12, 18), datetime(2015, 12, 19, 15, 0, tzinfo=UTC)
    row = {**quote(100.0, "C"), "session": friday, "quoted_at": saturday}
    stored(tmp_path, [row])
    compute(tmp_path, ["AAPL"], friday, friday)
    (found,) = greeks(tmp_path).to_dict("records")
    settled = datetime(2016, 1, 15, 21, 0, tzinfo=UTC)
    late = datetime(2015, 12, 18, 21, 15, tzinfo=UTC)
    assert found["at"] == saturday
    assert found["years"] == pytest.approx((settled - late).total_seconds() / (365 * 86_400))


@pytest.mark.parametrize(
    ("symbol", "kind", "night"), [("SPX", 1, True), ("SPX", 3, True), ("SPX", 2, False), ("AAPL", 1, False)]
)
def test_live_quotes_of_index_options_before_the_open_are_of_their_instant(
    tmp_path: Path, symbol: str, kind: int, night: bool
) -> None:
    """They trade all night; quotes that are frozen are of the close, and so are those of stocks."""
    before_open = datetime(2015, 12, 22, 13, 0, tzinfo=UTC)
    given = {"quoted_at": before_open, "symbol": symbol, "trading_class": symbol, "market_data_type": kind}
    stored(tmp_path, [{**quote(strike, right), **given} for strike in STRIKES for right in "CP"])
    compute(tmp_path, [symbol], SESSION, SESSION)
    found = greeks(tmp_path)
    settled = datetime(2016, 1, 15, *((14, 30) if symbol == "SPX" else (21, 0)), tzinfo=UTC)
    as_of = before_open if night else datetime(2015, 12, 21, 21, 15, tzinfo=UTC)
    assert set(found["at"]) == {before_open}
    assert found["years"].to_numpy() == pytest.approx((settled - as_of) / timedelta(days=365))


def test_the_rows_are_valid_rows_of_the_dataset(tmp_path: Path) -> None:
    stored(tmp_path, [quote(100.0, "C")])
    made, _ = compute(tmp_path, ["AAPL"], SESSION, SESSION)
    assert made.schema.equals(OPTION_GREEKS.schema)
    (row,) = made.to_pylist()
    assert (row["model"], row["price_basis"], row["discount_source"]) == ("american_tree", "mid", "settings")
