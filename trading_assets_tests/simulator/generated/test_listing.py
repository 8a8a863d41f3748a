"""What is listed when: expiries, strikes, contract ids, splits of chains, unknown symbols."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.sessions import SessionCalendar
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.generated.expiries import schedule
from trading_assets.simulator.generated.instruments import UNKNOWN_SYMBOLS, OptionClass, builtin
from trading_assets.simulator.generated.instruments import underlying as underlying_of
from trading_assets.simulator.generated.ladders import option_id, take_apart
from trading_assets.simulator.generated.timeline import timeline
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.simulator.generated.questions import chain, day_bars, new_york, underlying

CALENDAR = SessionCalendar(last=date(2026, 12, 31))
NOW = new_york(date(2025, 6, 18), 11, 0)
MARKET = GeneratedMarket(42)
SESSIONS = CALENDAR.sessions(date(2010, 1, 4), date(2026, 6, 1))


def test_expiries_that_fall_on_a_holiday_are_the_session_before() -> None:
    days = schedule("weekly").by_day
    assert date(2022, 4, 14) in days and date(2022, 4, 15) not in days  # Good Friday on the third Friday
    assert date(2025, 7, 3) in days and date(2025, 7, 4) not in days
    assert all(
        CALENDAR.is_session(expiry.day) for expiry in schedule("daily").expiries if expiry.day < date(2026, 12, 31)
    )


def test_am_settled_options_trade_until_the_session_before() -> None:
    contracts = [
        contract for contract in chain(MARKET, "SPX", NOW, trading_class="SPX") if contract.expiry == date(2025, 7, 18)
    ]
    assert contracts
    for contract in contracts:
        assert contract.last_trade == "20250717"
        assert contract.local_symbol[:12] == "SPX   250718"
        assert contract.under_con_id == 416904
    afternoon = [
        contract for contract in chain(MARKET, "SPX", NOW, trading_class="SPXW") if contract.expiry == date(2025, 7, 18)
    ]
    assert {contract.last_trade for contract in afternoon} == {"20250718"}


def test_parameters_name_what_is_listed() -> None:
    stock = underlying(MARKET, "AAPL", NOW)
    contracts = chain(MARKET, "AAPL", NOW)
    answers = MARKET.option_parameters("AAPL", "STK", stock.con_id, NOW)
    assert {answer.exchange for answer in answers} >= {"SMART", "CBOE"}
    for answer in answers:
        assert set(answer.expirations) == {contract.last_trade for contract in contracts}
        assert set(answer.strikes) == {contract.strike for contract in contracts}
    assert {answer.trading_class for answer in MARKET.option_parameters("SPX", "IND", 0, NOW)} == {"SPX", "SPXW"}
    assert MARKET.option_parameters("AAPL", "IND", 0, NOW) == []
    assert MARKET.option_parameters("AAPL", "STK", 1, NOW) == []


def test_chains_are_of_useful_size() -> None:
    assert 1_000 < len(chain(MARKET, "AAPL", NOW)) < 4_000
    index = chain(MARKET, "SPX", NOW)
    assert len(index) >= 10_000
    assert (
        len({contract.con_id for contract in index}) == len({contract.local_symbol for contract in index}) == len(index)
    )


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["AAPL", "SPY", "SPX", "QWER", "NVDA"]), st.sampled_from(SESSIONS), st.integers(1, 8))
def test_listed_contracts_stay_until_expiry_or_split(symbol: str, day: date, count: int) -> None:
    later = CALENDAR.following(day, count)
    then, after = chain(MARKET, symbol, new_york(day, 8)), chain(MARKET, symbol, new_york(later, 8))
    if any(day < split <= later for split, _ in MARKET.splits(symbol)):
        return
    gone = {contract.con_id for contract in then} - {contract.con_id for contract in after}
    last_trade = {contract.con_id: contract.last_trade for contract in then}
    assert all(last_trade[con_id] < f"{later:%Y%m%d}" for con_id in gone)
    spot = MARKET.quote(underlying(MARKET, symbol, new_york(day, 8)), new_york(day, 8)).last or 0.0
    for expiry in {contract.last_trade for contract in then}:
        strikes = [contract.strike for contract in then if contract.last_trade == expiry]
        assert min(strikes) < spot < max(strikes)


def test_a_split_replaces_the_chain() -> None:
    split, ratio = next((day, ratio) for day, ratio in MARKET.splits("AAPL") if day > date(2012, 1, 1))
    eve = CALENDAR.previous(split)
    old = {c.local_symbol: c for c in chain(MARKET, "AAPL", new_york(eve)) if c.expiry and c.expiry > split}
    new = {c.local_symbol: c for c in chain(MARKET, "AAPL", new_york(split, 8)) if c.expiry and c.expiry > split}
    adjusted = {(c.expiry, c.right, round(c.strike / ratio, 2)) for c in old.values()}
    assert adjusted <= {(c.expiry, c.right, c.strike) for c in new.values()}
    assert {c.con_id for c in old.values()}.isdisjoint(c.con_id for c in new.values())
    gone = next(c for c in old.values() if day_bars(MARKET, c, "8 hours", eve, new_york(eve)))
    assert day_bars(MARKET, gone, "8 hours", eve, new_york(split)) == []
    assert MARKET.contracts(ContractQuery(con_id=gone.con_id), new_york(split)) == []


def test_an_expired_contract_is_gone_after_midnight() -> None:
    expiry = date(2025, 6, 20)
    contract = chain(MARKET, "AAPL", new_york(expiry, 12), last_trade="20250620")[40]
    query = ContractQuery(con_id=contract.con_id, symbol="AAPL")
    assert MARKET.contracts(query, new_york(expiry, 23, 59)) == [contract]
    saturday = new_york(expiry + timedelta(days=1), 0, 1)
    assert MARKET.contracts(query, saturday) == []
    assert MARKET.contracts(ContractQuery(con_id=contract.con_id, symbol="AAPL", include_expired=True), saturday) == [
        contract
    ]
    assert MARKET.by_id(contract.con_id) == contract
    assert MARKET.bars(contract, "8 hours", "TRADES", saturday - timedelta(days=9), saturday, True, saturday) == []
    assert MARKET.head_timestamp(contract, "TRADES", True, saturday) is None
    assert chain(MARKET, "AAPL", saturday, last_trade="20250620") == []


def test_words_narrow_the_chain() -> None:
    whole = chain(MARKET, "AAPL", NOW)
    some = whole[301]
    for words in (
        {"symbol": "AAPL", "last_trade": some.last_trade, "strike": some.strike, "right": some.right},
        {"local_symbol": some.local_symbol},
        {"con_id": some.con_id, "exchange": "SMART"},
    ):
        assert MARKET.contracts(ContractQuery(sec_type="OPT", **words), NOW) == [some]
    month = chain(MARKET, "AAPL", NOW, last_trade="202507", right="P")
    assert {(c.right, f"{c.expiry:%Y%m}") for c in month} == {("P", "202507")}
    assert chain(MARKET, "AAPL", NOW, currency="EUR") == []
    assert chain(MARKET, "AAPL", NOW, exchange="NOWHERE") == []


@pytest.mark.parametrize("symbol", [*sorted(UNKNOWN_SYMBOLS), "NOSUCH", "aapl", "A1", ""])
def test_unknown_symbols_have_no_contract(symbol: str) -> None:
    for sec_type in ("STK", "OPT", "IND", ""):
        assert MARKET.contracts(ContractQuery(symbol=symbol, sec_type=sec_type), NOW) == []
    assert MARKET.option_parameters(symbol, "STK", 0, NOW) == []


def test_known_underlyings() -> None:
    assert underlying(MARKET, "AAPL", NOW).con_id == 265598
    assert underlying(MARKET, "SPY", NOW).stock_type == "ETF"
    assert underlying(MARKET, "SPX", NOW).exchange == "CBOE"
    assert MARKET.contracts(ContractQuery(symbol="SPX", sec_type="STK"), NOW) == []
    assert MARKET.contracts(ContractQuery(symbol="META", sec_type="STK"), new_york(date(2010, 6, 1))) == []
    ids = [found.contract.con_id for found in builtin().values()]
    assert len(set(ids)) == len(ids)
    assert MARKET.search("APPLE", NOW)[0].symbol == "AAPL"
    assert len(MARKET.search("A", NOW)) <= 16


@given(
    st.sampled_from([c for u in builtin().values() for c in u.option_classes]),
    st.integers(0, 11_000),
    st.integers(0, 511),
    st.sampled_from("CP"),
)
def test_a_contract_id_can_be_taken_apart(option_class: OptionClass, position: int, rank: int, right: str) -> None:
    day = timeline().dates[min(position, len(timeline()) - 1)]
    con_id = option_id(option_class, day, rank, right)
    assert (1 << 30) <= con_id < (1 << 31)
    assert take_apart(con_id, option_class) == (day, rank, right)
    made = underlying_of("QWER")
    assert made is not None
    (other,) = made.option_classes
    con_id = option_id(other, day, rank, right)
    assert (1 << 29) <= con_id < (1 << 30)
    assert take_apart(con_id, other) == (day, rank, right)
