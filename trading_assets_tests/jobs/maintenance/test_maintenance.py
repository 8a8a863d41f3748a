"""Weekly and monthly maintenance of a collected lake: what each step does, and that a failed one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from trading_assets.automation.schedules import monthly_maintenance as monthly_schedule
from trading_assets.automation.schedules import weekly_maintenance as weekly_schedule
from trading_assets.errors import ChannelFailed
from trading_assets.jobs import (
    MaintenanceReport,
    cleanup_old_lineage_data,
    generate_performance_report,
    monthly_maintenance,
    send_maintenance_report,
    update_system_metrics,
    validate_all_data,
    weekly_maintenance,
)
from trading_assets.jobs.maintenance.steps import Outcome, StepFailed, StepResult, run_steps
from trading_assets.monitoring.hours import next_due
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.instance import dagster_instance
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.archive_packages.conftest import holdings_of
from trading_assets_tests.monitoring.alerts.receivers import Webhook
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

MONDAY_EVENING = "2025-11-17T16:40-05:00"
SATURDAY = "2025-11-22T10:00-05:00"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """AAPL and SPY, set up on a Monday after the close."""
    with Simulator(GeneratedMarket(seed=42), now=at(MONDAY_EVENING), limits=False) as simulator:
        desk = Desk(tmp_path_factory.mktemp("lake"), simulator, SMALL)
        assert desk.setup("AAPL", "SPY").success
        yield desk


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook().running() as running:
        yield running


def told(desk: Desk, webhook: Webhook, **changes: object) -> Settings:
    """The desk's settings with a channel that can be looked into."""
    return desk.settings.model_copy(update={"alert_channels": {"desk": webhook.url}, **changes})


def test_a_dry_run_of_both_changes_requests_and_sends_nothing(desk: Desk, webhook: Webhook) -> None:
    desk.move(MONDAY_EVENING)
    before, settings = holdings_of(desk.folder), told(desk, webhook)
    desk.forget()
    for report in (
        weekly_maintenance(settings=settings, dry_run=True),
        monthly_maintenance(settings=settings, dry_run=True),
    ):
        assert report.success and report.dry_run, report.text()
    assert holdings_of(desk.folder) == before
    assert desk.asked() == {} and webhook.titles == []


def test_the_weekly_maintenance_does_its_steps_and_sends_one_message(desk: Desk, webhook: Webhook) -> None:
    desk.move("2025-11-18T08:00-05:00")
    left = desk.folder / "equity_bars" / "1_day" / ".2025.parquet.999999.tmp"
    left.write_text("half a file")
    desk.forget()
    settings = told(desk, webhook)
    report = weekly_maintenance(settings=settings)
    assert [step.name for step in report.steps] == [
        "contract_descriptions",
        "temporary_files",
        "validation",
        "metrics",
        "report",
    ]
    assert report.success, report.text()
    assert desk.connections() <= 1, "one run for all symbols"
    assert not left.exists() and report.step("temporary_files").figures["files"] == [
        "equity_bars/1_day/.2025.parquet.999999.tmp"
    ]
    assert report.step("validation").figures["valid"] == ["AAPL", "SPY"]
    assert report.step("metrics").figures["rows"] > 5
    assert webhook.titles == ["Trading Assets: weekly maintenance: all 4 steps succeeded"]

    desk.forget()
    again = weekly_maintenance(settings=settings)
    assert desk.asked() == {}
    assert "were verified in this session: nothing to do" in again.step("contract_descriptions").sentence


def test_a_broker_that_does_not_answer_fails_one_step(desk: Desk, webhook: Webhook) -> None:
    desk.move("2025-11-20T08:00-05:00")
    report = weekly_maintenance(settings=told(desk, webhook, ib_port=1, reconnect_timeout=0.0))
    failed = {step.name for step in report.steps if not step.success}
    assert "contract_descriptions" in failed and not failed & {"temporary_files", "metrics", "report"}
    assert "AAPL, SPY were not verified" in report.step("contract_descriptions").sentence
    assert webhook.titles[0].startswith("Trading Assets: weekly maintenance: contract_descriptions")


def test_a_traceback_is_logged_of_the_unexpected_only(caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Exception) -> Outcome:
        raise error

    steps = run_steps(
        [("disk", lambda: fail(OSError("No space left"))), ("fault", lambda: fail(KeyError("a fault of ours")))]
    )
    assert [step.success for step in steps] == [False, False] and "No space left" in steps[0].sentence
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "maintenance step fault"
    ]


def test_the_monthly_maintenance_says_of_each_step_what_it_did(desk: Desk, webhook: Webhook) -> None:
    before = holdings_of(desk.folder)
    report = monthly_maintenance(settings=told(desk, webhook))
    assert report.success, report.text()
    assert "names no folder for archive packages: nothing to do" in report.step("archive").sentence
    assert "nothing to do" in report.step("storage").sentence
    assert "nothing old enough: nothing to do" in report.step("history").sentence
    assert "rows in" in report.step("performance").sentence
    assert holdings_of(desk.folder) == before
    assert webhook.titles == ["Trading Assets: monthly maintenance: all 4 steps succeeded"]


def test_deleting_is_asked_for(desk: Desk, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = told(desk, webhook)
    much_later = datetime.now(UTC) + timedelta(days=400)
    monkeypatch.setattr("trading_assets.resources.history_cleanup.system_clock", lambda: much_later)
    assert cleanup_old_lineage_data(settings=settings).dry_run
    assert monthly_maintenance(settings=settings).step("history").sentence.startswith("Would delete")
    assert monthly_maintenance(settings=settings, delete=True).step("history").sentence.startswith("Deleted")
    status = desk.command(monkeypatch, "status", "--no-probe")[1]
    assert status["symbols"]
    with dagster_instance(settings) as instance:
        assert "2025-11-17" in instance.get_materialized_partitions(dg.AssetKey("equity_bars"))


def test_the_command_is_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, document = desk.command(monkeypatch, "maintain", "monthly", "--dry-run")
    assert code == 0 and [step["name"] for step in document["steps"]] == [
        "archive",
        "storage",
        "history",
        "performance",
        "report",
    ]
    code, document = desk.command(monkeypatch, "maintain", "weekly", "--dry-run")
    assert document["kind"] == "weekly" and document["dry_run"]


def test_the_job_is_the_same_and_names_each_step(desk: Desk) -> None:
    done = desk.job("monthly_maintenance", [], {"maintain_month": {"dry_run": True}})
    assert done.success, done.error
    with dagster_instance(desk.settings) as instance:
        said = " ".join(record.message for record in instance.all_logs(done.run_id) if record.message)
    assert "storage: " in said and "history: " in said


@pytest.mark.parametrize(
    ("schedule", "key"),
    [(weekly_schedule, "weekly_maintenance 2025-W47"), (monthly_schedule, "monthly_maintenance 2025-11")],
)
def test_a_schedule_starts_one_run_a_period(desk: Desk, schedule: dg.ScheduleDefinition, key: str) -> None:
    given = {"data_dir": str(desk.folder), "ib_port": desk.simulator.port, "now": at(SATURDAY).isoformat()}
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance, at(SATURDAY), resources={"archive": ArchiveResource.holding(given)()}
        ) as context,
    ):
        request = schedule(context)
        assert isinstance(request, dg.RunRequest) and request.run_key == key


def test_the_times_are_outside_of_sessions(desk: Desk) -> None:
    now = at("2025-11-19T12:00-05:00")
    due = next_due(desk.settings, calendar(), now)
    assert due["weekly_maintenance"] == at(SATURDAY)
    assert due["monthly_maintenance"] == at("2025-12-01T05:00-05:00")
    assert next_due(desk.settings, calendar(), at(SATURDAY))["weekly_maintenance"] == at("2025-11-29T10:00-05:00")
    for schedule in (weekly_schedule, monthly_schedule):
        assert str(schedule.execution_timezone) == "America/New_York"
    assert (weekly_schedule.cron_schedule, monthly_schedule.cron_schedule) == ("0 10 * * 6", "0 5 1 * *")


def test_the_report_of_the_guide_is_one_message(desk: Desk, webhook: Webhook) -> None:
    found = validate_all_data(settings=desk.settings)
    assert send_maintenance_report(found, settings=told(desk, webhook)) == ["desk"]
    assert len(webhook.titles) == 1 and "validation" in webhook.titles[0]
    with pytest.raises(ValueError, match="what validate_all_data"):
        send_maintenance_report({"rows": 3}, settings=desk.settings)


def test_a_channel_that_fails_keeps_the_report_from_no_other(desk: Desk, webhook: Webhook) -> None:
    channels = {"gone": "json://127.0.0.1:1/hook?cto=1&rto=1", "desk": webhook.url}
    report = MaintenanceReport("weekly", at(SATURDAY), False, (StepResult("metrics", True, "Stored."),))
    with pytest.raises(ChannelFailed, match=r"'gone' did not answer.* was sent to desk"):
        send_maintenance_report(report, settings=told(desk, webhook, alert_channels=channels))
    assert len(webhook.titles) == 1


def test_metrics_and_performance_are_measured(desk: Desk) -> None:
    assert update_system_metrics(settings=desk.settings).rows > 5
    found = generate_performance_report(settings=desk.settings)
    assert found.storage["equity_bars"]["rows"] == len(desk.rows("select 1 from equity_bars"))
    assert found.history_bytes > 10_000 and found.free_bytes > 0 and set(found.seconds) == set(found.storage)


def test_a_step_that_fails_in_an_unforeseen_way_is_named() -> None:
    done: list[str] = []

    def fails(error: Exception) -> Callable[[], tuple[str, dict[str, object]]]:
        def action() -> tuple[str, dict[str, object]]:
            raise error

        return action

    def well() -> tuple[str, dict[str, object]]:
        done.append("well")
        return "Done.", {}

    steps = run_steps(
        [("disk", fails(OSError("no space left"))), ("part", fails(StepFailed("Half.", {"n": 1}))), ("last", well)]
    )
    assert [step.success for step in steps] == [False, False, True] and done == ["well"]
    assert steps[0].sentence == "OSError: no space left"
    assert (steps[1].sentence, steps[1].figures) == ("Half.", {"n": 1})
