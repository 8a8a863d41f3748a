"""Quotes as of an instant: last recorded quote, open interest, greeks in the broker's units."""

from __future__ import annotations

import math

import pytest

from trading_assets.simulator.market import ContractQuery, ListedContract, MarketQuote
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import Read, at, options, underlying


def contract(market: RecordedMarket, osi: str, now: str) -> ListedContract:
    (found,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=osi), at(now))
    return found


def test_an_option_is_quoted_from_its_last_minute(market: RecordedMarket, read: Read) -> None:
    now = "2015-12-24T11:30-05:00"
    minutes = read("option_bars_minute").query("underlying == 'GOOG'")
    minutes = minutes[(minutes["ts_utc"] >= at("2015-12-24T09:30-05:00")) & (minutes["ts_utc"] < at(now))]
    last = (
        minutes.dropna(subset=["bid_size", "ask_size"], how="all")
        .sort_values("ts_utc")
        .drop_duplicates("osi", keep="last")
        .set_index("osi")
    )
    without_bid = 0
    for osi in last.index[::40]:
        quote, row = market.quote(contract(market, osi, now), at(now)), last.loc[osi]
        assert quote.bid == (None if math.isnan(row["bid_close"]) else row["bid_close"])
        assert quote.ask == (None if math.isnan(row["ask_close"]) else row["ask_close"])
        assert quote.bid_size == (0 if quote.bid is None else row["bid_size"])
        without_bid += quote.bid is None
    assert without_bid > 0


def test_an_option_without_minute_quotes_is_quoted_from_its_hours(market: RecordedMarket, read: Read) -> None:
    osi = "AAPL  140613C00095000"
    rows = read("option_bars_hour").query("osi == @osi").set_index("ts_utc")
    for now, hour in (
        ("2014-06-09T16:30-04:00", "15:00"),
        ("2014-06-09T12:59-04:00", "11:00"),
        ("2014-06-09T13:00-04:00", "12:00"),
    ):
        row = rows.loc[at(f"2014-06-09T{hour}-04:00")]
        quote = market.quote(contract(market, osi, now), at(now))
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (
            row["bid_close"],
            row["ask_close"],
            row["bid_size"],
            row["ask_size"],
        )


def test_volume_and_last_price_agree_with_the_bars(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    for option in options(market, "GOOG", now)[::25]:
        quote = market.quote(option, now)
        bars = market.bars(option, "8 hours", "TRADES", at("2015-12-24T00:00-05:00"), now, True, now)
        assert (quote.last, quote.volume) == ((bars[0].close, bars[0].volume) if bars else (None, 0.0))
        assert quote.call_volume == (quote.volume if option.right == "C" else None)


def test_open_interest_is_that_of_the_morning(market: RecordedMarket, read: Read) -> None:
    now = at("2015-12-24T13:30-05:00")
    morning = read("option_open_interest").query("date == @now.date()").set_index("osi")["open_interest"]
    universe = read("option_universe_lean").set_index(["date", "osi"])["open_interest"]
    for option in options(market, "GOOG", now)[::25]:
        quote = market.quote(option, now)
        own, other = quote.call_open_interest, quote.put_open_interest
        if option.right == "P":
            own, other = other, own
        assert own == morning.get(option.local_symbol)
        assert other is None
    later = "2014-06-12T12:00-04:00"
    quote = market.quote(contract(market, "AAPL  140627C00092140", later), at(later))
    assert quote.call_open_interest == universe.loc[at("2014-06-11T12:00-04:00").date(), "AAPL  140627C00092140"]


def test_the_underlying_carries_the_totals_of_its_options(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    quote = market.quote(underlying(market, "GOOG", now), now)
    listed = options(market, "GOOG", now)
    interest = [market.quote(option, now) for option in listed[:200]]
    assert quote.call_open_interest is not None
    assert quote.call_open_interest > sum(q.call_open_interest or 0 for q in interest)
    assert (quote.last, quote.open, quote.high, quote.low, quote.volume, quote.close) == (
        748.40,
        749.55,
        751.30,
        746.56,
        517084,
        750.31,
    )
    assert quote.bid is not None
    assert quote.ask is not None
    assert 740 < quote.bid < quote.ask < 755
    assert quote.historical_volatility == pytest.approx(0.21, abs=0.02)


def test_the_close_of_the_day_before_a_split_is_in_new_shares(market: RecordedMarket) -> None:
    now = at("2014-06-09T16:30-04:00")
    assert market.quote(underlying(market, "AAPL", now), now).close == 92.224286


def test_before_the_open_the_state_of_the_session_before_stands(market: RecordedMarket) -> None:
    evening, morning = at("2015-12-23T20:00-05:00"), at("2015-12-24T09:00-05:00")
    option = contract(market, "GOOG  160115C00750000", "2015-12-23T20:00-05:00")
    before, after = market.quote(option, evening), market.quote(option, morning)
    assert (before.bid, before.ask, before.last, before.volume) == (after.bid, after.ask, after.last, after.volume)
    stock = underlying(market, "GOOG", evening)
    assert market.quote(stock, evening).last == market.quote(stock, morning).last == 750.31


def test_vendor_greeks_of_the_index_chain(market: RecordedMarket, read: Read) -> None:
    now = at("2019-05-01T12:00-04:00")
    chain = read("option_chain_quotes_spx_2019").query("quote_date == @now.date()").set_index("osi")
    reference = read("greeks_reference_spx_2019").query("quote_date == @now.date()").set_index("osi")
    assert market.quote(underlying(market, "SPX", now), now).last == 2946.73
    for osi in reference.index[::20]:
        row, quote = chain.loc[osi], market.quote(contract(market, osi, "2019-05-01T12:00-04:00"), now)
        model = quote.greeks["model"]
        assert (quote.bid, quote.ask) == (row["bid"] or None, row["ask"])
        assert (model.implied_volatility, model.delta, model.gamma, model.underlying_price) == (
            row["iv"],
            row["delta"],
            row["gamma"],
            2946.73,
        )
        assert (quote.call_open_interest if row["right"] == "C" else quote.put_open_interest) == row["open_interest"]
        assert model.vega is not None
        assert model.theta is not None
        assert 0 < model.vega < 20
        assert model.theta < 1
    zero = chain[(chain["iv"] == 0) & (chain["bid"] > 0)].index[0]
    assert market.quote(contract(market, zero, "2019-05-01T12:00-04:00"), now).implied_volatility != 0


def test_vendor_units_become_the_brokers(market: RecordedMarket, read: Read) -> None:
    now = "2013-06-17T16:30-04:00"
    chain = (
        read("option_chain_quotes_tech_2013")
        .query("quote_date == @day", local_dict={"day": at(now).date()})
        .set_index("osi")
    )
    checked = 0
    for osi, row in chain[(chain["iv"] > 0) & (chain["underlying"] == "IBM")].iloc[::10].iterrows():
        model = market.quote(contract(market, str(osi), now), at(now)).greeks["model"]
        assert model.implied_volatility == row["iv"]
        assert model.vega == pytest.approx(row["vega"] / 100)
        assert model.theta == pytest.approx(row["theta"] / 365)
        checked += 1
    assert checked > 20
    msft = chain[(chain["iv"] > 0) & (chain["underlying"] == "MSFT")].iloc[3]
    assert market.quote(contract(market, str(msft.name), now), at(now)).greeks["model"].delta == msft["delta"]


def test_a_chain_taken_at_the_close_is_not_shown_before_it(market: RecordedMarket, read: Read) -> None:
    osi = "IBM   130705C00205000"
    before, after = "2013-06-17T15:59-04:00", "2013-06-17T16:00-04:00"
    quote = market.quote(contract(market, osi, before), at(before))
    assert (quote.bid, quote.ask, quote.greeks) == (None, None, {})
    assert market.quote(contract(market, osi, after), at(after)).bid == 1.86


def test_computed_greeks_are_plausible_where_no_vendor_has_any(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:00-05:00")
    seen = 0
    for option in options(market, "GOOG", now, last_trade="20160318"):
        model = market.quote(option, now).greeks.get("model")
        if model is None or model.implied_volatility is None or not 700 <= option.strike <= 800:
            continue
        assert model.delta is not None
        assert model.vega is not None
        assert model.theta is not None
        assert 0.15 < model.implied_volatility < 0.45
        assert 0 < model.delta * (1 if option.right == "C" else -1) < 1
        assert 0.5 < model.vega < 2
        assert -1 < model.theta < 0
        seen += 1
    assert seen > 10


def test_a_contract_that_is_not_listed_has_no_state(market: RecordedMarket) -> None:
    old = contract(market, "AAPL  140613C00645000", "2014-06-06T16:30-04:00")
    assert market.quote(old, at("2014-06-09T16:30-04:00")) == MarketQuote()


def test_dividends_are_those_of_the_factors_and_the_last_one_again(market: RecordedMarket) -> None:
    before, after = at("2014-06-06T12:00-04:00"), at("2014-06-09T12:00-04:00")
    old, new = (market.quote(underlying(market, "AAPL", now), now).dividends for now in (before, after))
    assert old is not None
    assert new is not None
    assert old.past_year == pytest.approx(3.05 * 3 + 3.29)  # announced: 3.05 a share until spring 2014, then 3.29
    assert old.next_amount == 3.29
    assert new.next_amount == pytest.approx(3.29 / 7, abs=1e-4)  # the split
    assert old.next_date == new.next_date
    assert at("2014-08-01T12:00-04:00").date() < old.next_date < at("2014-08-15T12:00-04:00").date()  # type: ignore[operator]
    goog = market.quote(underlying(market, "GOOG", after), after).dividends
    assert goog is not None
    assert (goog.past_year, goog.next_date) == (0.0, None)
