"""Findings and reviews on each kind of state database: replaced within their scope, held once, decided once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets.validation import Findings, Reviews, Scope, Verdict, validate
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
