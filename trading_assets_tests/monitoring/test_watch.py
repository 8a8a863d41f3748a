"""Every issue is named when its condition holds, and not when it does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.contact import record_connected, record_failure
from trading_assets.monitoring import broker_issues, data_issues, watch
from trading_assets.monitoring.alerts import AlertType, Issue
from trading_assets.reliability import CircuitBreaker
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_CHAINS
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets.validation import NAMELESS, Finding, Findings, Severity
from trading_assets.validation.rules import RULES
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, table

DAYS = [date(2015, 12, day) for day in (21, 22, 23)]
BEFORE_XMAS = datetime(2015, 12, 23, 23, 30, tzinfo=UTC)
"""Two and a half hours after the close of the last of `DAYS`: its bars must be there."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=BEFORE_XMAS)
    Universe(found.state_url).add(["AAPL", "IBM"])
    return found


def fill(
    settings: Settings, symbol: str, days: list[date], *, conditions: tuple[str, ...] = (), chains: bool = True
) -> None:
    """Contract, chain and bars of the days; `conditions` are those of the bars (complete when not given)."""
    store = ParquetStore(settings.data_dir)
    taken = {"collected_at": datetime(days[-1].year, days[-1].month, days[-1].day, 20, 45, tzinfo=UTC)}
    words = conditions or ("complete",) * len(days)
    whole = [day for day, word in zip(days, words, strict=True) if word == "complete"]
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(day, symbol) for day in days]))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, symbol=symbol) for day in whole]))
    rows = [
        covered(day, word, symbol=symbol, reason="" if word == "complete" else "No answer.")
        for day, word in zip(days, words, strict=True)
    ]
    rows += [covered(day, symbol=symbol, dataset="contracts", bar_size="") for day in days]
    if chains:
        quoted = {"selected": True, "quote_outcome": "rows", "quoted_at": taken["collected_at"], "market_data_type": 1}
        chain = [chain_row(day, symbol=symbol) | {"symbol": symbol} | quoted | taken for day in days]
        store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, chain))
        rows += [covered(day, symbol=symbol, dataset="option_chains", bar_size="") | taken for day in days]
    store.upsert(COVERAGE, table(COVERAGE, rows))


def kinds(found: list[Issue]) -> list[tuple[str, str]]:
    return [issue.key for issue in found]


def test_an_empty_archive_and_a_whole_one_are_in_no_trouble(settings: Settings) -> None:
    assert watch.current_issues(settings) == []
    for symbol in ("AAPL", "IBM"):
        fill(settings, symbol, DAYS)
    assert watch.current_issues(settings) == []


def test_what_runs_and_schedules_say_is_handed_on(settings: Settings) -> None:
    given = [
        Issue(AlertType.RUN_FAILED, "abc", "It failed."),
        Issue(AlertType.SCHEDULE_MISSED, "daily_bars", "It did not run."),
    ]
    assert watch.current_issues(settings, runs=given[:1], schedules=given[1:]) == given
    assert AlertType.RUN_FAILED not in watch.WATCHED and AlertType.BROKER_UNREACHABLE in watch.WATCHED


def test_missing_bars_are_named_with_sessions_and_reason(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS, conditions=("complete", "error", "no_trades"))
    fill(settings, "IBM", DAYS)
    (found,) = data_issues.missing_equity(settings, BEFORE_XMAS, ["AAPL", "IBM"])
    assert found.key == (AlertType.MISSING_EQUITY_DATA, "AAPL")
    assert found.reason == "The equity bars of 2015-12-22 are not complete (error). No answer."


def test_the_session_whose_collection_is_not_due_yet_is_not_missing(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS[:2])
    just_closed = datetime(2015, 12, 23, 21, 30, tzinfo=UTC)
    assert data_issues.missing_equity(settings, just_closed, ["AAPL"]) == []
    assert kinds(data_issues.missing_equity(settings, just_closed + timedelta(hours=1), ["AAPL"])) == [
        (AlertType.MISSING_EQUITY_DATA, "AAPL")
    ]


def test_prerequisites_are_missed_of_symbols_that_were_asked_for(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS, chains=False)
    (found,) = data_issues.prerequisites(settings, ["AAPL", "IBM"])
    assert found.key == (AlertType.PREREQUISITE_VIOLATION, "AAPL") and "nothing in option_chains" in found.reason
    nothing_listed = covered(
        DAYS[-1], "no_contract", symbol="AAPL", dataset="option_chains", bar_size="", reason="No options are listed."
    )
    ParquetStore(settings.data_dir).upsert(COVERAGE, table(COVERAGE, [nothing_listed]))
    assert data_issues.prerequisites(settings, ["AAPL", "IBM"]) == [], "a symbol without options wants no option bars"


def test_a_symbol_that_is_being_set_up_is_not_in_trouble(settings: Settings) -> None:
    """Between the first step of a set-up and its last, minutes to hours apart, the rest is on its way."""
    store = ParquetStore(settings.data_dir)
    for dataset in ("contracts", "option_chains"):
        store.upsert(COVERAGE, table(COVERAGE, [covered(DAYS[-1], symbol="AAPL", dataset=dataset, bar_size="")]))
        assert data_issues.prerequisites(settings, ["AAPL"]) == []
    refused = covered(DAYS[-1], "no_contract", symbol="IBM", dataset="contracts", bar_size="", reason="Unknown symbol.")
    store.upsert(COVERAGE, table(COVERAGE, [refused]))
    (found,) = data_issues.prerequisites(settings, ["AAPL", "IBM"])
    assert found.subject == "IBM" and "Unknown symbol." in found.reason


def test_a_symbol_that_left_the_universe_needs_nobody(settings: Settings) -> None:
    rule = next(rule for rule in RULES if rule.blocks)
    found = [Finding(rule.name, rule.dataset, rule.severity, "AAPL", DAYS[0], 2, {}, BEFORE_XMAS)]
    Findings(settings.state_url).replace([(rule, 10, 2)], found, symbols=None, first=None, last=None, now=BEFORE_XMAS)
    assert [issue.subject for issue in watch.current_issues(settings)] == ["AAPL"]
    Universe(settings.state_url).remove(["AAPL"])
    assert watch.current_issues(settings) == []


def test_a_chain_is_told_when_it_stays_stale(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS)
    opened = datetime(2015, 12, 28, 14, 30, tzinfo=UTC)  # a Monday: the chain is of the Wednesday before
    assert data_issues.stale(settings, opened + timedelta(minutes=5)) == []
    (found,) = data_issues.stale(settings, opened + data_issues.STALE_GRACE)
    assert (
        found.key == (AlertType.STALE_OPTION_CHAINS, "AAPL")
        and "2015-12-23 20:45 UTC" in found.reason
        and "2015-12-28" in found.reason
    )


def test_findings_of_errors_are_told_by_symbol_and_warnings_are_not(settings: Settings) -> None:
    rules = {rule.severity: rule for rule in RULES if rule.blocks or rule.severity is Severity.WARN}
    found = [
        Finding(rule.name, rule.dataset, rule.severity, symbol, day, 2, {}, BEFORE_XMAS)
        for rule, symbol in ((rules[Severity.ERROR], "AAPL"), (rules[Severity.WARN], "IBM"))
        for day in DAYS[:2]
    ]
    ran = [(rule, 10, 4) for rule in rules.values()]
    findings = Findings(settings.state_url)
    findings.replace(ran, found, symbols=None, first=None, last=None, now=BEFORE_XMAS)
    (issue,) = data_issues.integrity(settings, ["AAPL", "IBM"])
    rule = rules[Severity.ERROR]
    assert issue.key == (AlertType.DATA_INTEGRITY_FAILURE, "AAPL")
    assert (
        issue.reason
        == f"{rule.dataset} breaks the rule {rule.name} with 4 rows in 2 sessions from 2015-12-21 to 2015-12-22."
    )
    findings.replace(ran, [], symbols=None, first=None, last=None, now=BEFORE_XMAS)
    assert data_issues.integrity(settings, ["AAPL", "IBM"]) == []


def test_rows_without_a_symbol_are_told(settings: Settings) -> None:
    rule = next(rule for rule in RULES if rule.name == "bar_named")
    found = [Finding(rule.name, rule.dataset, rule.severity, NAMELESS, DAYS[0], 3, {}, BEFORE_XMAS)]
    Findings(settings.state_url).replace([(rule, 10, 3)], found, symbols=None, first=None, last=None, now=BEFORE_XMAS)
    (issue,) = data_issues.integrity(settings, ["AAPL"])
    assert issue.key == (AlertType.DATA_INTEGRITY_FAILURE, "(no symbol)")
    assert issue.reason == "equity_bars breaks the rule bar_named with 3 rows in session 2015-12-21."
    assert "`trading-assets validate`" in issue.advice


def test_what_other_alerts_say_is_told_by_them_alone(settings: Settings) -> None:
    by_name = {rule.name: rule for rule in RULES}
    named = [by_name[name] for name in (*data_issues.REPORTED_ELSEWHERE, *data_issues.PREREQUISITE_RULES)]
    assert {rule.severity for rule in named} == {Severity.ERROR}
    found = [Finding(rule.name, rule.dataset, rule.severity, "AAPL", DAYS[0], 1, {}, BEFORE_XMAS) for rule in named]
    Findings(settings.state_url).replace(
        [(rule, 1, 1) for rule in named], found, symbols=None, first=None, last=None, now=BEFORE_XMAS
    )
    assert kinds(data_issues.integrity(settings, ["AAPL", "IBM"])) == [(AlertType.PREREQUISITE_VIOLATION, "AAPL")]


def test_an_open_breaker_is_told_until_it_closes(settings: Settings) -> None:
    breaker = CircuitBreaker(
        failure_threshold=2, recovery_timeout=0, store=DatabaseStore(connect_state(settings.state_url))
    )
    for _ in range(2):
        assert broker_issues.breaker_open(settings) == []
        with pytest.raises(ConnectionError), breaker:
            raise ConnectionError
    (found,) = broker_issues.breaker_open(settings)
    assert found.key == (AlertType.API_CIRCUIT_BREAKER_OPEN, "") and "2 times in a row" in found.reason
    with breaker:
        pass
    assert broker_issues.breaker_open(settings) == []


def test_a_broker_that_cannot_be_reached_is_told_until_it_can(settings: Settings) -> None:
    engine = connect_state(settings.state_url)
    assert broker_issues.unreachable(settings) == []
    record_failure(engine, "127.0.0.1:7497", "Nobody listens.")
    (found,) = broker_issues.unreachable(settings)
    assert (
        found.key == (AlertType.BROKER_UNREACHABLE, "")
        and "127.0.0.1:7497" in found.reason
        and "Nobody listens." in found.reason
    )
    record_connected(engine, "127.0.0.1:7497", "paper", 176)
    assert broker_issues.unreachable(settings) == []


def test_delayed_quotes_of_the_newest_chain_are_told_where_live_ones_are_paid_for(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS)
    assert data_issues.delayed(settings, BEFORE_XMAS, ["AAPL"]) == []
    later = {
        "collected_at": BEFORE_XMAS,
        "quoted_at": BEFORE_XMAS,
        "market_data_type": 3,
        "quote_outcome": "rows",
        "selected": True,
    }
    ParquetStore(settings.data_dir).upsert(OPTION_CHAINS, table(OPTION_CHAINS, [chain_row(DAYS[-1]) | later]))
    (found,) = data_issues.delayed(settings, BEFORE_XMAS, ["AAPL"])
    assert (
        found.key == (AlertType.MARKET_DATA_DELAYED, "AAPL")
        and found.reason == "The chain of 2015-12-23 holds 1 delayed quote."
    )
    assert data_issues.delayed(settings.model_copy(update={"market_data": "delayed"}), BEFORE_XMAS, ["AAPL"]) == []


def test_contracts_that_expire_soon_and_lack_bars_are_told_by_symbol(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS)
    store = ParquetStore(settings.data_dir)
    soon = [
        chain_row(day, con_id=1000 + n, strike=100.0 + n, expiry=date(2015, 12, 24)) for n in range(2) for day in DAYS
    ]
    quoted = {
        "selected": True,
        "quote_outcome": "rows",
        "quoted_at": BEFORE_XMAS,
        "market_data_type": 1,
        "last_trade": "20151224",
    }
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, [row | quoted for row in soon]))
    (found,) = data_issues.expiring_at_risk(settings, BEFORE_XMAS)
    assert found.key == (AlertType.EXPIRING_DATA_AT_RISK, "AAPL")
    assert "expires on 2015-12-24" in found.reason and "are missing for" in found.reason
