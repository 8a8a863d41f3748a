"""What is listed when: whole chains, splits, expiries, trading classes, ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets.simulator.recorded.instruments import assign_ids, last_trade_day, option_ids
from trading_assets_tests.simulator.recorded.conftest import Read, at, options, underlying


@pytest.mark.parametrize(
    ("symbol", "now"),
    [
        ("GOOG", "2015-12-23T16:30-05:00"),
        ("GOOG", "2015-12-24T13:30-05:00"),
        ("AAPL", "2014-06-06T16:30-04:00"),
        ("AAPL", "2014-06-09T08:00-04:00"),
        ("AAPL", "2014-06-09T16:30-04:00"),
    ],
)
def test_the_listing_is_the_chain_recorded_that_day(market: RecordedMarket, read: Read, symbol: str, now: str) -> None:
    hours = read("option_bars_hour").query("underlying == @symbol")
    chain = hours[hours["date"] == at(now).date()]
    listed = options(market, symbol, at(now))
    assert {contract.local_symbol for contract in listed} == set(chain["osi"])
    by_osi = chain.drop_duplicates("osi").set_index("osi")
    for contract in listed[::20]:
        row = by_osi.loc[contract.local_symbol]
        assert (contract.expiry, contract.strike, contract.right, contract.multiplier) == (
            row["expiry"],
            row["strike"],
            row["right"],
            "100",
        )


def test_the_split_replaces_every_contract(market: RecordedMarket) -> None:
    before, after = (options(market, "AAPL", at(now)) for now in ("2014-06-06T16:30-04:00", "2014-06-09T16:30-04:00"))
    assert not {c.con_id for c in before} & {c.con_id for c in after}
    assert 490.0 in {c.strike for c in before}
    assert 70.71 in {c.strike for c in after}
    assert max(c.strike for c in after) < 160 < max(c.strike for c in before)


@pytest.mark.parametrize(
    ("now", "largest"),
    [("2014-06-03T12:00-04:00", 1050.0), ("2014-06-12T12:00-04:00", 150.0), ("2014-06-17T12:00-04:00", 150.0)],
)
def test_days_with_the_daily_chain_file_only_leave_out_its_padding_and_dead_contracts(
    market: RecordedMarket, now: str, largest: float
) -> None:
    listed = options(market, "AAPL", at(now))
    assert 1900 < len(listed) < 2400
    assert max(contract.strike for contract in listed) == pytest.approx(largest, rel=0.05)


def test_a_day_with_a_few_recorded_contracts_does_not_shrink_the_listing(market: RecordedMarket) -> None:
    listed = options(market, "GOOG", at("2015-12-28T12:00-05:00"))
    assert len(listed) == 2016


def test_contracts_stay_listed_to_the_end_of_their_expiry_day(market: RecordedMarket) -> None:
    def expiring(now: str) -> int:
        return len(options(market, "GOOG", at(now), last_trade="20151224"))

    assert expiring("2015-12-24T23:59-05:00") == 176
    assert expiring("2015-12-25T00:00-05:00") == 0
    assert len(options(market, "GOOG", at("2015-12-25T00:00-05:00"))) == 2016
    later = market.contracts(
        ContractQuery(symbol="GOOG", sec_type="OPT", last_trade="20151224", include_expired=True),
        at("2015-12-25T00:00-05:00"),
    )
    assert len(later) == 176


def test_saturday_expiries_trade_last_on_friday(market: RecordedMarket) -> None:
    (contract,) = market.contracts(ContractQuery(local_symbol="AAPL  140719C00645000"), at("2014-06-06T16:30-04:00"))
    assert (contract.expiry, contract.last_trade) == (date(2014, 7, 19), "20140718")
    assert last_trade_day("AAPL", date(2014, 4, 19)) == date(2014, 4, 17)  # the Friday was Good Friday


def test_index_options_settled_in_the_morning_trade_last_the_day_before(market: RecordedMarket, read: Read) -> None:
    now = at("2019-05-01T12:00-04:00")
    spx = underlying(market, "SPX", now)
    assert (spx.sec_type, spx.exchange, spx.under_con_id) == ("IND", "CBOE", 0)
    chain = read("option_chain_quotes_spx_2019").query("quote_date == @now.date()")
    listed = options(market, "SPX", now)
    assert {contract.local_symbol for contract in listed} == set(chain["osi"])
    third_friday = {(c.trading_class, c.last_trade) for c in listed if c.expiry == date(2019, 5, 17)}
    assert third_friday == {("SPX", "20190516"), ("SPXW", "20190517")}
    parameters = {
        p.trading_class: p for p in market.option_parameters("SPX", "IND", spx.con_id, now) if p.exchange == "SMART"
    }
    assert set(parameters) == {"SPX", "SPXW"}
    assert "20190516" in parameters["SPX"].expirations
    assert "20190517" not in parameters["SPX"].expirations
    assert "20190517" in parameters["SPXW"].expirations
    morning, noon = at("2019-05-17T09:00-04:00"), at("2019-05-17T12:00-04:00")
    assert [
        len(options(market, "SPX", when, trading_class="SPX", last_trade="20190516")) > 0 for when in (morning, noon)
    ] == [True, False]
    assert options(market, "SPX", noon, trading_class="SPXW", last_trade="20190517")


@pytest.mark.parametrize(
    ("symbol", "now"),
    [("GOOG", "2015-12-24T13:30-05:00"), ("IBM", "2013-06-17T16:30-04:00"), ("SPX", "2019-05-01T12:00-04:00")],
)
def test_parameters_are_the_expiries_and_strikes_of_the_listing(market: RecordedMarket, symbol: str, now: str) -> None:
    contract = underlying(market, symbol, at(now))
    listed = options(market, symbol, at(now))
    for parameters in market.option_parameters(symbol, contract.sec_type, contract.con_id, at(now)):
        mine = [c for c in listed if c.trading_class == parameters.trading_class]
        assert parameters.expirations == tuple(sorted({c.last_trade for c in mine}))
        assert parameters.strikes == tuple(sorted({c.strike for c in mine}))
        assert parameters.underlying_con_id == contract.con_id
    assert {p.exchange for p in market.option_parameters(symbol, "", 0, at(now))} == {"SMART", "CBOE"}
    assert market.option_parameters(symbol, contract.sec_type, contract.con_id + 1, at(now)) == []


def test_queries(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    goog = underlying(market, "GOOG", now)
    assert (goog.sec_type, goog.primary_exchange, goog.currency, goog.trading_class) == ("STK", "NASDAQ", "USD", "NMS")
    assert underlying(market, "SPY", now).stock_type == "ETF"
    chain = options(market, "GOOG", now, last_trade="20160115", right="C")
    (one,) = options(
        market,
        "GOOG",
        now,
        last_trade="20160115",
        right="CALL",
        strike=750.0,
        exchange="SMART",
        currency="USD",
        multiplier="100",
    )
    assert one in chain
    assert {c.last_trade for c in options(market, "GOOG", now, last_trade="201601")} == {
        "20160108",
        "20160115",
        "20160122",
        "20160129",
    }
    assert market.contracts(ContractQuery(con_id=one.con_id, symbol="GOOG", sec_type="OPT", exchange="SMART"), now) == [
        one
    ]
    assert market.contracts(ContractQuery(con_id=one.con_id, exchange="CBOE"), now) == [replace(one, exchange="CBOE")]
    assert market.by_id(one.con_id) == one
    assert market.by_id(goog.con_id) == goog
    assert market.by_id(1) is None
    nothing = [
        ContractQuery(symbol="NOSUCH"),
        ContractQuery(symbol="NOSUCH", sec_type="OPT"),
        ContractQuery(symbol="GOOG", sec_type="FUT"),
        ContractQuery(symbol="GOOG", currency="EUR"),
        ContractQuery(symbol="GOOG", exchange="NYSE"),
        ContractQuery(con_id=1),
        ContractQuery(sec_type="OPT", local_symbol="GOOG  160115C00000001"),
        ContractQuery(con_id=one.con_id, symbol="AAPL"),
        ContractQuery(),
    ]
    assert [market.contracts(query, now) for query in nothing] == [[]] * len(nothing)


def test_symbols_and_contracts_are_unknown_before_they_were_seen(market: RecordedMarket) -> None:
    assert market.contracts(ContractQuery(symbol="GOOGL"), at("2014-04-03T12:00-04:00")) == []
    assert market.contracts(ContractQuery(symbol="GOOGL"), at("2014-04-03T16:00-04:00")) != []
    assert market.contracts(ContractQuery(symbol="SPX"), at("2019-04-24T17:00-04:00")) == []
    new = ContractQuery(sec_type="OPT", local_symbol="GOOG  160122C00722500")
    assert market.contracts(new, at("2015-12-23T17:00-05:00")) == []
    assert len(market.contracts(new, at("2015-12-24T09:00-05:00"))) == 1


def test_search(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    assert [contract.symbol for contract in market.search("goo", now)] == ["GOOG", "GOOGL"]
    assert [contract.symbol for contract in market.search("APPLE", now)] == ["AAPL"]
    assert market.search("SPX", now) == []
    assert market.search("", now) == []


def test_ids_are_stable_distinct_and_apart() -> None:
    few, many = option_ids(["A", "B"]), option_ids([*(f"X{i}" for i in range(50_000)), "A", "B"])
    assert {name: many[name] for name in few} == few
    assert len(set(many.values())) == len(many)
    assert all(1 << 30 < con_id < 1 << 31 for con_id in many.values())
    assert all(0 < con_id < 1 << 30 for con_id in assign_ids(["A", "B"]).values())
    assert assign_ids(["AAPL"]) == {"AAPL": 634435064}  # as in every other process
