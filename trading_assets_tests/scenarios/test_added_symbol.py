"""A second symbol beside a first: only its own requests. And symbols that are unavailable: reported, never asked
twice."""

from __future__ import annotations

from datetime import date

import pytest

from trading_assets.jobs import validate_all_data
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import SMALL, planned, sent, sentences

pytestmark = pytest.mark.slow

NOW = "2013-06-10T16:30-04:00"
RULES = {"option_chains": {"selection": {"max_days_to_expiry": 20, "strikes_around_spot": 2}}}


def test_a_symbol_added_costs_only_its_own_requests(open_desk: OpenDesk) -> None:
    desk = open_desk(NOW, options=RULES)
    assert desk.setup("AAPL").success
    desk.forget()

    both = desk.setup("AAPL", "IBM")

    assert both.success, sentences(both)
    selected = desk.rows(
        "select count(*) as n, count(distinct last_trade) as expiries from option_chains where symbol = 'IBM' and"
        " selected"
    )
    contracts, expiries = int(selected["n"][0]), int(selected["expiries"][0])
    assert contracts
    listings = desk.rows("select count(distinct last_trade) as n from option_chains where symbol = 'IBM'")["n"][0]
    assert expiries == listings
    expected = {
        "contract": 1,
        "parameters": 1,
        "listing": listings,
        "spot": 1,
        "quote": contracts,
        "equity bars": 1,
        "option bars": contracts,
    }
    assert desk.asked() == expected
    assert planned(both) == sent(both) == sum(expected.values())
    assert not [entry.subject for entry in desk.simulator.counters.log if "AAPL" in entry.subject]


def test_an_unknown_symbol_is_reported_and_the_others_go_on(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk("2015-12-24T13:30-05:00", options=SMALL)
    arguments = ("setup", "GOOG", "ZZZQ", "--lookback-days", "5", "--strikes", "1", "--max-days-to-expiry", "8")
    code, document = desk.command(monkeypatch, *arguments)

    assert code == 1
    told = {(problem["symbol"], problem["kind"]) for problem in document["problems"]}
    assert told == {("ZZZQ", "failed"), ("ZZZQ", "prerequisite_violation"), ("GOOG", "partial")}
    partial = int(desk.rows("select count(*) as n from option_chains where quote_outcome = 'partial'")["n"][0])
    first = document["problems"][0]
    assert (first["outcome"], first["broker_code"]) == ("no_contract", 200)
    assert "No security definition has been found for the request" in first["sentence"]
    reports = [report for run in document["runs"] for report in run["reports"]]
    assert [report["dataset"] for report in reports] == ["contracts", "option_chains", "equity_bars", "option_bars"]
    assert all(set(report["rows_by_symbol"]) == {"GOOG"} for report in reports)
    assert desk.asked()["contract"] == 2
    assert desk.conditions("symbol = 'ZZZQ'") == {"no_contract": 1}

    desk.forget()
    code, document = desk.command(monkeypatch, *arguments)
    assert code == 1, "it is still missing"
    assert "Not requested again before 2015-12-28 14:30 UTC" in document["problems"][0]["sentence"], "the next session"
    assert document["requests"]["sent"] == partial
    assert desk.asked() == {"quote": partial}, "those that lack a value in the recording"
    _, known = desk.command(monkeypatch, "universe", "list")
    assert [entry["symbol"] for entry in known] == ["GOOG"], "an unknown symbol is not kept for the daily update"


def test_a_symbol_without_options_is_whole_without_them(open_desk: OpenDesk) -> None:
    desk = open_desk("2015-12-24T13:30-05:00", options=SMALL)
    operation = desk.setup("BAC", lookback_days=5)
    assert operation.success, sentences(operation)
    assert desk.asked() == {"contract": 1, "parameters": 1, "equity bars": 1}
    assert desk.conditions("dataset = 'option_chains'") == {"no_contract": 1}
    desk.forget()
    assert desk.setup("BAC", lookback_days=5).success
    assert desk.connections() == 0
    report = validate_all_data(settings=desk.settings)
    assert (report["option_ok"], report["failures"]) == (["BAC"], [])


def test_a_refusal_is_forgotten_when_a_later_answer_came(open_desk: OpenDesk) -> None:
    """GOOG, class C, began to trade on 2014-03-27; who asked the day before was told that there is no such contract."""
    desk = open_desk("2014-03-26T16:30-04:00")

    def contracts(day: date) -> bool:
        desk.move(f"{day}T16:30-04:00")
        config = {"contracts": {"symbols": ["GOOG"]}}
        return desk.job("snapshot", [day], config, steps=["contracts"]).complete

    assert not contracts(date(2014, 3, 26))
    assert not contracts(date(2014, 3, 26))
    assert desk.asked() == {"contract": 1}, "within its session the refusal is believed"
    assert contracts(date(2014, 4, 3)), "one refusal alone is requested again in a later session"
    assert contracts(date(2014, 4, 4)), "the refusal no longer counts"
    assert desk.asked() == {"contract": 2}
