"""What only Dagster's records and the recorded answers show: failures that are the last word, sessions nobody
collected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from trading_assets.automation import run_dedup
from trading_assets.automation.missed_runs import failed_runs, missed_schedules
from trading_assets.automation.run_dedup import NEVER_SUBMITTED
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import COVERAGE
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.universe import Universe, universe_table
from trading_assets_tests.repositories.frames import covered, table

DAYS = [date(2015, 12, day) for day in (17, 18, 21, 22, 23)]
EVENING = datetime(2015, 12, 23, 23, 30, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """AAPL, active since long before `DAYS`."""
    found = Settings(data_dir=tmp_path, now=EVENING)
    Universe(found.state_url).add(["AAPL"])
    with connect_state(found.state_url).begin() as connection:
        connection.execute(universe_table.update().values(added_at=datetime(2015, 12, 1, tzinfo=UTC).isoformat()))
    return found


def record(
    settings: Settings, dataset: str, days: list[date], condition: str = "complete", retry_after: datetime | None = None
) -> None:
    size = "1 day" if dataset == "equity_bars" else ""
    rows = [
        covered(day, condition, symbol="AAPL", dataset=dataset, bar_size=size) | {"retry_after": retry_after}
        for day in days
    ]
    ParquetStore(settings.data_dir).upsert(COVERAGE, table(COVERAGE, rows))


def missed(settings: Settings) -> list[str]:
    return [issue.subject for issue in missed_schedules(settings, EVENING)]


def test_a_session_without_a_trace_is_missed(settings: Settings) -> None:
    for dataset in ("contracts", "option_chains", "equity_bars"):
        record(settings, dataset, DAYS[:-1])
    assert missed(settings) == ["daily_snapshot 2015-12-23", "daily_bars 2015-12-23"]


@pytest.mark.parametrize("condition", ["no_contract", "not_permitted"])
def test_a_symbol_without_options_is_not_missed_until_it_may_be_asked_again(settings: Settings, condition: str) -> None:
    record(settings, "equity_bars", DAYS)
    record(settings, "contracts", DAYS)
    record(settings, "option_chains", [date(2015, 12, 1)], condition, EVENING + timedelta(days=7))
    assert missed(settings) == []
    record(settings, "option_chains", [date(2015, 12, 1)], condition, datetime(2015, 12, 22, tzinfo=UTC))
    assert missed(settings) == ["daily_snapshot 2015-12-22", "daily_snapshot 2015-12-23"]


def test_a_refusal_answers_only_until_the_next_answer(settings: Settings) -> None:
    record(settings, "equity_bars", DAYS)
    record(settings, "option_chains", [date(2015, 12, 1)], "not_permitted", EVENING + timedelta(days=7))
    record(settings, "option_chains", DAYS[:4])
    assert missed(settings) == ["daily_snapshot 2015-12-23"]


def test_a_symbol_the_broker_does_not_know_misses_nothing(settings: Settings) -> None:
    record(settings, "contracts", [date(2015, 12, 1)], "no_contract", EVENING + timedelta(days=7))
    assert missed(settings) == []


def add_run(instance: dg.DagsterInstance, status: DagsterRunStatus, **tags: str) -> dg.DagsterRun:
    given = {name.replace("__", "/"): value for name, value in tags.items()}
    return instance.add_run(dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id(), status=status, tags=given))


def test_a_failure_is_told_when_no_try_is_left(instance: dg.DagsterInstance) -> None:
    failed = add_run(instance, DagsterRunStatus.FAILURE, dagster__will_retry="true")
    assert failed_runs(instance) == [], "Dagster starts it again in a moment"
    again = add_run(instance, DagsterRunStatus.STARTED, dagster__retry_number="1")
    instance.add_run_tags(failed.run_id, {"dagster/auto_retry_run_id": again.run_id})
    assert failed_runs(instance) == [], "the next try is at work"
    instance.report_run_failed(again)
    (told,) = failed_runs(instance)
    assert told.subject == "snapshot" and again.run_id[:8] in told.reason


def test_a_run_that_was_replaced_is_no_failure(instance: dg.DagsterInstance) -> None:
    add_run(instance, DagsterRunStatus.FAILURE, **{NEVER_SUBMITTED: "true"})
    assert failed_runs(instance) == []


def test_a_try_that_does_not_come_is_not_waited_for(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of the command line are announced to be tried again, and Dagster has nowhere to start them."""
    add_run(instance, DagsterRunStatus.FAILURE, dagster__will_retry="true")
    monkeypatch.setattr(run_dedup, "RETRY_SECONDS", 0.0)
    assert [told.subject for told in failed_runs(instance)] == ["snapshot"]
