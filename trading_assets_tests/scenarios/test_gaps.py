"""Gaps are filled within a budget, and what fails rests: decided by the agenda, done by its runs, counted by the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.broker.state import connect_state
from trading_assets.broker.tables import requests
from trading_assets.collecting.resting import rest_after
from trading_assets.monitoring import agenda
from trading_assets.monitoring.agenda import Ask, Wait
from trading_assets.monitoring.gaps import find_gaps
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

NOON = "2025-11-21T12:00-05:00"
"""Friday: the bars of Tuesday to Thursday are missing, and contracts expire today."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """AAPL, set up on Monday and then left alone until Friday noon."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00")) as simulator:
        desk = Desk(tmp_path, simulator, SMALL, {"enforce_pacing": False})
        assert desk.setup("AAPL").success
        desk.move(NOON)
        desk.forget()
        yield desk


def decided(desk: Desk) -> Ask | Wait:
    return agenda.gaps(desk.settings, desk.settings.clock())


def filled(desk: Desk) -> list[dict[str, int]]:
    """Do what the agenda asks for until it asks for nothing; what each run sent, by dataset."""
    runs = []
    while isinstance(found := decided(desk), Ask):
        assert found.first is not None and found.last is not None
        report = desk.job(found.job, [found.first, found.last], found.config)
        assert report.success
        runs.append({collected.dataset: collected.sent for collected in report.reports})
        assert len(runs) < 50, "it ends"
    return runs


def test_no_run_sends_more_than_the_budget_and_together_they_send_what_one_would(desk: Desk) -> None:
    expected = {gap.dataset: gap.requests for gap in find_gaps(desk.settings)}
    assert expected["option_bars"] > 4
    desk.changes["gap_request_budget"] = 4

    runs = filled(desk)

    assert all(sum(run.values()) == 4 for run in runs[:-1])
    assert {name: sum(run.get(name, 0) for run in runs) for name in expected} == expected
    log = [entry for entry in desk.simulator.counters.log if entry.kind == "historical_data"]
    assert len(log) == sum(expected.values()) == len({entry.subject for entry in log}), "nothing is asked twice"
    expiries = dict(desk.rows("select distinct con_id, expiry from option_chains where selected").itertuples(index=False))
    in_order = desk.rows("select con_id from coverage where dataset = 'option_bars' and session = date '2025-11-18' order by request_id")["con_id"]
    assert [expiries[con_id] for con_id in in_order] == sorted(expiries[con_id] for con_id in in_order), "those that expire first come first"


def test_what_is_left_to_a_later_run_is_told_and_is_no_failure(desk: Desk) -> None:
    desk.changes["gap_request_budget"] = 1
    found = decided(desk)
    assert isinstance(found, Ask) and found.first is not None and found.last is not None
    assert "more request(s) wait for the next run" in found.why

    report = desk.job(found.job, [found.first, found.last], found.config)

    assert report.success
    problems = {(problem.kind, problem.symbol) for collected in report.reports for problem in collected.problems}
    assert problems == {("deferred", "AAPL")}
    assert sum(collected.sent for collected in report.reports) == 1


def test_what_fails_rests_twice_as_long_each_time_and_holds_up_nobody(desk: Desk) -> None:
    (first, *_) = desk.rows('select local_symbol from option_chains where selected order by expiry, strike, "right" desc')["local_symbol"]
    desk.changes |= {"history_timeout": 0.3, "max_attempts": 1, "gap_request_budget": 2}
    desk.simulator.faults.add(on="historical_data", contract=first, do="hang", times=0)

    filled(desk)

    lacking = desk.rows("select distinct con_id, reason from coverage where dataset = 'option_bars' and condition = 'pending'")
    assert len(lacking) == 1, "all others are filled although the budget was as small"
    (gap,) = find_gaps(desk.settings)
    assert (gap.instruments, gap.sessions) == (1, 3), "it is a gap all the same"
    for hours in (1, 2, 4):
        assert isinstance(decided(desk), Wait)
        pass_time(desk, hours=hours, minutes=-1)
        waits = decided(desk)
        assert isinstance(waits, Wait)
        assert waits.reason.startswith("What is missing failed when it was last asked for")
        pass_time(desk, minutes=1)
        desk.forget()
        filled(desk)
        assert desk.asked() == {"option bars": 1}


def test_a_person_is_answered_at_once(desk: Desk) -> None:
    (first, *_) = desk.rows("select local_symbol from option_chains where selected")["local_symbol"]
    desk.changes |= {"history_timeout": 0.3, "max_attempts": 1}
    desk.simulator.faults.add(on="historical_data", contract=first, do="hang", times=1)
    filled(desk)
    assert isinstance(decided(desk), Wait)
    desk.forget()
    desk.job("backfill_bars", [date(2025, 11, 18), date(2025, 11, 20)], {})
    assert desk.asked() == {"option bars": 1}
    assert find_gaps(desk.settings) == []


@given(st.integers(0, 500))
def test_a_rest_grows_up_to_a_day(failures: int) -> None:
    assert timedelta(hours=1) <= rest_after(failures) <= rest_after(failures + 1) <= timedelta(days=1)


def pass_time(desk: Desk, *, hours: int = 0, minutes: int = 0) -> None:
    """Let the journal's answers be so much older: rests are measured by its clock."""
    seconds = timedelta(hours=hours, minutes=minutes).total_seconds()
    with connect_state(desk.settings.state_url).begin() as connection:
        connection.execute(requests.update().values(finished_at=requests.c.finished_at - seconds))
