"""Which parts are submitted, and that none is submitted twice: whatever was killed, repeated or stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from trading_assets.automation import distribution as automation
from trading_assets.automation.missed_runs import failed_runs
from trading_assets.automation.part_states import PartState, counts_by_state, part_states, record
from trading_assets.automation.run_dedup import NEVER_SUBMITTED, request_of
from trading_assets.distribution import (
    DISTRIBUTION_TAG,
    GATEWAY_TAG,
    WORK_TAG,
    Distribution,
    Distributions,
    Work,
    part_run,
    plan_distribution,
)
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.alerts import AlertType
from trading_assets.resources.dagster_private import RUN_KEY_TAG
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.distribution.parts import submitted

SYMBOLS = ("AAPL", "IBM", "SPY")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=datetime(2024, 7, 1, 21, tzinfo=UTC))
    Universe(found.state_url).add(SYMBOLS)
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def planned(settings: Settings) -> Distribution:
    """Three parts, one a symbol, recorded."""
    plan = plan_distribution(settings, Work.GREEKS, None, "2024-06-03", symbols_per_part=1)
    assert Distributions(settings.state_url).add(plan)
    return plan


def start(instance: dg.DagsterInstance, request: dg.RunRequest, status: DagsterRunStatus, **tags: str) -> str:
    """Record the run of a request, as the daemon does."""
    run_id = make_new_run_id()
    assert request.job_name is not None and request.run_key is not None
    of_request = {**request.tags, RUN_KEY_TAG: request.run_key, **tags}
    instance.add_run(dg.DagsterRun(job_name=request.job_name, run_id=run_id, status=status, tags=of_request))
    return run_id


def states(instance: dg.DagsterInstance, plan: Distribution) -> list[PartState]:
    return [part.state for part in part_states(instance, plan)]


def test_each_part_is_one_ordinary_run(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    assert not Distributions(settings.state_url).add(plan), "the same work again"
    requests = submitted(settings, instance)
    assert [request.run_key for request in requests] == [f"{plan.name} {number}" for number in (1, 2, 3)]
    assert {request.job_name for request in requests} == {"backfill_bars"}
    assert [request.run_config["ops"] for request in requests] == [
        {"option_greeks": {"config": {"symbols": [symbol]}}} for symbol in SYMBOLS
    ]
    assert requests[0].asset_selection == [dg.AssetKey("option_greeks")]
    tags = requests[0].tags
    assert (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]) == (
        *("2024-06-03", "2024-07-01"),
    )
    assert (tags["trading_assets/work"], tags["dagster/priority"]) == ("greeks", "-1")
    assert {request.tags[DISTRIBUTION_TAG] for request in requests} == {plan.name}


def test_a_part_with_a_run_is_not_submitted_again(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    first, second, _ = submitted(settings, instance)
    start(instance, first, DagsterRunStatus.SUCCESS)
    start(instance, second, DagsterRunStatus.FAILURE)  # and the daemon was killed before the third
    (third,) = submitted(settings, instance)
    assert third.run_key == f"{plan.name} 3"
    start(instance, third, DagsterRunStatus.STARTED)
    assert states(instance, plan) == [PartState.DONE, PartState.FAILED, PartState.RUNNING]
    assert submitted(settings, instance) == []
    assert Distributions(settings.state_url).submitting() == [], "it is looked at no more"


def test_failed_parts_are_submitted_again_alone(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    requests = submitted(settings, instance)
    ended = (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE)
    runs = [start(instance, request, status) for request, status in zip(requests, ended, strict=True)]
    assert submitted(settings, instance) == []
    Distributions(settings.state_url).repeat(plan.name, runs[1:])
    again = submitted(settings, instance)
    assert [request.run_key for request in again] == [f"{plan.name} 2#1", f"{plan.name} 3#1"]
    for request in again:
        start(instance, request, DagsterRunStatus.SUCCESS)
    assert submitted(settings, instance) == []
    assert counts_by_state(part_states(instance, plan))["done"] == 3


def test_what_is_asked_for_while_the_sensor_looks_is_not_lost(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    runs = [start(instance, request, DagsterRunStatus.FAILURE) for request in submitted(settings, instance)]
    records = Distributions(settings.state_url)
    (seen,) = records.submitting()
    records.repeat(plan.name, runs)
    records.all_submitted(seen)
    assert len(submitted(settings, instance)) == 3


def test_a_run_that_nobody_would_start_is_replaced(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    request = submitted(settings, instance)[0]
    start(instance, request, DagsterRunStatus.FAILURE, **{NEVER_SUBMITTED: "true"})
    assert states(instance, plan)[0] is PartState.MISSING
    assert submitted(settings, instance)[0].run_key == f"{plan.name} 1#1", "not the run key that Dagster knows"


def test_a_run_that_is_not_in_the_queue_yet_is_looked_at_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """The daemon may fail or die before it submits the last run: nobody else would notice that the part has none."""
    plan = planned(settings)
    *others, last = submitted(settings, instance)
    for request in others:
        start(instance, request, DagsterRunStatus.SUCCESS)
    run_id = start(instance, last, DagsterRunStatus.NOT_STARTED)
    assert submitted(settings, instance) == []
    assert Distributions(settings.state_url).submitting()
    instance.add_run_tags(run_id, {NEVER_SUBMITTED: "true"})
    instance.report_run_failed(instance.get_run_by_id(run_id))
    assert [request.run_key for request in submitted(settings, instance)] == [f"{plan.name} 3#1"]


def test_a_run_that_was_deleted_in_the_ui_leaves_its_key_behind(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Dagster starts no run under a key that it knows."""
    plan = planned(settings)
    records = Distributions(settings.state_url)
    runs = [start(instance, request, DagsterRunStatus.FAILURE) for request in submitted(settings, instance)]
    records.repeat(plan.name, runs[:1])
    (again,) = submitted(settings, instance)
    second = start(instance, again, DagsterRunStatus.FAILURE)
    instance.delete_run(runs[0])
    records.repeat(plan.name, [second])
    assert [request.run_key for request in submitted(settings, instance)] == [f"{plan.name} 1#2"]


@pytest.mark.parametrize("options", [{}, {"refresh": True}], ids=["once", "refresh"])
def test_the_same_work_is_done_anew_only_where_that_is_wanted(
    options: dict[str, bool], settings: Settings, instance: dg.DagsterInstance
) -> None:
    """A validation, or with `refresh`: when all parts have ended."""
    plan = plan_distribution(settings, Work.GREEKS, None, "2024-06-03", symbols_per_part=1, options=options)
    records = Distributions(settings.state_url)
    assert record(instance, records, plan) and not record(instance, records, plan)
    *others, last = submitted(settings, instance)
    for request in others:
        start(instance, request, DagsterRunStatus.SUCCESS)
    start(instance, last, DagsterRunStatus.STARTED)
    assert submitted(settings, instance) == [] and not record(instance, records, plan), "one part runs"
    (running,) = instance.get_runs(dg.RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    instance.report_run_failed(running)
    assert record(instance, records, plan) is bool(options)
    assert len(submitted(settings, instance)) == (3 if options else 0)


def test_a_validation_is_done_anew(settings: Settings) -> None:
    """Of named symbols each part has all rules, as the command `validate` that names them."""
    whole, named = (plan_distribution(settings, Work.VALIDATION, symbols) for symbols in (None, ["AAPL"]))
    assert whole.is_made_anew and named.is_made_anew
    configs = [part_run(named, part).config["validate_symbols"] for part in named.parts]
    assert [(config["symbols"], config["named"]) for config in configs] == [(["AAPL"], True)]
    assert not any(part_run(whole, part).config["validate_symbols"]["named"] for part in whole.parts)


def test_a_failure_that_dagster_tries_again_is_not_one_yet(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    request = submitted(settings, instance)[0]
    start(instance, request, DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    assert states(instance, plan)[0] is PartState.QUEUED


def test_the_queue_is_not_flooded(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "WAITING_AT_ONCE", 2)
    planned(settings)
    first, second = submitted(settings, instance)
    start(instance, first, DagsterRunStatus.STARTED)
    start(instance, second, DagsterRunStatus.NOT_STARTED)
    (third,) = submitted(settings, instance)
    assert third.run_key is not None and third.run_key.endswith(" 3")


def test_what_is_stopped_waits_for_a_repetition(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    records = Distributions(settings.state_url)
    records.stop(plan.name)
    assert submitted(settings, instance) == []
    records.repeat(plan.name, [])
    assert len(submitted(settings, instance)) == 3
    with pytest.raises(InvalidRequest, match="There is no distribution 'greeks'"):
        records.get("greeks")


def test_the_runs_of_the_day_do_not_wait_for_parts(settings: Settings, instance: dg.DagsterInstance) -> None:
    planned(settings)
    start(instance, submitted(settings, instance)[0], DagsterRunStatus.STARTED)
    wanted = WantedRun("backfill_bars", "daily_bars 2024-07-01", "The bars of session 2024-07-01.")
    with dg.build_sensor_context(instance) as context:
        assert isinstance(request_of(context, settings, wanted), dg.RunRequest)


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTED, DagsterRunStatus.NOT_STARTED])
def test_the_search_for_gaps_waits_while_a_backfill_is_worked_on(
    status: DagsterRunStatus, settings: Settings, instance: dg.DagsterInstance
) -> None:
    """It would request the same bars, and take the place in the pool that is free for the snapshot."""
    Distributions(settings.state_url).add(plan_distribution(settings, Work.BACKFILL, None, "2024-06-03"))
    start(instance, submitted(settings, instance)[0], status)
    wanted = WantedRun("backfill_bars", "gaps", "Sessions are missing.", yields=True)
    with dg.build_sensor_context(instance) as context:
        waits = isinstance(request_of(context, settings, wanted), dg.SkipReason)
    assert waits is (status is DagsterRunStatus.STARTED)


def test_failed_parts_are_one_issue_until_they_run_again(settings: Settings, instance: dg.DagsterInstance) -> None:
    plan = planned(settings)
    first, second, third = submitted(settings, instance)
    for request in (first, second):
        start(instance, request, DagsterRunStatus.FAILURE)
    start(instance, third, DagsterRunStatus.SUCCESS)
    (issue,) = failed_runs(instance)
    assert (issue.alert_type, issue.subject) == (AlertType.RUN_FAILED, plan.name)
    assert issue.reason.startswith("2 parts failed. Run ") and "trading-assets distribute repeat" in issue.remedy
    for request, status in ((first, DagsterRunStatus.SUCCESS), (second, DagsterRunStatus.STARTED)):
        start(instance, request, status)
    assert failed_runs(instance) == []


def test_one_machine_runs_two_parts_at_once_and_one_backfill(settings: Settings) -> None:
    with dagster_instance(settings) as instance:
        limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    assert [(limit["key"], limit.get("value"), limit["limit"]) for limit in limits.tag_concurrency_limits] == [
        (DISTRIBUTION_TAG, None, 2),
        (WORK_TAG, "backfill", 1),
        (GATEWAY_TAG, {"applyLimitPerUniqueValue": True}, 1),
    ]
    assert limits.max_concurrent_runs == 10, "the runs of the day find a place"
