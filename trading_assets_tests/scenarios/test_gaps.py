"""Gaps are filled within a budget, and what fails backoff: decided by the agenda, done by its runs, counted by the
simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import rmtree

import pytest
from dagster import DagsterEventType
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.automation.jobs import own_checks
from trading_assets.automation.run_dedup import run_request
from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.collecting.backoff import backoff_after
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.common import within_allowance
from trading_assets.instrument import Instrument
from trading_assets.jobs.runner import run_job
from trading_assets.monitoring import agenda
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.data_issues import prerequisites
from trading_assets.monitoring.gaps import find_gaps
from trading_assets.monitoring.skips import Skip
from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract
from trading_assets.state import connect_state
from trading_assets.state.tables import requests
from trading_assets.universe import Universe
from trading_assets.validation import validate
from trading_assets_tests.scenarios.desk import Desk, at, set_up
from trading_assets_tests.scenarios.directly import fill

pytestmark = pytest.mark.slow

NOON = "2025-11-20T12:00-05:00"
"""Thursday: the bars of Tuesday and Wednesday are missing, and contracts expire tomorrow and a week later."""

FRIDAY = "2025-11-21T12:00-05:00"

Run = Callable[[Settings, WantedRun], list[CollectionReport]]
"""Does a run that the agenda wants; the report of each of its assets."""

TWO_EXPIRIES = {"option_chains": {"selection": {"max_days_to_expiry": 15, "strikes_around_spot": 2}}}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """AAPL, set up on Monday and then left alone until Thursday noon."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00")) as simulator:
        desk = set_up(tmp_path, simulator, "AAPL", TWO_EXPIRIES, changes={"enforce_pacing": True})
        desk.move(NOON)
        desk.forget()
        yield desk


def decided(desk: Desk) -> WantedRun | Skip:
    return agenda.gaps(desk.settings, desk.settings.clock())


def filled(desk: Desk, run: Run = fill) -> list[dict[str, int]]:
    """Do what the agenda asks for until it asks for nothing; what each run sent, by dataset."""
    runs = []
    while isinstance(found := decided(desk), WantedRun):
        runs.append({collected.dataset: collected.sent for collected in run(desk.settings, found)})
        assert len(runs) < 50, "it ends"
    return runs


def through_dagster(settings: Settings, wanted: WantedRun) -> list[CollectionReport]:
    """The run as the sensor of the gaps requests it."""
    assert wanted.job == "backfill_bars" and wanted.first is not None and wanted.last is not None
    report = run_job(settings, wanted.job, [wanted.first, wanted.last], wanted.config, steps=wanted.assets)
    assert report.success
    return report.reports


def test_no_run_sends_more_than_the_budget_and_together_they_send_what_one_would(desk: Desk) -> None:
    expected = {gap.dataset: gap.requests for gap in find_gaps(desk.settings)}
    assert expected["option_bars"] > 4
    desk.changes["gap_request_budget"] = 4

    runs = filled(desk, through_dagster)

    assert all(sum(run.values()) == 4 for run in runs[:-1])
    assert {name: sum(run.get(name, 0) for run in runs) for name in expected} == expected
    log = [entry for entry in desk.simulator.counters.log if entry.kind == "historical_data"]
    assert len(log) == sum(expected.values()) == len({entry.subject for entry in log}), "nothing is asked twice"
    expiries = dict(
        desk.rows("select distinct con_id, expiry from option_chains where selected").itertuples(index=False)
    )
    in_order = desk.rows(
        "select con_id from coverage where dataset = 'option_bars' and session = date '2025-11-18' order by request_id"
    )["con_id"]
    assert len(set(expiries.values())) == 2
    assert [expiries[con_id] for con_id in in_order] == sorted(expiries[con_id] for con_id in in_order), (
        "those that expire first come first"
    )


def test_what_is_left_to_a_later_run_is_told_and_is_no_failure(desk: Desk) -> None:
    desk.changes["gap_request_budget"] = 1
    found = decided(desk)
    assert isinstance(found, WantedRun) and found.first is not None and found.last is not None
    assert "more request(s) wait for the next run" in found.why
    assert run_request(found).asset_check_keys == own_checks(found.assets)

    report = desk.job(found.job, [found.first, found.last], found.config, steps=found.assets)

    assert report.success
    problems = {(problem.kind, problem.symbol) for collected in report.reports for problem in collected.problems}
    assert problems == {("deferred", "AAPL")}
    assert sum(collected.sent for collected in report.reports) == 1
    with dagster_instance(desk.settings) as instance:
        evaluated = instance.get_records_for_run(report.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION).records
    checks = {
        record.event_log_entry.asset_check_evaluation.asset_check_key
        for record in evaluated
        if record.event_log_entry.asset_check_evaluation
    }
    assert checks == set(own_checks(found.assets)), "the single rules are not evaluated a second time"


def test_what_fails_rests_twice_as_long_each_time_and_holds_up_nobody(desk: Desk) -> None:
    first, *_ = desk.rows(
        'select local_symbol from option_chains where selected order by expiry, strike, "right" desc'
    )["local_symbol"]
    desk.changes |= {"history_timeout": 0.3, "max_attempts": 1, "gap_request_budget": 2}
    desk.simulator.faults.add(on="historical_data", contract=first, do="hang", times=0)

    filled(desk)

    lacking = desk.rows(
        "select distinct con_id, reason from coverage where dataset = 'option_bars' and condition = 'pending'"
    )
    assert len(lacking) == 1, "all others are filled although the budget was as small"
    (gap,) = find_gaps(desk.settings)
    assert (gap.instruments, gap.sessions) == (1, 2), "it is a gap all the same"
    for hours in (1, 2, 4):
        assert isinstance(decided(desk), Skip)
        pass_time(desk, hours=hours, minutes=-1)
        waits = decided(desk)
        assert isinstance(waits, Skip)
        assert waits.reason.startswith("What is missing failed when it was last asked for")
        pass_time(desk, minutes=1)
        desk.forget()
        filled(desk)
        assert desk.asked() == {"option bars": 1}


def test_what_can_be_had_today_only_is_asked_for_every_hour(desk: Desk) -> None:
    desk.move(FRIDAY)
    first, *_ = desk.rows("select local_symbol from option_chains where selected order by expiry")["local_symbol"]
    desk.changes |= {"history_timeout": 0.3, "max_attempts": 1}
    desk.simulator.faults.add(on="historical_data", contract=first, do="hang", times=0)
    filled(desk)
    for _ in range(3):
        assert isinstance(decided(desk), Skip)
        pass_time(desk, hours=1)
        desk.forget()
        filled(desk)
        assert desk.asked() == {"option bars": 1}


def test_an_old_gap_of_one_dataset_asks_for_nothing_of_the_other(desk: Desk) -> None:
    """The option bars of sessions from before the symbol was set up are not wanted, and no loss."""
    filled(desk)
    desk.job(
        "backfill_bars",
        [date(2025, 6, 2), date(2025, 11, 19)],
        {"equity_bars": {"symbols": ["AAPL"]}},
        steps=["equity_bars"],
    )
    before = desk.conditions("dataset = 'option_bars'")
    reopened = desk.rows("select * from coverage where dataset = 'equity_bars' and session = date '2025-06-10'")
    store = ParquetStore(desk.folder)
    CoverageRepository(store).reopen(reopened.assign(condition="pending", request_id=0))
    found = decided(desk)
    assert isinstance(found, WantedRun)
    assert (found.assets, found.first, found.last) == (("equity_bars",), date(2025, 6, 10), date(2025, 6, 10))
    desk.forget()
    filled(desk)
    assert desk.asked() == {"equity bars": 1}
    assert desk.conditions("dataset = 'option_bars'") == before


def test_a_symbol_whose_data_blocks_does_not_take_the_place_of_others(desk: Desk) -> None:
    assert desk.setup("MSFT").success
    desk.move(FRIDAY)
    desk.changes["gap_request_budget"] = 4
    contract = desk.rows("select * from contracts where symbol = 'AAPL' order by session desc limit 1")
    ParquetStore(desk.folder).upsert(CONTRACTS, contract.assign(currency="EUR"))
    validate(desk.settings)
    desk.forget()
    filled(desk)
    assert {gap.symbol for gap in find_gaps(desk.settings)} == {"AAPL"}
    assert desk.asked()["option bars"] > 0
    waits = decided(desk)
    assert isinstance(waits, Skip)
    assert waits.reason.startswith(
        "Missing option bars of AAPL wait. AAPL: contracts violates known_exchange_and_currency"
    )


def test_equity_bars_come_before_the_options_that_need_them(desk: Desk) -> None:
    rmtree(desk.folder / "equity_bars")
    reopened = desk.rows("select * from coverage where dataset = 'equity_bars'")
    CoverageRepository(ParquetStore(desk.folder)).reopen(reopened.assign(condition="pending", request_id=0))
    desk.changes["gap_request_budget"] = 1
    found = decided(desk)
    assert isinstance(found, WantedRun)
    assert found.assets == ("equity_bars",), (
        "although contracts expire tomorrow: without them nothing is asked for options"
    )
    desk.changes["gap_request_budget"] = 4
    filled(desk)
    assert find_gaps(desk.settings) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40), st.integers(0, 30))
def test_the_windows_of_a_session_are_never_parted(given_windows: list[tuple[int, bool]], most: int) -> None:
    windows = [window(session, small) for session, small in sorted(given_windows)]
    report = CollectionReport("equity_bars", date(2025, 11, 20))
    asked: list[Request] = []

    def ask(requests: Sequence[Request]) -> list[Result]:
        asked.extend(requests)
        return []

    within_allowance(ask, report, most)(windows)
    assert asked == windows[: len(asked)]
    assert report.deferred == len(windows) - len(asked)
    later = windows[len(asked) :]
    if asked and later:
        assert not (later[0].duration.endswith(" S") and asked[-1] == later[0])
    if len(asked) > most:
        assert len(set(asked)) == 1, "one session of seconds is asked for whole where the budget is smaller"


def window(session: int, small: bool) -> BarsRequest:
    """A request of one session of AAPL: a window of seconds, or daily bars."""
    end = at("2025-11-20T16:00-05:00")
    day = date(2025, 11, 3) + timedelta(days=session)
    size, duration = ("1 secs", "1800 S") if small else ("1 day", "1 D")
    return BarsRequest(
        Instrument("AAPL", "STK", "SMART", "USD"),
        session=day,
        bar_size=size,
        first_session=day,
        end=end,
        duration=duration,
    )


def test_a_person_is_answered_at_once(desk: Desk) -> None:
    first, *_ = desk.rows("select local_symbol from option_chains where selected")["local_symbol"]
    desk.changes |= {"history_timeout": 0.3, "max_attempts": 1}
    desk.simulator.faults.add(on="historical_data", contract=first, do="hang", times=1)
    filled(desk)
    assert isinstance(decided(desk), Skip)
    desk.forget()
    desk.job("backfill_bars", [date(2025, 11, 18), date(2025, 11, 19)], {})
    assert desk.asked() == {"option bars": 1}
    assert find_gaps(desk.settings) == []


@given(st.integers(0, 500))
def test_a_rest_grows_up_to_a_day(failures: int) -> None:
    assert timedelta(hours=1) <= backoff_after(failures) <= backoff_after(failures + 1) <= timedelta(days=1)


def pass_time(desk: Desk, *, hours: int = 0, minutes: int = 0) -> None:
    """Let the journal's answers be so much older: rests are measured by its clock."""
    seconds = timedelta(hours=hours, minutes=minutes).total_seconds()
    with connect_state(desk.settings.state_url).begin() as connection:
        connection.execute(requests.update().values(finished_at=requests.c.finished_at - seconds))


class Pesos(GeneratedMarket):
    """A market whose stocks trade in another currency, whatever was asked for."""

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        return [replace(contract, currency="MXN") for contract in super().contracts(query, now)]


def test_an_answer_that_does_not_fit_is_a_refusal(tmp_path: Path) -> None:
    """Nothing was learnt that could be stored: it is no `complete`, and is not requested again every hour."""
    with Simulator(Pesos(seed=42), now=at(NOON)) as simulator:
        desk = Desk(tmp_path, simulator, TWO_EXPIRIES, {"enforce_pacing": True})
        Universe(desk.settings.state_url).add(["AAPL"], now=desk.settings.clock())
        assert isinstance(agenda.new_symbols(desk.settings, desk.settings.clock()), WantedRun)
        assert not desk.setup("AAPL").success
        assert desk.conditions("dataset = 'contracts'") == {"error": 1}, "the answer is in quarantine"
        assert isinstance(agenda.new_symbols(desk.settings, desk.settings.clock()), Skip)
        (told,) = prerequisites(desk.settings, ["AAPL"])
        assert "MXN" in told.reason
        assert "is not USD" in told.reason
