"""The live lines of a collection: figures by a clock of the test's own, and a real collection in a terminal."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime

import pytest
from rich.console import Console

from trading_assets.broker.ledger import MARKET_DATA_SLOTS
from trading_assets.broker.pacing import IN_USE_ELSEWHERE, SMALL_BARS
from trading_assets.cli import progress
from trading_assets.cli.app import run
from trading_assets.cli.progress import LiveProgress, duration
from trading_assets.collecting.report import CollectionReport
from trading_assets_tests.cli.conftest import SMALL, Desk

UNTIL = datetime(2024, 6, 3, 20, 31, 5, tzinfo=UTC)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 60 columns in the place of standard error."""
    written = io.StringIO()
    monkeypatch.setattr(progress, "stderr", Console(file=written, force_terminal=True, width=60, highlight=False))
    return written


def test_a_line_says_rate_time_left_and_pacing(terminal: io.StringIO) -> None:
    clock = itertools.count(0.0, 10.0)
    with LiveProgress(clock=lambda: next(clock)) as shown:
        shown.begin("equity_bars", 100)
        assert shown.lines == ["equity_bars 0 of 100 requests"]
        shown.advance(30, 100, 0, 30)
        assert shown.lines == ["equity_bars 30 of 100 requests"], "the journal's answers say nothing about the broker"
        shown.advance(80, 100, 50, 30)
        assert shown.lines == ["equity_bars 80 of 100 requests, 2/s, 8 s left"]
        shown.waiting(SMALL_BARS, UNTIL)
        assert shown.lines == [f"equity_bars 80 of 100 requests, waiting {SMALL_BARS} until 16:31:05 New York"]
        shown.waiting(IN_USE_ELSEWHERE[MARKET_DATA_SLOTS], None)
        assert shown.lines == [
            "equity_bars 80 of 100 requests, waiting for market-data lines, all of which other processes use"
        ]
        shown.advance(81, 100, 51, 30)
        assert "waiting" not in shown.lines[0]
        shown.begin("equity_bars", 20)
        assert shown.lines[0].startswith("equity_bars 100 of 120 requests"), "a second stage goes on in the same line"
        shown.finish(CollectionReport("equity_bars", ["AAPL"]))
        shown.begin("option_bars", 3)
        assert shown.lines == ["equity_bars 0 rows, 0 requests sent", "option_bars 0 of 3 requests"]


def test_a_slow_rate_is_one_a_minute(terminal: io.StringIO) -> None:
    clock = itertools.count(0.0, 30.0)
    with LiveProgress(clock=lambda: next(clock)) as shown:
        shown.begin("equity_bars", 41)
        shown.advance(1, 41, 1, 0)
        assert shown.lines == ["equity_bars 1 of 41 requests, 2.0/min, 20 min left"]


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (150, "2 min"), (4800, "1 h 20 min")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.slow
def test_a_collection_shows_a_line_for_each_asset(empty_desk: Desk, terminal: io.StringIO) -> None:
    assert run(["setup", "AAPL", *SMALL]) == 0
    drawn = terminal.getvalue()
    for name in ("contracts", "option_chains", "equity_bars", "option_bars"):
        assert f"{name}" in drawn
    assert " requests" in drawn and "requests sent" in drawn
