from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from trading_assets.broker.payloads import ParameterRecord
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import (
    ListingReason,
    plan_chain,
    plan_parameters,
    plan_quotes,
    plan_spot,
    strikes_adjusted,
)
from trading_assets.planning.instruments import underlying_instrument
from trading_assets.planning.selection import parse_day
from trading_assets.selection_rules import SelectionRules

AAPL = Instrument("AAPL", con_id=265598, primary_exchange="NASDAQ")
SESSION = date(2014, 6, 6)
NOW = datetime(2014, 6, 6, 20, 30, tzinfo=UTC)
RULES = SelectionRules()


def parameters(
    expiries: list[str], strikes: list[float], trading_class: str = "AAPL", exchange: str = "SMART"
) -> ParameterRecord:
    return ParameterRecord(
        exchange=exchange,
        trading_class=trading_class,
        multiplier="100",
        underlying_con_id=265598,
        expirations=expiries,
        strikes=strikes,
    )


def chain(
    expiries: list[str], strikes: list[float], listed_at: datetime = NOW, trading_class: str = "AAPL"
) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "symbol": "AAPL",
            "con_id": 1000 * i + 10 * j + (right == "P"),
            "exchange": "SMART",
            "currency": "USD",
            "last_trade": expiry,
            "expiry": parse_day(expiry),
            "strike": strike,
            "right": right,
            "multiplier": 100.0,
            "local_symbol": f"AAPL  {expiry[2:]}{right}{round(strike * 1000):08d}",
            "trading_class": trading_class,
            "listed_at": listed_at,
        }
        for i, expiry in enumerate(expiries)
        for j, strike in enumerate(strikes)
        for right in "CP"
    ]
    return pa.Table.from_pylist(rows)


def listed(plan: Any) -> list[str]:
    return [request.instrument.last_trade for request in plan.listings]


def test_the_first_chain_lists_every_wanted_expiry_by_date_alone() -> None:
    plan = plan_chain(AAPL, [parameters(["20140606", "20140613", "20150116"], [640.0])], None, RULES, SESSION)
    assert (plan.reason, plan.carried, listed(plan)) == (ListingReason.FIRST, [], ["20140606", "20140613"])
    words = plan.listings[0].instrument
    assert (words.sec_type, words.exchange, words.con_id, words.strike, words.right, words.trading_class) == (
        "OPT",
        "SMART",
        0,
        0.0,
        "",
        "",
    )


def test_the_next_chain_lists_new_expiries_only() -> None:
    last = chain(["20140606", "20140613"], [640.0, 645.0])
    offered = [parameters(["20140613", "20140620"], [640.0, 645.0, 650.0])]
    plan = plan_chain(AAPL, offered, last, RULES, date(2014, 6, 9))
    assert (plan.reason, plan.carried, listed(plan)) == (ListingReason.INCREMENT, ["20140613"], ["20140620"])
    same = plan_chain(AAPL, [parameters(["20140613"], [640.0, 645.0])], last, RULES, date(2014, 6, 9))
    assert (same.reason, same.carried, same.listings) == (ListingReason.NOTHING, ["20140613"], [])


def test_listings_a_week_old_are_read_again_and_younger_ones_are_not() -> None:
    old, young = (
        chain(["20140613"], [640.0], NOW - timedelta(days=7)),
        chain(["20140620"], [640.0], NOW - timedelta(days=6)),
    )
    offered = [parameters(["20140613", "20140620"], [640.0])]
    plan = plan_chain(AAPL, offered, pa.concat_tables([old, young]), RULES, SESSION)
    assert (plan.reason, plan.carried, listed(plan)) == (ListingReason.AGED, ["20140620"], ["20140613"])


def test_a_split_lists_everything_again() -> None:
    """AAPL 7:1 on 2014-06-09: the strike 490 became 70.71."""
    last = chain(["20140606", "20140613", "20140620"], [490.0, 645.0])
    after = [parameters(["20140613", "20140620"], [70.71, 92.14])]
    plan = plan_chain(AAPL, after, last, RULES, date(2014, 6, 9))
    assert (plan.reason, plan.carried, listed(plan)) == (ListingReason.ADJUSTED, [], ["20140613", "20140620"])


def test_strikes_of_expired_contracts_may_vanish() -> None:
    last = pa.concat_tables([chain(["20140606"], [490.0]), chain(["20140613"], [640.0])])
    assert not strikes_adjusted(last, [parameters(["20140613"], [640.0])], date(2014, 6, 9))
    assert strikes_adjusted(last, [parameters(["20140613"], [641.0])], date(2014, 6, 9))


def test_strikes_are_compared_within_their_trading_class() -> None:
    last = chain(["20140613"], [70.71], trading_class="AAPL7")
    both = [parameters(["20140613"], [70.71]), parameters(["20140613"], [92.14], "AAPL7", "CBOE")]
    assert strikes_adjusted(last, both, SESSION)
    assert not strikes_adjusted(last, [*both, parameters(["20140613"], [70.71], "AAPL7", "ISE")], SESSION)


def test_refresh_lists_everything() -> None:
    plan = plan_chain(
        AAPL, [parameters(["20140613"], [640.0])], chain(["20140613"], [640.0]), RULES, SESSION, refresh=True
    )
    assert (plan.reason, listed(plan)) == (ListingReason.REFRESH, ["20140613"])


def test_parameters_are_asked_for_once_a_symbol_and_not_when_settled() -> None:
    goog = Instrument("GOOG", con_id=208813719)
    assert [r.symbol for r in plan_parameters([goog, AAPL, AAPL], SESSION)] == ["AAPL", "GOOG"]
    assert [r.symbol for r in plan_parameters([goog, AAPL], SESSION, settled={"AAPL"})] == ["GOOG"]


def test_quotes_are_asked_for_selected_contracts_not_yet_quoted_expiring_first() -> None:
    rows = chain(["20140620", "20140613"], [645.0, 640.0])
    ids = rows["con_id"].to_pylist()
    quotes = plan_quotes(rows, ids, SESSION, quoted=ids[:1])
    assert len(quotes) == len(ids) - 1
    terms = [(q.instrument.last_trade, q.instrument.strike, q.instrument.right) for q in quotes]
    assert terms == sorted(terms)
    assert {q.generic_ticks for q in quotes} == {"100,101,106"}
    assert all(
        q.instrument.con_id and q.instrument.multiplier == "100" and len(q.instrument.local_symbol) == 21
        for q in quotes
    )
    assert plan_quotes(rows, ids, SESSION, quoted=ids) == []
    assert plan_spot(AAPL, SESSION).generic_ticks == "456", "with the dividends that the broker expects"
    assert plan_spot(replace(AAPL, sec_type="IND"), SESSION).generic_ticks == ""


def test_the_underlying_of_a_contract_row() -> None:
    row = {
        "symbol": "SPX",
        "sec_type": "IND",
        "exchange": "CBOE",
        "currency": "USD",
        "primary_exchange": "CBOE",
        "con_id": 416904,
        "local_symbol": "SPX",
        "trading_class": "",
        "long_name": "S&P 500 Stock Index",
    }
    assert underlying_instrument(row) == Instrument("SPX", "IND", "CBOE", "USD", "CBOE", 416904, local_symbol="SPX")
