"""SPX, an index: two trading classes, settlement in the morning and at the close, and bars that nobody recorded."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import Desk, sentences
from trading_assets_tests.scenarios.sources import Sources

SESSION = date(2019, 5, 1)
RULES = {"option_chains": {"selection": {"min_days_to_expiry": 14, "max_days_to_expiry": 17, "strikes_around_spot": 3}}}
MONTHLY = date(2019, 5, 17)


@pytest.fixture(scope="module")
def desk(open_desk: OpenDesk) -> Desk:
    desk = open_desk("2019-05-01T12:00-04:00", options=RULES)
    operation = desk.setup("SPX", lookback_days=10)
    assert operation.success, sentences(operation)
    return desk


def test_the_index_is_resolved_on_its_own_exchange(desk: Desk) -> None:
    contract = desk.rows("select * from contracts").iloc[0]
    assert (contract["sec_type"], contract["exchange"], contract["session"]) == ("IND", "CBOE", SESSION)


def test_the_chain_of_both_classes_is_the_recorded_one(desk: Desk, sources: Sources) -> None:
    recorded = sources.read("option_chain_quotes_spx_2019")
    recorded = recorded[
        (recorded["quote_date"] == SESSION)
        & recorded["expiry"].between(SESSION + timedelta(14), SESSION + timedelta(17))
    ]
    stored = desk.rows("select * from option_chains")
    wanted = stored[stored["expiry"] >= SESSION + timedelta(14)]
    assert set(wanted["local_symbol"]) == set(recorded["osi"])
    assert set(wanted["trading_class"]) == {"SPX", "SPXW"}


def test_quotes_are_the_recorded_ones(desk: Desk, sources: Sources) -> None:
    recorded = sources.read("option_chain_quotes_spx_2019")
    recorded = recorded[recorded["quote_date"] == SESSION].set_index("osi")
    stored = desk.rows("select * from option_chains where selected").set_index("local_symbol")
    expected = recorded.loc[stored.index]
    assert stored["bid"].fillna(0.0).tolist() == expected["bid"].tolist()
    assert stored["ask"].tolist() == expected["ask"].tolist()
    assert stored["open_interest"].tolist() == expected["open_interest"].tolist()
    assert stored["underlying_price"].dropna().unique().tolist() == expected["underlying_price"].unique().tolist()


def test_morning_settlement_is_told_from_the_close(desk: Desk) -> None:
    monthly = desk.rows(
        f"select distinct trading_class, last_trade from option_chains where expiry = '{MONTHLY}' order by"
        " trading_class"
    )
    assert monthly.to_numpy().tolist() == [["SPX", "20190516"], ["SPXW", "20190517"]]
    both = desk.rows(
        f"select trading_class, count(*) as n from option_chains where expiry = '{MONTHLY}' and selected group by 1"
        " order by 1"
    )
    assert both.to_numpy().tolist() == [["SPX", 12], ["SPXW", 12]], "strikes are chosen for each class"


def test_bars_nobody_recorded_are_no_data_and_nothing_is_invented(desk: Desk) -> None:
    assert desk.rows("select count(*) as n from equity_bars")["n"][0] == 0
    assert desk.rows("select count(*) as n from option_bars")["n"][0] == 0
    assert set(desk.conditions("dataset = 'equity_bars'")) <= {"no_trades", "pending"}
    assert set(desk.conditions("dataset = 'option_bars'")) == {"no_trades"}
    sessions = desk.rows("select max(session) as last from coverage where dataset in ('equity_bars', 'option_bars')")
    assert sessions["last"][0] == date(2019, 4, 30), "nothing is said of the session that is still open"


def test_no_data_is_an_answer_and_not_asked_for_again(desk: Desk) -> None:
    desk.forget()
    assert desk.setup("SPX", lookback_days=10).success
    assert desk.asked() == {}
    assert desk.connections() == 0
