"""Restatements that come late, are small, lie far back or concern one bar size only: seen over the wire, session by
session, with the requests of a day without any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.quarantine import Quarantine
from trading_assets.collecting.accepted_units import accept_units
from trading_assets.collecting.archive import Archive
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.corporate_actions import ActionKind, MarketWithActions, MarketWithAdjustedOptions
from trading_assets.simulator.market import Bar, ListedContract
from trading_assets.validation import RULES, validate
from trading_assets_tests.collecting.steps.test_basis import ACTION, REVERSE, SPLIT, Desk, act, jumps
from trading_assets_tests.rewriting import collect

pytestmark = pytest.mark.slow

EARLIER = datetime.fromisoformat("2024-06-05T20:00-04:00")
"""Before the action: the broker has restated nothing."""

NAMED = "select bar_size, session, condition, reason from coverage where reason like 'Prices were restated%' order by 2"


class Uneven(MarketWithActions):
    """Hours of `ONE` are never restated; after the action, volumes of `LOTS` before 5 June and all of
    `MINS` are in lots."""

    def bars(self, contract: ListedContract, bar_size: str, *rest: Any) -> list[Bar]:
        found = super().bars(contract, bar_size, *rest)
        if contract.symbol == "ONE" and bar_size == "1 hour":
            before = [bar for bar in super().bars(contract, bar_size, *rest[:-1], EARLIER) if bar.session < ACTION]
            return [*before, *(bar for bar in found if bar.session >= ACTION)]
        if contract.symbol in ("LOTS", "MINS") and rest[-1] > EARLIER:
            old = date(2024, 6, 5) if contract.symbol == "LOTS" else date.max
            return [replace(bar, volume=bar.volume // 100) if bar.session < old else bar for bar in found]
        return found


ACTIONS = [
    act("SMALL", ActionKind.STOCK_DIVIDEND, 1 / 1.03, lag=8),
    act("DEEP", SPLIT, 0.25, left_out=12),
    act("ONE", SPLIT, 0.25),
    act("LOTS", SPLIT, 0.25),
    act("MINS", SPLIT, 0.25),
]
DAYS = calendar().sessions(ACTION, date(2024, 6, 24))


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(Uneven(ACTIONS), now=datetime.fromisoformat("2024-06-05T16:30-04:00"), limits=False) as simulator:
        yield simulator


def started(simulator: Simulator, folder: Path, *symbols: str, **how: Any) -> Desk:
    desk = Desk(folder, ACTIONS, "2024-06-05T16:30-04:00", simulator)
    desk.move(date(2024, 6, 5))
    desk.collect(*symbols, steps="ce", lookback_days=60, **how)
    return desk


def anew(desk: Desk, folder: Path, symbol: str, **how: Any) -> list[Any]:
    """What one collection now makes of the broker's answers."""
    other = Desk(folder, ACTIONS, "2024-06-05T16:30-04:00", desk.simulator)
    other.collect(symbol, steps="ce", lookback_days=90, **how)
    first = desk.bars()[0][2]
    return [bar for bar in other.bars() if bar[2] >= first]


@pytest.mark.parametrize("symbol", ["SMALL", "DEEP"])
@pytest.mark.parametrize(
    ("sizes", "noticed"),
    [(("1 day", "1 hour"), {"SMALL": "18", "DEEP": "06"}), (("1 hour",), {"SMALL": "24", "DEEP": "10"})],
    ids=["daily bars", "hours alone"],
)
def test_a_restatement_that_is_small_and_late_or_far_back_is_noticed_without_a_request(
    simulator: Simulator, tmp_path: Path, symbol: str, sizes: tuple[str, ...], noticed: dict[str, str]
) -> None:
    """Daily bars are noticed on the day they are restated; hours alone with the first request of the next week."""
    desk, said, asked = started(simulator, tmp_path / "lake", symbol, bar_sizes=sizes), {}, {}
    for day in DAYS if symbol == "SMALL" else DAYS[:4]:
        desk.move(day)
        report = desk.collect(symbol, lookback_days=0, bar_sizes=sizes)
        asked[f"{day:%d}"] = desk.asked()
        if any("restated by" in note for note in report.notes):
            said[f"{day:%d}"] = len(report.notes)
    day = noticed[symbol]
    assert list(said) == [day]
    assert {count for when, count in asked.items() if when != day} == {len(sizes)}, "as on any day"
    assert desk.bars() == anew(desk, tmp_path / "anew", symbol, bar_sizes=sizes)


def test_a_bar_size_that_the_broker_never_restates_is_named_and_asked_for_ever_less_often(
    simulator: Simulator, tmp_path: Path
) -> None:
    desk = started(simulator, tmp_path, "ONE")
    hours = desk.rows("select distinct session from equity_bars where bar_size = '1 hour' order by session")
    asked = {}
    for day in DAYS[:8]:
        desk.move(day)
        desk.collect("ONE", lookback_days=0)
        asked[f"{day:%d}"] = desk.asked()
        named = desk.rows(NAMED)
        assert [(row["bar_size"], row["session"]) for row in named] == [("1 hour", row["session"]) for row in hours]
        assert {row["condition"] for row in named} == {"error"}
        assert "answers these bars as before" in named[0]["reason"]
    assert jumps(desk, "ONE")["1 day"] == []
    assert [asked[day] for day in ("06", "07", "10", "11", "12", "13", "14", "17")] == [4, 3, 2, 2, 2, 2, 2, 2], asked
    rule = [rule for rule in RULES if rule.name == "one_basis"]
    (result,) = validate(desk.settings, rules=rule, record=False).results
    assert result.failed == len(hours)


def test_a_history_in_another_unit_is_held_together_with_what_it_was_read_for(
    simulator: Simulator, tmp_path: Path
) -> None:
    desk = started(simulator, tmp_path, "LOTS", bar_sizes=("1 hour",))
    before = desk.bars()
    desk.move(ACTION)
    report = desk.collect("LOTS", lookback_days=0, bar_sizes=("1 hour",))
    assert [problem.outcome for problem in report.problems] == ["held_for_review"]
    assert desk.bars() == before
    held = [entry for entry in Quarantine(desk.settings.state_url).entries() if entry.held is not None]
    assert [ACTION in entry.sessions for entry in held] == [True], "the history waits, with the new session"
    named = desk.rows(NAMED)
    assert len({row["session"] for row in named}) == len({bar[3] for bar in before})
    assert all("held for review" in row["reason"] for row in named)


def test_the_session_beside_a_jump_shows_another_unit_of_the_new_ones(simulator: Simulator, tmp_path: Path) -> None:
    """A month of minutes is a full answer, and alone says nothing of its unit."""
    desk = Desk(tmp_path, ACTIONS, "2024-06-05T16:30-04:00", simulator)
    desk.move(date(2024, 6, 5))
    desk.collect("MINS", steps="ce", bar_sizes=("1 min",), lookback_days=0)
    before = desk.bars()
    desk.move(date(2024, 7, 9))
    report = desk.collect("MINS", bar_sizes=("1 min",), lookback_days=33)
    assert [problem.outcome for problem in report.problems] == ["held_for_review"]
    assert desk.bars() == before


def reverse(market: type[MarketWithActions], folder: Path, steps: str) -> Iterator[tuple[Desk, Any]]:
    """The day after a reverse split of 1:100 whose volumes the broker leaves as they were."""
    actions = [act("ABC", REVERSE, 100.0, restates_volume=False), act("ABC", SPLIT, 0.01, date(2020, 1, 2))]
    with Simulator(market(actions), now=datetime.fromisoformat("2024-06-05T15:50-04:00"), limits=False) as simulator:
        desk = Desk(folder, [], "2024-06-05T15:50-04:00", simulator)
        for day in (date(2024, 6, 5), ACTION):
            report = None
            if "h" in steps:
                desk.move(day, 15)
                desk.port = simulator.port
                collect(desk.settings, ["ABC"], "ch", rules={"max_days_to_expiry": 16, "strikes_around_spot": 1})
            desk.move(day)
            report = desk.collect("ABC", steps="ce" if day < ACTION else "e", lookback_days=30 if day < ACTION else 0)
        yield desk, report


def test_a_reverse_split_of_1_to_100_is_held_and_its_history_is_not_held_again(tmp_path: Path) -> None:
    for desk, report in reverse(MarketWithActions, tmp_path, "ce"):
        sentences = [problem.sentence for problem in report.problems if problem.outcome == "held_for_review"]
        assert len(sentences) == 2
        assert "its prices seem to be in cents, or a split of 1:100 left its volumes as they were" in sentences[0]
        assert "accept ABC` converts it" in sentences[0]
        assert "with --as-is it is taken for a split" in sentences[0]
        with Archive(desk.settings) as archive:
            accept_units(archive, ["ABC"], unit="as_is")
        report = desk.collect("ABC", lookback_days=0)
        assert (report.problems, jumps(desk, "ABC")) == ([], {"1 day": [], "1 hour": []})
        desk.move(date(2024, 6, 7))
        assert desk.collect("ABC", lookback_days=0).problems == []


def test_the_strikes_of_its_options_tell_such_a_split_from_prices_in_cents(tmp_path: Path) -> None:
    for desk, report in reverse(MarketWithAdjustedOptions, tmp_path, "che"):
        assert report.problems == []
        assert jumps(desk, "ABC") == {"1 day": [], "1 hour": []}
        assert any("restated by 100" in note for note in report.notes)
