"""Findings and reviews on each kind of state database: replaced within their scope, held once, decided once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.settings import Settings
from trading_assets.validation import Findings, Reviews, Scope, Verdict, validate
from trading_assets.validation.findings import Finding
from trading_assets.validation.rule import Rule, Severity
from trading_assets_tests.validation.worlds import BAR_SESSIONS, NOW, world, write

BAD = BAR_SESSIONS[-1]


@pytest.fixture
def settings(tmp_path: Path, state_url: str) -> Settings:
    """A lake whose newest daily bar of AAPL is a bad print that cannot be true either."""
    rows = world()
    for row in rows["equity_bars"]:
        if (row["symbol"], row["session"], row["bar_size"]) == ("AAPL", BAD, "1 day"):
            row.update(high=200.0, close=210.0)
    write(tmp_path, rows)
    return Settings(data_dir=tmp_path, now=NOW, database_url=state_url)


def test_findings_are_replaced_within_the_scope_that_was_validated(settings: Settings) -> None:
    scope = Scope(("AAPL", "IBM"))
    for _ in range(2):
        assert validate(settings, scope).result("prices_consistent").symbols == ("AAPL",)
    book = Findings(settings.state_url)
    (found,) = [finding for finding in book.current(severity="error") if finding.rule == "prices_consistent"]
    assert (found.symbol, found.session, found.failed, found.found_at, found.example["close"]) == (
        "AAPL",
        BAD,
        1,
        NOW,
        210.0,
    )
    assert book.runs()["prices_consistent"].failed == 1

    validate(settings, Scope(("IBM",)))
    validate(settings, Scope(("AAPL", "IBM"), last=date(2015, 12, 1)))
    assert found in book.current(), "neither looked at that bar"
    assert not [finding for finding in book.current(symbols=["IBM"]) if finding.severity == "error"]


def test_a_held_bar_is_decided_once(settings: Settings) -> None:
    validate(settings, Scope(("AAPL",)))
    reviews = Reviews(settings)
    (held,) = reviews.held()
    assert (held.symbol, held.session, held.close) == ("AAPL", BAD, 210.0)
    (decided,) = reviews.reject("AAPL", BAD)
    assert (decided.verdict, decided.decided_at) == (Verdict.REJECTED, NOW)
    assert reviews.held() == [] and len(reviews.held(None)) == 1


def test_names_of_any_length_are_kept_also_by_a_database_of_an_earlier_version(state_url: str) -> None:
    """Users name their rules, the broker its symbols."""
    limits = {"rule": 64, "symbol": 32, "session": 10, "dataset": 32, "severity": 8, "found_at": 40}
    columns = ", ".join(f"{name} VARCHAR({length}) NOT NULL" for name, length in limits.items())
    earlier = sa.create_engine(state_url)
    with earlier.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE findings ({columns}, failed INTEGER NOT NULL, example TEXT NOT NULL,"
            " PRIMARY KEY (rule, symbol, session))"
        )
        stored = f"'kept', 'IBM', '2015-12-01', 'equity_bars', 'warn', '{NOW.isoformat()}', 1, '{{}}'"
        connection.exec_driver_sql(f"INSERT INTO findings VALUES ({stored})")
    earlier.dispose()
    rule = Rule("n" * 200, "equity_bars", Severity.WARN, "why", "remedy", "true")
    found = Finding(rule.name, "equity_bars", Severity.WARN, "S" * 100, BAD, 1, {}, NOW)
    book = Findings(state_url)
    book.replace([(rule, 1, 1)], [found], symbols=None, first=None, last=None, now=NOW)
    assert [(each.rule, each.symbol) for each in book.current()] == [("kept", "IBM"), (rule.name, found.symbol)]
    assert book.runs()[rule.name].failed == 1
