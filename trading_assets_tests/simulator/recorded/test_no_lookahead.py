"""Nothing later than `now` is ever visible.

The recorded folder is copied with everything scrambled that was not known at `now`: later sessions are left out,
unfinished bars and rows of the session that is open have other values, factors get a split that is still to come. Every
answer must be the same from the copy as from the whole folder.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import at, options, underlying

pytestmark = pytest.mark.slow

NOT_VALUES = {
    "osi", "symbol", "underlying", "trading_class", "expiry", "strike", "right", "style", "sec_type", "date",
    "quote_date", "ts_utc", "stale",
}  # fmt: skip
MORNING = {"open_interest"}
"""Known before the open of its session."""


def scramble(source: Path, target: Path, symbol: str, now: datetime) -> None:
    """Write the rows of a symbol to `target` as a folder recorded by someone who did not know what comes after
    `now`."""
    sessions = calendar()
    # listings and open interest of a session are known from its midnight on
    today = sessions.on_or_before(now.astimezone(NEW_YORK).date())
    over = sessions.is_closed(today, now)
    for file in source.glob("*.parquet"):
        frame = pd.read_parquet(file)
        if file.stem == "interest_rate_us":
            frame[frame["date"] <= today].to_parquet(target / file.name)
            continue
        name = next((column for column in ("symbol", "underlying") if column in frame), None)
        if name is None or file.stem in ("option_contracts", "greeks_reference_spx_2019"):
            continue
        frame = frame[frame[name] == symbol].copy()
        if file.stem == "corporate_factors":
            future = (frame["date"] >= today).cumsum() > 1
            frame = frame[~future]
            frame[["price_factor", "split_factor"]] *= 0.25
        else:
            frame = _as_of(frame, file.stem, now, today, over)
        if len(frame):
            frame.to_parquet(target / file.name)


def _as_of(frame: pd.DataFrame, name: str, now: datetime, today: object, over: bool) -> pd.DataFrame:
    if "ts_utc" in frame:
        day = frame["ts_utc"].dt.tz_convert("America/New_York").dt.date
        length = timedelta(hours=1) if name.endswith("hour") else timedelta(minutes=1)
        unknown = (frame["ts_utc"] + length > now) & ~(over & name.endswith("hour"))
    else:
        day = frame["quote_date"] if "quote_date" in frame else frame["date"]
        unknown = pd.Series(not over, index=frame.index)
        if name == "option_open_interest" or name.startswith("option_chain_quotes_spx"):
            unknown[:] = False
    frame, unknown = frame[day <= today], (unknown & (day == today))[day <= today]
    for column in frame.columns.difference(list(NOT_VALUES | (set() if name == "option_universe_lean" else MORNING))):
        frame[column] = frame[column].astype(float).where(~unknown, frame[column] * 3 + 1)
    return frame


@pytest.mark.parametrize(
    ("symbol", "now"),
    [
        ("GOOG", "2015-12-23T12:17:30-05:00"),
        ("GOOG", "2015-12-24T08:00-05:00"),
        ("GOOG", "2015-12-24T13:30-05:00"),
        ("AAPL", "2014-06-06T15:59:59-04:00"),
        ("AAPL", "2014-06-07T12:00-04:00"),
        ("AAPL", "2014-06-09T13:20-04:00"),
        ("AAPL", "2013-06-17T15:00-04:00"),
        ("SPX", "2019-05-01T12:00-04:00"),
    ],
)
def test_answers_do_not_depend_on_what_comes_after(
    market: RecordedMarket, recorded_market: Path, tmp_path: Path, symbol: str, now: str
) -> None:
    instant = at(now)
    scramble(recorded_market, tmp_path, symbol, instant)
    blind = RecordedMarket(tmp_path)
    assert blind.identity != market.identity
    contract = underlying(market, symbol, instant)
    assert underlying(blind, symbol, instant) == contract
    listed = options(market, symbol, instant)
    assert options(blind, symbol, instant) == listed
    assert blind.option_parameters(symbol, "", 0, instant) == market.option_parameters(symbol, "", 0, instant)
    for asked, every in ([contract], 1), (listed, 37):
        for one in asked[::every]:
            assert blind.quote(one, instant) == market.quote(one, instant)
            for size, what in (
                ("8 hours", "TRADES"),
                ("1 hour", "BID"),
                ("5 mins", "TRADES"),
                ("1 day", "ADJUSTED_LAST"),
                ("1 week", "TRADES"),
            ):
                since, until = instant - timedelta(days=400), instant + timedelta(days=400)
                assert blind.bars(one, size, what, since, until, True, instant) == market.bars(
                    one, size, what, since, until, True, instant
                )
            assert blind.head_timestamp(one, "TRADES", True, instant) == market.head_timestamp(
                one, "TRADES", True, instant
            )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    symbol=st.sampled_from(["AAPL", "GOOG", "IBM", "SPY", "SPX", "MSFT", "BAC"]),
    day=st.one_of(
        st.sampled_from(
            [
                "2014-06-05",
                "2014-06-06",
                "2014-06-08",
                "2014-06-09",
                "2015-12-23",
                "2015-12-24",
                "2015-12-28",
                "2013-06-10",
            ]
        ),
        st.dates(datetime(2000, 1, 3, tzinfo=NEW_YORK).date(), datetime(2021, 6, 30, tzinfo=NEW_YORK).date()).map(str),
    ),
    second=st.integers(0, 86_399),
    size=st.sampled_from(["1 min", "30 mins", "1 hour", "4 hours", "8 hours", "1 day", "1 week", "1 month"]),
    use_rth=st.booleans(),
)
@example("AAPL", "2014-06-06", 36_000, "1 min", False)  # one row of an hour is known, from the open
@example("AAPL", "2014-06-06", 35_100, "30 mins", False)  # the first minute that traded is not the first of its bar
@example("AAPL", "2014-06-05", 15_360, "1 day", False)  # trades before the open, which names the day's bar
def test_at_any_instant_bars_have_begun_and_contracts_are_alive(
    market: RecordedMarket, symbol: str, day: str, second: int, size: str, use_rth: bool
) -> None:
    now = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK) + timedelta(seconds=second)
    listed = options(market, symbol, now)
    for contract in (*market.contracts(ContractQuery(symbol=symbol), now), *listed[:: max(1, len(listed) // 5)]):
        bars = market.bars(contract, size, "TRADES", now - timedelta(days=30), now + timedelta(days=30), use_rth, now)
        assert all(bar.start < now for bar in bars)
        assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
        assert all(
            bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high and bar.volume > 0
            for bar in bars
        )
        head = market.head_timestamp(contract, "TRADES", use_rth, now)
        assert not bars or (head is not None and head <= bars[0].start)
        quote = market.quote(contract, now)
        assert quote.last_time is None or quote.last_time <= now
        if contract.sec_type == "OPT":
            assert contract.expiry is not None
            assert contract.expiry >= now.astimezone(NEW_YORK).date()
            assert market.contracts(ContractQuery(con_id=contract.con_id), now) == [contract]
