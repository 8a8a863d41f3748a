"""Ten sessions of an archive that nobody looks after: daemon, sensors and schedules run for real, the clock is moved.

2025-11-18 (Tue) to 2025-12-02 (Tue): an expiry Friday and a weekend, Thanksgiving, the half day after it; a `kill -9`
in the middle of a run, a nightly reset in another, a day without a broker, a contract that is delisted, a file that is
lost. At the end each hole has its true reason, every request was needed, and each issue was told once when it came
and once when it went.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from dagster import AssetKey, DagsterRunStatus

from trading_assets.automation.run_dedup import KEY_TAG
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.monitoring.alerts.receivers import Webhook
from trading_assets_tests.observing import eventually
from trading_assets_tests.world.world import World, at_new_york, world

SETTINGS = {
    "selection": {"max_days_to_expiry": 8, "strikes_around_spot": 2},
    "setup_lookback_days": 14,
    "reconnect_timeout": 1.0,
    "connect_timeout": 5.0,
    "maintenance_channels": ["log"],
}
SESSIONS = calendar().sessions(date(2025, 11, 18), date(2025, 12, 2))
OUTAGE = date(2025, 11, 25)
TOLD = ("run_failed", "broker_unreachable", "schedule_missed")


@pytest.fixture
def desk() -> Iterator[Webhook]:
    with Webhook().running() as webhook:
        yield webhook


@pytest.fixture
def week(tmp_path: Path, desk: Webhook) -> Iterator[World]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "2025-11-18T15:31"
    channels = {"desk": desk.url}
    with (
        Simulator(GeneratedMarket(seed=42), now=at_new_york(start), port=port) as simulator,
        world(tmp_path, simulator, start, **SETTINGS, alert_channels=channels) as found,
    ):
        yield found


def collected(week: World, session: date, *datasets: str) -> None:
    """Wait until the session is in the coverage of the datasets and no run is at work."""
    wanted = {f"{name}" for name in datasets}

    def look() -> bool:
        rows = week.rows(
            f"select distinct dataset from coverage where session = date '{session}' and condition in ('complete',"
            " 'no_trades')"
        )
        return wanted <= set(rows["dataset"]) and not week.unfinished()

    week.until(look, f"{sorted(wanted)} of {session}", impatient=True)


def snapshot(week: World, session: date, at: str = "15:46") -> None:
    week.move(f"{session}T{at}")
    collected(week, session, "contracts", "option_chains")


def bars(week: World, session: date, at: str = "16:35") -> None:
    week.move(f"{session}T{at}")
    collected(week, session, "equity_bars", "option_bars")


def given_up(week: World, job: str) -> None:
    """Wait until a run of the job and its two repetitions have failed and nothing is at work."""

    def look() -> bool:
        failed = [record for record in week.runs(job=job) if record.dagster_run.status is DagsterRunStatus.FAILURE]
        return len(failed) >= 3 and not week.unfinished()

    week.until(look, f"three failed runs of {job}", impatient=True)


@pytest.mark.world
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_week_in_the_life(week: World, desk: Webhook) -> None:
    simulator = week.simulator
    for kind in TOLD:
        week.command("alerts", "rules", "add", kind, "desk")
    week.command("universe", "add", "AAPL")
    week.start()

    # Tuesday: a symbol joined the universe and is set up by itself; its snapshot is fresh, so that the schedule repeats
    # nothing.
    (setup,) = week.ended("new_symbols")
    week.switch("quality_check", on=False)  # every hour it would check ten days over; it is on again at the end
    for maintenance in ("weekly_maintenance", "monthly_maintenance"):
        week.switch(maintenance, on=False)  # the first weekend has one
    assert setup.dagster_run.status is DagsterRunStatus.SUCCESS
    asked = Counter(simulator.counters.requests)
    week.move("2025-11-18T15:46")
    assert "quoted after 14:45 New York" in week.skipped("daily_snapshot", "is complete")
    assert Counter(simulator.counters.requests) == asked
    bars(week, SESSIONS[0])

    # Wednesday: the machine dies in the middle of the snapshot.
    simulator.faults.add(on="market_data", nth=4, do="hang")
    before = simulator.counters.requests["market_data"]
    week.move("2025-11-19T15:46")
    week.until(lambda: simulator.counters.requests["market_data"] >= before + 4, "the fourth quote")
    week.kill()
    killed_at = week.now.timestamp()
    before = simulator.counters.requests["market_data"]
    week.start()
    collected(week, SESSIONS[1], "option_chains")
    # Read afterwards: the dying process may still have been committing an answer.
    of_wednesday = (
        f"from requests where kind = 'quote' and session = '{SESSIONS[1]}' and outcome in ('complete', 'empty')"
    )
    ((all_of_it,),) = week.journal(f"select count(*) {of_wednesday}")
    ((answered,),) = week.journal(f"select count(*) {of_wednesday} and finished_at < {killed_at}")
    assert answered
    again = simulator.counters.requests["market_data"] - before
    assert again == all_of_it - answered, "what was answered before the end is not requested again"
    assert week.places_taken() == 0
    bars(week, SESSIONS[1])

    # Thursday: the nightly reset comes while bars are collected.
    snapshot(week, SESSIONS[2])
    simulator.faults.add(on="historical_data", nth=3, do="nightly_reset", seconds=2)
    bars(week, SESSIONS[2])
    assert simulator.counters.faults["nightly_reset"] == 1

    # Friday: contracts expire. Nothing of theirs is missing, and the last look before the close says so.
    # Two daemons by mistake: each run is started once all the same.
    assert SESSIONS[3].weekday() == 4
    second = week.start()
    week.move("2025-11-21T15:01")
    assert "AAPL expire in session 2025-11-21; nothing of theirs is missing" in week.skipped("last_chance", "expire")
    snapshot(week, SESSIONS[3])
    bars(week, SESSIONS[3])
    week.stop(second)
    keys = Counter(
        record.dagster_run.tags[KEY_TAG] for record in week.runs() if "2025-11-21" in record.dagster_run.tags[KEY_TAG]
    )
    assert keys["daily_bars 2025-11-21"] == 1
    assert set(keys.values()) == {1}

    # The weekend: the maintenance is made, and nothing else is started.
    runs = {record.dagster_run.run_id for record in week.runs()}
    week.switch("weekly_maintenance", on=True)
    week.move("2025-11-22T12:01")
    (maintained,) = week.ended("weekly_maintenance 2025-W47")
    week.switch("weekly_maintenance", on=False)
    assert maintained.dagster_run.status is DagsterRunStatus.SUCCESS
    runs.add(maintained.dagster_run.run_id)
    assert "The exchange is closed on Saturday 2025-11-22." in week.skipped("last_chance", "closed")
    eventually(lambda: not week.unfinished())
    started = {r.dagster_run.run_id for r in week.runs() if KEY_TAG in r.dagster_run.tags}
    assert started <= runs, "its own steps apart"

    # Monday: the chain is stale at the open, and is quoted again shortly before the close.
    week.move("2025-11-24T09:35")
    (refresh,) = week.ended("stale_chains 2025-11-24")
    assert refresh.dagster_run.status is DagsterRunStatus.SUCCESS
    week.move("2025-11-24T15:46")
    (requote,) = week.ended("daily_snapshot 2025-11-24")
    assert requote.dagster_run.status is DagsterRunStatus.SUCCESS
    bars(week, SESSIONS[4])

    # Tuesday: no broker all day.
    assert SESSIONS[5] == OUTAGE
    simulator.stop()
    week.move("2025-11-25T17:05")  # the bars have waited half an hour for the chain
    given_up(week, "snapshot")
    given_up(week, "backfill_bars")
    week.until(
        lambda: (
            {"broker_unreachable", "run_failed"} <= {alert["alert_type"] for alert in week.command("alerts", "--json")}
        ),
        "its alerts",
    )

    # Wednesday: it is back. Bars of the day before are available, its chain is not.
    simulator.start()
    week.move("2025-11-26T09:35")
    collected(week, SESSIONS[6], "option_chains")
    week.move("2025-11-26T15:46")
    week.ended("daily_snapshot 2025-11-26")
    bars(week, SESSIONS[6])
    collected(week, OUTAGE, "equity_bars", "option_bars")

    # Thursday: Thanksgiving.
    week.move("2025-11-27T15:46")
    assert "The exchange is closed on Thursday 2025-11-27." in week.skipped("last_chance", "closed")

    # Friday: a half day.
    assert calendar().is_half_day(SESSIONS[7])
    week.move("2025-11-28T12:40")
    snapshot(week, SESSIONS[7], "12:46")
    bars(week, SESSIONS[7], "13:35")

    # Monday: the broker no longer knows one of the contracts.
    snapshot(week, SESSIONS[8])
    chosen = week.rows(
        f"select local_symbol, con_id from option_chains where session = date '{SESSIONS[8]}' and selected order by"
        " expiry desc, con_id"
    )
    delisted, con_id = str(chosen["local_symbol"][0]), int(chosen["con_id"][0])
    simulator.faults.add(on="historical_data", contract=delisted, do="no_security", times=0)
    bars(week, SESSIONS[8])

    # Tuesday, the last: the gap that the refusal left is asked for once more, before the bars of the day; then a quiet
    # evening.
    snapshot(week, SESSIONS[9])
    week.until(lambda: len(refusals(week, con_id)) == 2, "the confirmation of the refusal", impatient=True)
    bars(week, SESSIONS[9])
    asked = Counter(simulator.counters.requests)
    week.switch("quality_check", on=True)
    week.move("2025-12-02T20:05")
    week.ended("quality_check 2025-12-03T01")
    assert Counter(simulator.counters.requests) == asked, "nothing is left to ask for"

    # A file is lost: its bars are requested again by themselves, and nothing else.
    runs = {record.dagster_run.run_id for record in week.runs("gaps")}
    rmtree(week.settings.data_dir / "equity_bars")
    week.until(lambda: len(week.runs("gaps")) > len(runs), "a run for the gap", impatient=True)
    (filled,) = [
        record.dagster_run for record in week.ended("gaps", len(runs) + 1) if record.dagster_run.run_id not in runs
    ]
    assert filled.status is DagsterRunStatus.SUCCESS
    assert filled.asset_selection == {AssetKey("equity_bars")}
    assert Counter(simulator.counters.requests)["historical_data"] == asked["historical_data"] + 1

    told_at_the_end(week, con_id)
    every_request_was_needed(week, con_id)
    every_alert_came_and_went(week, desk)


def told_at_the_end(week: World, delisted: int) -> None:
    rows = week.command(
        "coverage", "AAPL", "--by-session", "--from", f"{SESSIONS[0]}", "--to", f"{SESSIONS[-1]}", "--json"
    )
    by_dataset: dict[str, dict[str, Any]] = {}
    for row in rows:
        assert row["session"] not in by_dataset.setdefault(row["dataset"], {}), "one condition a session"
        by_dataset[row["dataset"]][row["session"]] = row
    for dataset, found in by_dataset.items():
        assert sorted(found) == [f"{session}" for session in SESSIONS], dataset
    chains = {session: row["condition"] for session, row in by_dataset["option_chains"].items()}
    assert chains.pop(f"{OUTAGE}") == "expired_lost"
    assert "No snapshot" in by_dataset["option_chains"][f"{OUTAGE}"]["reason"]
    assert set(chains.values()) == {"complete"}
    assert {row["condition"] for row in by_dataset["equity_bars"].values()} == {"complete"}
    lacking = week.rows(
        "select con_id, session, condition, reason, broker_code from coverage where condition not in ('complete',"
        " 'no_trades')"
    )
    lacking = lacking[lacking["con_id"] != 0]
    assert set(lacking["con_id"]) == {delisted}
    assert set(lacking["condition"]) == {"no_contract"}
    assert set(lacking["broker_code"]) == {200}


def every_request_was_needed(week: World, delisted: int) -> None:
    """No question that was answered was asked again, but for the quotes that the schedule takes anew; the limits were
    kept."""
    assert not week.simulator.counters.violations
    assert not week.simulator.counters.internal_errors
    again = week.journal(
        "select distinct kind, session from requests where outcome in ('complete', 'empty') group by key having"
        " count(*) > 1"
    )
    assert set(again) <= {("quote", "2025-11-24"), ("quote", "2025-11-26")}
    once_more = [f"{session}" for session in (SESSIONS[8], SESSIONS[8], SESSIONS[9])]
    assert refusals(week, delisted) == once_more, "the first refusal is confirmed in the next session, then believed"


def refusals(week: World, con_id: int) -> list[str]:
    """The sessions for which the broker was asked for bars of the contract and did not know it."""
    rows = week.journal(
        f"select session from requests where con_id = {con_id} and outcome = 'no_contract' order by session"
    )
    return [session for (session,) in rows]


def every_alert_came_and_went(week: World, desk: Webhook) -> None:
    alerts = week.command("alerts", "list", "--all", "--json")
    kinds = {alert["alert_type"] for alert in alerts}
    assert {"broker_unreachable", "run_failed"} <= kinds
    still = {alert["alert_type"] for alert in alerts if alert["cleared_at"] is None}
    assert not still & {"broker_unreachable", "run_failed", "schedule_missed"}
    told = Counter(
        week.journal("select alert_id, event from alert_messages where channel = 'desk' and sent_at is not null")
    )
    assert told == {
        (alert["id"], event): 1 for alert in alerts if alert["alert_type"] in TOLD for event in ("opened", "cleared")
    }
    assert len(desk.taken) == len(told), "each message arrived once"
