"""Each rule on a lake with one fault of AAPL, and on the same lake without: the fault is found, IBM is not accused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.remedies import Medium, speaking
from trading_assets.repositories.basis import NO_LONGER_GIVEN, ON_OLD_BASIS
from trading_assets.repositories.schemas import (
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    OPTION_GREEKS,
    Condition,
)
from trading_assets.sessions import calendar
from trading_assets.universe import Universe
from trading_assets.validation import DATASETS, NAMELESS, RULES, Findings, Rule, Scope, Severity, validate
from trading_assets_tests.repositories.frames import bar, contract_row
from trading_assets_tests.validation.worlds import (
    BAR_SESSIONS,
    EXPIRIES,
    NOW,
    SNAPSHOTS,
    TODAY,
    World,
    con_id,
    spot,
    world,
    write,
)
from trading_assets_tests.variants import mostly_slow

Break = Callable[[World], None]

YESTERDAY = BAR_SESSIONS[-1]
CALL = con_id("AAPL", EXPIRIES[1], 90.0, "C")
PUT = con_id("AAPL", EXPIRIES[1], 90.0, "P")
EXPIRED = con_id("AAPL", EXPIRIES[0], 90.0, "C")


def change(dataset: str, where: dict[str, Any], **values: Any) -> Break:
    """Change all rows of AAPL in which `where` holds."""

    def broken(rows: World) -> None:
        found = [
            row
            for row in rows[dataset]
            if row["symbol"] == "AAPL" and all(row[name] == wanted for name, wanted in where.items())
        ]
        assert found
        for row in found:
            row.update({name: given(row) if callable(given) else given for name, given in values.items()})

    return broken


def drop(dataset: str, gone: Callable[[dict[str, Any]], bool]) -> Break:
    """Take rows of AAPL away."""

    def broken(rows: World) -> None:
        before = len(rows[dataset])
        rows[dataset] = [row for row in rows[dataset] if not (row["symbol"] == "AAPL" and gone(row))]
        assert len(rows[dataset]) < before

    return broken


def add(dataset: str, *more: dict[str, Any]) -> Break:
    return lambda rows: rows[dataset].extend(more)


def again(dataset: str, where: dict[str, Any], **values: Any) -> Break:
    """Add a second copy of a row of AAPL, with other values."""

    def broken(rows: World) -> None:
        row = next(
            row
            for row in rows[dataset]
            if row["symbol"] == "AAPL" and all(row[name] == wanted for name, wanted in where.items())
        )
        rows[dataset].append({**row, **values})

    return broken


def both(*breaks: Break) -> Break:
    def broken(rows: World) -> None:
        for one in breaks:
            one(rows)

    return broken


def copied(*columns: str) -> Break:
    """The chain of the session before, once more."""

    def broken(rows: World) -> None:
        chains = rows[OPTION_CHAINS.name]
        before = {row["con_id"]: row for row in chains if row["session"] == SNAPSHOTS[-2]}
        for row in chains:
            if row["symbol"] == "AAPL" and row["session"] == TODAY:
                row.update({name: before[row["con_id"]][name] for name in columns})

    return broken


DAILY = {"bar_size": "1 day", "session": YESTERDAY}
NEWEST = {"session": TODAY}
QUOTE = {"session": TODAY, "con_id": CALL}
LAST_QUOTE = {"session": YESTERDAY, "con_id": EXPIRED}
OPTION = {"con_id": CALL, "session": YESTERDAY}
OF_BARS = {"dataset": EQUITY_BARS.name, "con_id": 0, "session": YESTERDAY}
LATER = {"session": SNAPSHOTS[0], "expiry": EXPIRIES[1]}
INF, NAN = float("inf"), float("nan")


def prices(value: float) -> dict[str, float]:
    """A bar that is this price throughout."""
    return dict.fromkeys(("open", "high", "low", "close"), value)


half_prices = {name: lambda row, name=name: row[name] / 2 for name in ("open", "high", "low", "close")}

NAMED = {
    "contract_named": "contracts",
    "listing_named": "option_chains",
    "bar_named": "equity_bars",
    "option_bar_named": "option_bars",
    "greeks_named": "option_greeks",
}

FAULTS: list[tuple[str, str, Break]] = [
    *(
        (name, "no session", change(dataset, QUOTE if dataset == OPTION_CHAINS.name else {}, session=None))
        for name, dataset in NAMED.items()
    ),
    ("contract_present", "absent", drop("contracts", lambda row: True)),
    (
        "one_contract_a_symbol",
        "two",
        add("contracts", {**contract_row(TODAY), "con_id": 7, "exchange": "SMART", "currency": "USD"}),
    ),
    ("known_exchange_and_currency", "exchange", change("contracts", NEWEST, exchange="IBIS")),
    ("known_exchange_and_currency", "currency", change("contracts", NEWEST, currency="EUR")),
    ("contract_verified", "8 days", change("contracts", {}, verified_at=NOW - timedelta(days=8))),
    ("chain_current", "old", drop(OPTION_CHAINS.name, lambda row: row["session"] > SNAPSHOTS[0])),
    ("chain_current", "none", drop(OPTION_CHAINS.name, lambda row: True)),
    ("chain_each_session", "missed", drop(OPTION_CHAINS.name, lambda row: row["session"] == SNAPSHOTS[1])),
    ("both_rights", "no puts", drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["right"] == "P")),
    ("both_rights", "a third right", again(OPTION_CHAINS.name, QUOTE, right="X")),
    ("both_rights", "no right", again(OPTION_CHAINS.name, QUOTE, right=None)),
    (
        "expiry_not_before_session",
        "expired",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, expiry=YESTERDAY),
    ),
    (
        "strikes_around_spot",
        "cut off",
        drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["strike"] > 90),
    ),
    ("strikes_around_spot", "no number", again(OPTION_CHAINS.name, QUOTE, strike=NAN)),
    ("strikes_around_spot", "without end", again(OPTION_CHAINS.name, QUOTE, strike=INF)),
    ("strikes_around_spot", "below zero", again(OPTION_CHAINS.name, QUOTE, strike=-5.0)),
    ("no_doubled_contract", "twice", again(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, con_id=99)),
    ("bid_not_above_ask", "crossed", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, bid=50.0)),
    ("bid_not_above_ask", "ask without end", change(OPTION_CHAINS.name, QUOTE, ask=INF)),
    ("bid_not_above_ask", "ask is no number", change(OPTION_CHAINS.name, QUOTE, ask=NAN)),
    ("bid_not_above_ask", "both without end", change(OPTION_CHAINS.name, QUOTE, bid=INF, ask=INF)),
    ("bid_not_above_ask", "bid below zero", change(OPTION_CHAINS.name, QUOTE, bid=-1.0)),
    ("bid_not_above_ask", "bid alone without end", change(OPTION_CHAINS.name, QUOTE, bid=INF, ask=None)),
    ("bid_not_above_ask", "ask alone below zero", change(OPTION_CHAINS.name, QUOTE, bid=None, ask=-1.0)),
    (
        "quoted_in_session",
        "day before",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=calendar().closes_at(YESTERDAY)),
    ),
    ("quoted_in_session", "no time", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=None)),
    (
        "quotes_taken_together",
        "early",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=calendar().opens_at(TODAY)),
    ),
    (
        "implied_volatility_in_range",
        "zero",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, implied_volatility=0.0),
    ),
    (
        "implied_volatility_in_range",
        "huge",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, implied_volatility=11.0),
    ),
    ("implied_volatility_in_range", "no number", change(OPTION_CHAINS.name, LAST_QUOTE, implied_volatility=NAN)),
    ("implied_volatility_in_range", "without end", change(OPTION_CHAINS.name, LAST_QUOTE, implied_volatility=INF)),
    ("delta_in_range", "no number", change(OPTION_CHAINS.name, QUOTE, delta=NAN)),
    ("delta_in_range", "without end", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": PUT}, delta=-INF)),
    ("delta_in_range", "of no right", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": PUT}, right="X")),
    ("delta_in_range", "call below 0", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, delta=-0.2)),
    ("delta_in_range", "put above 0", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": PUT}, delta=0.2)),
    ("open_interest_present", "none", change(OPTION_CHAINS.name, NEWEST, open_interest=None)),
    ("open_interest_present", "no number", change(OPTION_CHAINS.name, NEWEST, open_interest=NAN)),
    ("not_a_copy", "quotes", copied("bid", "ask")),
    ("not_a_copy", "trades", copied("volume", "last")),
    (
        "listing_diff_explained",
        "vanished",
        drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["con_id"] == CALL),
    ),
    ("prices_consistent", "high", change(EQUITY_BARS.name, DAILY, high=lambda row: row["low"] - 1)),
    ("prices_consistent", "null", change(EQUITY_BARS.name, DAILY, close=None)),
    ("prices_consistent", "high without end", change(EQUITY_BARS.name, DAILY, high=INF)),
    ("prices_consistent", "all without end", change(EQUITY_BARS.name, DAILY, **prices(INF))),
    ("prices_consistent", "no number", change(EQUITY_BARS.name, DAILY, close=NAN)),
    ("prices_consistent", "no numbers", change(EQUITY_BARS.name, DAILY, **prices(NAN))),
    ("prices_positive", "without end", change(EQUITY_BARS.name, DAILY, high=INF)),
    ("prices_positive", "no number", change(EQUITY_BARS.name, DAILY, open=NAN)),
    ("prices_positive", "zero", change(EQUITY_BARS.name, DAILY, low=0.0)),
    ("no_doubled_bar", "twice", again(EQUITY_BARS.name, DAILY, close=1.0)),
    (
        "bar_inside_session",
        "after a half day's close",
        add(
            EQUITY_BARS.name,
            {**bar(TODAY), "bar_size": "30 mins", "start": calendar().closes_at(TODAY) + timedelta(minutes=30)},
        ),
    ),
    ("bar_inside_session", "no session", add(EQUITY_BARS.name, {**bar(TODAY), "session": date(2015, 12, 19)})),
    (
        "session_complete",
        "hole",
        both(
            *(
                drop(name, lambda row: row["session"] == BAR_SESSIONS[5] and row.get("con_id") in (0, 265598))
                for name in ("equity_bars", "coverage")
            )
        ),
    ),
    ("session_complete", "behind", drop(EQUITY_BARS.name, lambda row: row["session"] == YESTERDAY)),
    ("session_complete", "the first are gone", drop(EQUITY_BARS.name, lambda row: row["session"] <= BAR_SESSIONS[5])),
    ("session_complete", "all are gone", drop(EQUITY_BARS.name, lambda row: True)),
    (
        "session_complete",
        "never collected",
        both(drop(EQUITY_BARS.name, lambda row: True), drop(COVERAGE.name, lambda row: row["con_id"] == 0)),
    ),
    (
        "unit_decided",
        "held",
        change(
            COVERAGE.name,
            {"con_id": 0, "session": BAR_SESSIONS[5], "dataset": "equity_bars"},
            condition="error",
            reason="The answer about 1 day bars of AAPL is held for review: same prices, volume x 100.",
        ),
    ),
    ("volume_present", "zero", change(EQUITY_BARS.name, DAILY, volume=0.0)),
    ("volume_present", "unknown", change(EQUITY_BARS.name, DAILY, volume=None)),
    ("volume_present", "no number", change(EQUITY_BARS.name, DAILY, volume=NAN)),
    ("volume_present", "without end", change(EQUITY_BARS.name, DAILY, volume=INF)),
    ("volume_present", "below zero inside the session", change(EQUITY_BARS.name, {"bar_size": "30 mins"}, volume=-1.0)),
    (
        "spike",
        "after a bar without numbers",
        both(
            change(EQUITY_BARS.name, {"bar_size": "1 day", "session": BAR_SESSIONS[-9]}, **prices(NAN)),
            change(EQUITY_BARS.name, {"bar_size": "1 day", "session": BAR_SESSIONS[-7]}, **prices(INF)),
            change(EQUITY_BARS.name, DAILY, low=20.0),
        ),
    ),
    (
        "spike",
        "close",
        change(EQUITY_BARS.name, DAILY, close=lambda row: row["close"] * 1.4, high=lambda row: row["close"] * 1.4),
    ),
    ("spike", "low alone", change(EQUITY_BARS.name, DAILY, low=20.0)),
    ("split_suspicion", "two for one", change(EQUITY_BARS.name, DAILY, **half_prices, volume=2000.0)),
    ("split_suspicion", "volume unknown", change(EQUITY_BARS.name, DAILY, **half_prices, volume=None)),
    ("split_suspicion", "volume no number", change(EQUITY_BARS.name, DAILY, **half_prices, volume=NAN)),
    (
        "split_suspicion",
        "high without end",
        change(EQUITY_BARS.name, DAILY, **half_prices | {"high": INF}, volume=2000.0),
    ),
    (
        "split_suspicion",
        "one for thirty-five with the volume of before",
        change(EQUITY_BARS.name, DAILY, **{name: (lambda row, name=name: row[name] * 35) for name in half_prices}),
    ),
    (
        "one_basis",
        "not read anew",
        change(COVERAGE.name, OF_BARS, condition="pending", reason=f"{ON_OLD_BASIS}: timeout"),
    ),
    ("one_basis", "no longer given", change(COVERAGE.name, OF_BARS, reason=NO_LONGER_GIVEN)),
    ("daily_agrees_with_intraday", "no number", change(EQUITY_BARS.name, DAILY, open=NAN)),
    ("daily_agrees_with_intraday", "close without end", change(EQUITY_BARS.name, DAILY, close=INF)),
    ("daily_agrees_with_intraday", "high without end", change(EQUITY_BARS.name, DAILY, high=INF)),
    ("daily_agrees_with_intraday", "volume without end", change(EQUITY_BARS.name, DAILY, volume=INF)),
    ("daily_agrees_with_intraday", "volume", change(EQUITY_BARS.name, DAILY, volume=1100.0)),
    ("daily_agrees_with_intraday", "close", change(EQUITY_BARS.name, DAILY, close=lambda row: row["close"] + 0.5)),
    ("prerequisites_held", "contract", drop("contracts", lambda row: True)),
    ("prerequisites_held", "chain", change(OPTION_CHAINS.name, {}, selected=False)),
    ("prerequisites_held", "equity bars", drop(EQUITY_BARS.name, lambda row: True)),
    (
        "prerequisites_held",
        "equity bars, and one session without trades explains not all",
        both(
            drop(EQUITY_BARS.name, lambda row: True),
            change(COVERAGE.name, {"con_id": 0, "session": BAR_SESSIONS[5]}, condition="no_trades"),
        ),
    ),
    ("contract_in_a_chain", "unlisted", change(OPTION_BARS.name, {"con_id": CALL}, con_id=99)),
    ("contract_in_a_chain", "another strike", change(OPTION_BARS.name, OPTION, strike=91.0)),
    ("contract_in_a_chain", "another right", change(OPTION_BARS.name, OPTION, right="P")),
    ("contract_in_a_chain", "another expiry", change(OPTION_BARS.name, OPTION, expiry=EXPIRIES[1] + timedelta(days=7))),
    ("contract_in_a_chain", "no strike", change(OPTION_BARS.name, OPTION, strike=None)),
    (
        "bar_inside_life",
        "after expiry",
        again(OPTION_BARS.name, {"con_id": EXPIRED, "session": YESTERDAY}, session=TODAY),
    ),
    ("option_prices_consistent", "high", change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, high=0.01)),
    ("option_prices_consistent", "zero", change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, low=0.0)),
    ("option_prices_consistent", "high without end", change(OPTION_BARS.name, OPTION, high=INF)),
    ("option_prices_consistent", "all without end", change(OPTION_BARS.name, OPTION, **prices(INF))),
    ("option_prices_consistent", "no numbers", change(OPTION_BARS.name, OPTION, **prices(NAN))),
    ("option_prices_consistent", "no number", change(OPTION_BARS.name, OPTION, open=NAN)),
    ("option_prices_consistent", "volume below zero", change(OPTION_BARS.name, OPTION, volume=-1.0)),
    ("option_prices_consistent", "volume no number", change(OPTION_BARS.name, OPTION, volume=NAN)),
    (
        "daily_option_bar_agrees",
        "gone",
        drop(OPTION_BARS.name, lambda row: row["bar_size"] == "1 day" and row["con_id"] == CALL),
    ),
    ("daily_option_bar_agrees", "another close", change(OPTION_BARS.name, {**OPTION, "bar_size": "1 day"}, close=1.23)),
    ("no_doubled_option_bar", "twice", again(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY})),
    (
        "option_bar_inside_session",
        "evening",
        change(
            OPTION_BARS.name,
            {"con_id": CALL, "session": YESTERDAY},
            start=calendar().closes_at(YESTERDAY) + timedelta(hours=1),
            bar_size="1 hour",
        ),
    ),
    (
        "not_under_intrinsic",
        "below",
        change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, close=spot(YESTERDAY) - 90 - 4),
    ),
    ("not_under_intrinsic", "without end", change(OPTION_BARS.name, OPTION, close=INF)),
    ("not_under_intrinsic", "no number", change(OPTION_BARS.name, OPTION, close=NAN)),
    ("not_under_intrinsic", "of an underlying without end", change(EQUITY_BARS.name, DAILY, close=INF)),
    ("put_call_parity", "without end", change(OPTION_BARS.name, {"con_id": PUT, "session": YESTERDAY}, close=INF)),
    ("put_call_parity", "no number", change(OPTION_BARS.name, {"con_id": PUT, "session": YESTERDAY}, close=NAN)),
    ("put_call_parity", "put", change(OPTION_BARS.name, {"con_id": PUT, "session": YESTERDAY}, close=9.0)),
    (
        "complete_to_last_day",
        "unknown",
        drop(COVERAGE.name, lambda row: row["con_id"] == EXPIRED and row["session"] == YESTERDAY),
    ),
    (
        "complete_to_last_day",
        "its bar is gone",
        drop(OPTION_BARS.name, lambda row: row["con_id"] == EXPIRED and row["session"] == YESTERDAY),
    ),
    (
        "complete_to_last_day",
        "in a session whose chain selected nothing",
        both(
            change(OPTION_CHAINS.name, {"session": SNAPSHOTS[1], "symbol": "AAPL"}, selected=False),
            drop(COVERAGE.name, lambda row: row["con_id"] == EXPIRED and row["session"] == SNAPSHOTS[1]),
        ),
    ),
    *(
        ("complete_to_last_day", str(condition), change(COVERAGE.name, LAST_QUOTE, condition=str(condition)))
        for condition in Condition
        if condition not in (Condition.COMPLETE, Condition.NO_TRADES)
    ),
    ("convex_in_strike", "a price above its neighbours' line", change(OPTION_GREEKS.name, QUOTE, price=20.0)),
    (
        "no_calendar_arbitrage",
        "calm after the first expiry",
        change(OPTION_GREEKS.name, LATER, implied_volatility=0.03),
    ),
    ("quotes_in_parity", "a call too dear", change(OPTION_GREEKS.name, QUOTE, price=20.0)),
    ("quotes_in_parity", "another forward", change(OPTION_GREEKS.name, LATER, forward=90.0, underlying_price=90.0)),
    ("near_broker_volatility", "above", change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.3201)),
    ("near_broker_volatility", "below", change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.2799)),
    (
        "near_broker_volatility",
        "far from the money",
        change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.3201, delta=0.03, vega=0.06),
    ),
]

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which each test writes its world over that of the test before: opening it once a worker, and not
    for each of 150 worlds, is a third of their time."""
    return tmp_path_factory.mktemp("standing")


def test_the_lake_without_a_fault_violates_nothing_and_every_rule_looks_at_something(sound: Path) -> None:
    report = validate(write(sound, world()))
    assert {result.rule.name: result.rows.to_pylist() for result in report.failing()} == {}
    unseen = {"split_suspicion"}  # looks at halved and doubled prices only
    assert {result.rule.name for result in report.results if not result.examined} == unseen


@pytest.mark.parametrize(("name", "fault", "broken"), FAULTS, ids=[f"{name}: {fault}" for name, fault, _ in FAULTS])
def test_the_fault_is_found_with_its_symbol_and_row(standing: Path, name: str, fault: str, broken: Break) -> None:
    rows = world()
    broken(rows)
    report = validate(write(standing, rows), rules=[BY_NAME[name]])
    result = report.result(name)
    assert result.symbols == ("AAPL",)
    assert 0 < result.failed <= result.examined
    assert result.rows.num_rows == min(result.failed, 20)
    assert result.rows.column_names == ["symbol", "session", *BY_NAME[name].shows]
    assert report.passed == (BY_NAME[name].severity is Severity.WARN)
    with speaking(Medium.COMMAND):
        assert result.sentence().endswith(BY_NAME[name].remedy.replace("SYMBOL", " ".join(result.symbols[:5])))


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    assert {name for name, _, _ in FAULTS} == set(BY_NAME)


EXPLAINED: list[tuple[str, str, Break]] = [
    ("convex_in_strike", "within the spread", change(OPTION_GREEKS.name, QUOTE, price=lambda row: row["price"] + 0.1)),
    ("convex_in_strike", "a bar's close", change(OPTION_GREEKS.name, QUOTE, price=20.0, source="bar")),
    ("convex_in_strike", "no volatility", change(OPTION_GREEKS.name, QUOTE, price=20.0, implied_volatility=None)),
    ("no_calendar_arbitrage", "more variance later", change(OPTION_GREEKS.name, LATER, implied_volatility=0.2)),
    ("quotes_in_parity", "within the spread", change(OPTION_GREEKS.name, QUOTE, price=lambda row: row["price"] + 0.1)),
    (
        "quotes_in_parity",
        "early exercise of American puts",
        change(
            OPTION_GREEKS.name, {"session": TODAY, "right": "C"}, price=lambda row: row["price"] - 0.8, discount=0.99
        ),
    ),
    ("near_broker_volatility", "0.02 apart", change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.3199)),
    (
        "near_broker_volatility",
        "worth less than a tick",
        change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.35, vega=0.001),
    ),
    (
        "near_broker_volatility",
        "far from the money and worth less than half the spread",
        change(OPTION_GREEKS.name, QUOTE, implied_volatility=0.35, delta=0.03, vega=0.009),
    ),
    ("near_broker_volatility", "no broker's", change(OPTION_GREEKS.name, QUOTE, broker_implied_volatility=None)),
    (
        "session_complete",
        "the broker's refusal is a reason",
        both(
            drop(EQUITY_BARS.name, lambda row: row["session"] == BAR_SESSIONS[5]),
            change(COVERAGE.name, {"con_id": 0, "session": BAR_SESSIONS[5]}, condition="not_permitted"),
        ),
    ),
    (
        "session_complete",
        "the first sessions were without trades",
        both(
            drop(EQUITY_BARS.name, lambda row: row["session"] <= BAR_SESSIONS[1]),
            *(change(COVERAGE.name, {"con_id": 0, "session": day}, condition="no_trades") for day in BAR_SESSIONS[:2]),
        ),
    ),
    (
        "prerequisites_held",
        "the underlying never traded",
        both(drop(EQUITY_BARS.name, lambda row: True), change(COVERAGE.name, {"con_id": 0}, condition="no_trades")),
    ),
    ("contract_in_a_chain", "adjusted after its bars", change(OPTION_CHAINS.name, QUOTE, strike=45.0)),
    (
        "contract_in_a_chain",
        "bars of after the adjustment",
        both(change(OPTION_CHAINS.name, QUOTE, strike=45.0), change(OPTION_BARS.name, OPTION, strike=45.0)),
    ),
    (
        "complete_to_last_day",
        "sessions before the first chain that selects it",
        again(COVERAGE.name, {"con_id": CALL, "session": YESTERDAY}, session=BAR_SESSIONS[0]),
    ),
    ("complete_to_last_day", "nobody traded", change(COVERAGE.name, LAST_QUOTE, condition="no_trades")),
    (
        "spike",
        "what is no number is the business of the rules on prices",
        change(EQUITY_BARS.name, DAILY, high=INF, close=INF),
    ),
    ("volume_present", "half an hour without trades", change(EQUITY_BARS.name, {"bar_size": "30 mins"}, volume=0.0)),
    (
        "volume_present",
        "half an hour whose trades nobody counted",
        change(EQUITY_BARS.name, {"bar_size": "30 mins"}, volume=None),
    ),
    (
        "daily_agrees_with_intraday",
        "volume unknown inside",
        change(EQUITY_BARS.name, {"bar_size": "30 mins"}, volume=None),
    ),
    ("option_prices_consistent", "volume unknown", change(OPTION_BARS.name, OPTION, volume=None)),
    ("option_prices_consistent", "nobody traded", change(OPTION_BARS.name, OPTION, volume=0.0)),
    ("strikes_around_spot", "no quote", change(OPTION_CHAINS.name, NEWEST, underlying_price=None)),
    ("bid_not_above_ask", "a bid of zero", change(OPTION_CHAINS.name, QUOTE, bid=0.0)),
    ("bid_not_above_ask", "nobody asks", change(OPTION_CHAINS.name, QUOTE, ask=None)),
    ("bid_not_above_ask", "nobody bids", change(OPTION_CHAINS.name, QUOTE, bid=None)),
    ("delta_in_range", "the model computed none", change(OPTION_CHAINS.name, NEWEST, delta=None)),
    (
        "implied_volatility_in_range",
        "on the last day",
        change(OPTION_CHAINS.name, {"session": YESTERDAY, "con_id": EXPIRED}, implied_volatility=30.0),
    ),
    ("listing_diff_explained", "adjusted", change(OPTION_CHAINS.name, NEWEST, con_id=lambda row: row["con_id"] + 5000)),
    ("not_a_copy", "a quiet session moves a little", copied("bid")),
    (
        "split_suspicion",
        "a crash to half the price swings",
        change(EQUITY_BARS.name, DAILY, **half_prices | {"low": 30.0}),
    ),
    (
        "volume_present",
        "an index has no volume",
        both(change("contracts", {}, sec_type="IND"), change(EQUITY_BARS.name, {}, volume=0.0)),
    ),
]


@pytest.mark.parametrize(
    ("name", "reason", "change"), EXPLAINED, ids=[f"{name}: {reason}" for name, reason, _ in EXPLAINED]
)
def test_what_has_a_reason_is_not_accused(standing: Path, name: str, reason: str, change: Break) -> None:
    rows = world()
    change(rows)
    assert validate(write(standing, rows), rules=[BY_NAME[name]]).result(name).rows.to_pylist() == []


def test_every_bar_that_was_deleted_is_missed_also_of_a_symbol_that_is_no_longer_active(tmp_path: Path) -> None:
    rows = world()
    drop(EQUITY_BARS.name, lambda row: True)(rows)
    settings = write(tmp_path, rows)
    Universe(settings.state_url).remove(["AAPL"])
    result = validate(settings, rules=[BY_NAME["session_complete"]]).result("session_complete")
    assert (result.symbols, result.failed) == (("AAPL",), len(BAR_SESSIONS))


@pytest.mark.parametrize("condition", ["unknown", "pending"])
def test_the_last_session_of_a_contract_is_not_lost_before_midnight(tmp_path: Path, condition: str) -> None:
    rows = world()
    if condition == "unknown":
        drop(COVERAGE.name, lambda row: row["con_id"] == EXPIRED and row["session"] == YESTERDAY)(rows)
    else:
        change(COVERAGE.name, LAST_QUOTE, condition=condition)(rows)
    midnight = datetime(2015, 12, 24, 5, tzinfo=UTC)
    assert EXPIRIES[0] == YESTERDAY, "midnight New York ends the expiry date"
    settings, rule = write(tmp_path, rows), BY_NAME["complete_to_last_day"]

    def failed(now: datetime) -> int:
        return validate(settings.model_copy(update={"now": now}), rules=[rule]).result(rule.name).failed

    assert (failed(midnight - timedelta(minutes=1)), failed(midnight)) == (0, 1)


@pytest.mark.parametrize("lacking", mostly_slow(["symbol", "session"], lambda lacking: lacking == "session"))
@pytest.mark.parametrize(("name", "dataset"), NAMED.items())
def test_a_row_without_a_name_is_a_finding_and_stops_no_other_rule(
    tmp_path: Path, name: str, dataset: str, lacking: str
) -> None:
    rows = world()
    again(dataset, {}, **{lacking: None})(rows)
    settings = write(tmp_path, rows)
    whose = NAMELESS if lacking == "symbol" else "AAPL"
    for scope in (Scope(), Scope(first=TODAY)):
        report = validate(settings, scope)
        assert [result.rule.name for result in report.failing()] == [name]
        assert (report.result(name).symbols, report.result(name).failed) == ((whose,), 1)
        assert f"1 of {len(rows[dataset]):,} fail, of {whose}." in report.result(name).sentence()
    (finding,) = Findings(settings.state_url).current()
    assert (finding.symbol, finding.session, finding.failed, finding.example["request_id"]) == (whose, TODAY, 1, 1)
    write(tmp_path, world())
    validate(settings)
    assert Findings(settings.state_url).current() == []


def test_rules_have_unique_names_and_say_why_and_what_to_do() -> None:
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert rule.dataset in DATASETS
        assert rule.why.endswith(".") and rule.remedy.endswith(".")


def test_a_warning_cannot_block() -> None:
    with pytest.raises(ValueError, match="a warning does not block"):
        Rule("x", "contracts", Severity.WARN, why="", remedy="", holds="true", blocks=True, mended="so")
