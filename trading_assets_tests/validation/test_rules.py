"""Each rule on a lake with one fault of AAPL, and on the same lake without: the fault is found, IBM is not accused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
from trading_assets.sessions import calendar
from trading_assets.validation import DATASETS, RULES, Rule, Severity, validate
from trading_assets_tests.repositories.frames import bar, contract_row
from trading_assets_tests.validation.worlds import BAR_SESSIONS, EXPIRIES, NOW, SNAPSHOTS, TODAY, World, con_id, spot, world, write

Break = Callable[[World], None]

YESTERDAY = BAR_SESSIONS[-1]
CALL = con_id("AAPL", EXPIRIES[1], 90.0, "C")
PUT = con_id("AAPL", EXPIRIES[1], 90.0, "P")
EXPIRED = con_id("AAPL", EXPIRIES[0], 90.0, "C")


def change(dataset: str, where: dict[str, Any], **values: Any) -> Break:
    """Change all rows of AAPL in which `where` holds."""

    def broken(rows: World) -> None:
        found = [row for row in rows[dataset] if row["symbol"] == "AAPL" and all(row[name] == wanted for name, wanted in where.items())]
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
        row = next(row for row in rows[dataset] if row["symbol"] == "AAPL" and all(row[name] == wanted for name, wanted in where.items()))
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
half_prices = {name: (lambda row, name=name: row[name] / 2) for name in ("open", "high", "low", "close")}

FAULTS: list[tuple[str, str, Break]] = [
    ("contract_present", "absent", drop("contracts", lambda row: True)),
    ("one_contract_a_symbol", "two", add("contracts", {**contract_row(TODAY), "con_id": 7, "exchange": "SMART", "currency": "USD"})),
    ("known_exchange_and_currency", "exchange", change("contracts", NEWEST, exchange="IBIS")),
    ("known_exchange_and_currency", "currency", change("contracts", NEWEST, currency="EUR")),
    ("contract_verified", "8 days", change("contracts", {}, verified_at=NOW - timedelta(days=8))),
    ("chain_current", "old", drop(OPTION_CHAINS.name, lambda row: row["session"] > SNAPSHOTS[0])),
    ("chain_current", "none", drop(OPTION_CHAINS.name, lambda row: True)),
    ("chain_each_session", "missed", drop(OPTION_CHAINS.name, lambda row: row["session"] == SNAPSHOTS[1])),
    ("both_rights", "no puts", drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["right"] == "P")),
    ("expiry_not_before_session", "expired", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, expiry=YESTERDAY)),
    ("strikes_around_spot", "cut off", drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["strike"] > 90)),
    ("no_doubled_contract", "twice", again(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, con_id=99)),
    ("bid_not_above_ask", "crossed", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, bid=50.0)),
    ("quoted_in_session", "day before", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=calendar().closes_at(YESTERDAY))),
    ("quoted_in_session", "no time", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=None)),
    (
        "quotes_taken_together",
        "early",
        change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, quoted_at=calendar().opens_at(TODAY)),
    ),
    ("implied_volatility_in_range", "zero", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, implied_volatility=0.0)),
    ("implied_volatility_in_range", "huge", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, implied_volatility=11.0)),
    ("delta_in_range", "call below 0", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, delta=-0.2)),
    ("delta_in_range", "put above 0", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": PUT}, delta=0.2)),
    ("open_interest_present", "none", change(OPTION_CHAINS.name, NEWEST, open_interest=None)),
    ("not_a_copy", "quotes", copied("bid", "ask")),
    ("not_a_copy", "trades", copied("volume", "last")),
    ("listing_diff_explained", "vanished", drop(OPTION_CHAINS.name, lambda row: row["session"] == TODAY and row["con_id"] == CALL)),
    ("prices_consistent", "high", change(EQUITY_BARS.name, DAILY, high=lambda row: row["low"] - 1)),
    ("prices_consistent", "null", change(EQUITY_BARS.name, DAILY, close=None)),
    ("prices_positive", "zero", change(EQUITY_BARS.name, DAILY, low=0.0)),
    ("no_doubled_bar", "twice", again(EQUITY_BARS.name, DAILY, close=1.0)),
    (
        "bar_inside_session",
        "after a half day's close",
        add(EQUITY_BARS.name, {**bar(TODAY), "bar_size": "30 mins", "start": calendar().closes_at(TODAY) + timedelta(minutes=30)}),
    ),
    ("bar_inside_session", "no session", add(EQUITY_BARS.name, {**bar(TODAY), "session": date(2015, 12, 19)})),
    (
        "session_complete",
        "hole",
        both(
            *(drop(name, lambda row: row["session"] == BAR_SESSIONS[5] and row.get("con_id") in (0, 265598)) for name in ("equity_bars", "coverage"))
        ),
    ),
    ("session_complete", "behind", drop(EQUITY_BARS.name, lambda row: row["session"] == YESTERDAY)),
    ("session_complete", "never collected", drop(EQUITY_BARS.name, lambda row: True)),
    ("volume_present", "zero", change(EQUITY_BARS.name, DAILY, volume=0.0)),
    ("spike", "close", change(EQUITY_BARS.name, DAILY, close=lambda row: row["close"] * 1.4, high=lambda row: row["close"] * 1.4)),
    ("spike", "low alone", change(EQUITY_BARS.name, DAILY, low=20.0)),
    ("split_suspicion", "two for one", change(EQUITY_BARS.name, DAILY, **half_prices, volume=2000.0)),
    ("daily_agrees_with_intraday", "volume", change(EQUITY_BARS.name, DAILY, volume=1100.0)),
    ("daily_agrees_with_intraday", "close", change(EQUITY_BARS.name, DAILY, close=lambda row: row["close"] + 0.5)),
    ("prerequisites_held", "contract", drop("contracts", lambda row: True)),
    ("prerequisites_held", "chain", change(OPTION_CHAINS.name, {}, selected=False)),
    ("contract_in_a_chain", "unlisted", change(OPTION_BARS.name, {"con_id": CALL}, con_id=99)),
    ("bar_inside_life", "after expiry", again(OPTION_BARS.name, {"con_id": EXPIRED, "session": YESTERDAY}, session=TODAY)),
    ("option_prices_consistent", "high", change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, high=0.01)),
    ("option_prices_consistent", "zero", change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, low=0.0)),
    ("no_doubled_option_bar", "twice", again(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY})),
    (
        "option_bar_inside_session",
        "evening",
        change(
            OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, start=calendar().closes_at(YESTERDAY) + timedelta(hours=1), bar_size="1 hour"
        ),
    ),
    ("not_under_intrinsic", "below", change(OPTION_BARS.name, {"con_id": CALL, "session": YESTERDAY}, close=spot(YESTERDAY) - 90 - 4)),
    ("put_call_parity", "put", change(OPTION_BARS.name, {"con_id": PUT, "session": YESTERDAY}, close=9.0)),
    ("complete_to_last_day", "unknown", drop(COVERAGE.name, lambda row: row["con_id"] == EXPIRED and row["session"] == YESTERDAY)),
    ("complete_to_last_day", "lost", change(COVERAGE.name, {"con_id": EXPIRED, "session": YESTERDAY}, condition="expired_lost")),
]

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


def test_the_lake_without_a_fault_violates_nothing_and_every_rule_looks_at_something(sound: Path) -> None:
    report = validate(write(sound, world()))
    assert {result.rule.name: result.rows.to_pylist() for result in report.failing()} == {}
    unseen = {"split_suspicion"}  # looks at halved and doubled prices only
    assert {result.rule.name for result in report.results if not result.examined} == unseen


@pytest.mark.parametrize(("name", "fault", "broken"), FAULTS, ids=[f"{name}: {fault}" for name, fault, _ in FAULTS])
def test_the_fault_is_found_with_its_symbol_and_row(tmp_path: Path, name: str, fault: str, broken: Break) -> None:
    rows = world()
    broken(rows)
    report = validate(write(tmp_path, rows), rules=[BY_NAME[name]])
    result = report.result(name)
    assert result.symbols == ("AAPL",)
    assert 0 < result.failed <= result.examined
    assert result.rows.num_rows == min(result.failed, 20)
    assert result.rows.column_names == ["symbol", "session", *BY_NAME[name].shows]
    assert report.passed == (BY_NAME[name].severity is Severity.WARN)
    assert "AAPL" in result.sentence() and BY_NAME[name].remedy in result.sentence()


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    assert {name for name, _, _ in FAULTS} == set(BY_NAME)


EXPLAINED: list[tuple[str, str, Break]] = [
    (
        "session_complete",
        "the broker's refusal is a reason",
        both(
            drop(EQUITY_BARS.name, lambda row: row["session"] == BAR_SESSIONS[5]),
            change(COVERAGE.name, {"con_id": 0, "session": BAR_SESSIONS[5]}, condition="not_permitted"),
        ),
    ),
    ("bid_not_above_ask", "nobody bids", change(OPTION_CHAINS.name, {"session": TODAY, "con_id": CALL}, bid=None)),
    ("delta_in_range", "the model computed none", change(OPTION_CHAINS.name, NEWEST, delta=None)),
    (
        "implied_volatility_in_range",
        "on the last day",
        change(OPTION_CHAINS.name, {"session": YESTERDAY, "con_id": EXPIRED}, implied_volatility=30.0),
    ),
    ("listing_diff_explained", "adjusted", change(OPTION_CHAINS.name, NEWEST, con_id=lambda row: row["con_id"] + 5000)),
    ("not_a_copy", "a quiet session moves a little", copied("bid")),
    ("split_suspicion", "a crash to half the price swings", change(EQUITY_BARS.name, DAILY, **half_prices | {"low": 30.0})),
    ("volume_present", "an index has no volume", both(change("contracts", {}, sec_type="IND"), change(EQUITY_BARS.name, {}, volume=0.0))),
]


@pytest.mark.parametrize(("name", "reason", "change"), EXPLAINED, ids=[f"{name}: {reason}" for name, reason, _ in EXPLAINED])
def test_what_has_a_reason_is_not_accused(tmp_path: Path, name: str, reason: str, change: Break) -> None:
    rows = world()
    change(rows)
    assert validate(write(tmp_path, rows), rules=[BY_NAME[name]]).result(name).rows.to_pylist() == []


def test_rules_have_unique_names_and_say_why_and_what_to_do() -> None:
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert rule.dataset in DATASETS
        assert rule.why.endswith(".") and rule.remedy.endswith(".")


def test_a_warning_cannot_block() -> None:
    with pytest.raises(ValueError, match="a warning does not block"):
        Rule("x", "contracts", Severity.WARN, why="", remedy="", holds="true", blocks=True)
