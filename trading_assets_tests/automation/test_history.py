"""Old runs of the quality check go, with all that is kept of them; the newest stay, and every run that collected."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.automation import history
from trading_assets.automation.history import forget_old_checks
from trading_assets.monitoring.hours import QUALITY_CHECK
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="measured")])
def measured() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


@dg.asset
def failing() -> None:
    raise ValueError("on purpose")


JOBS = dg.Definitions(
    assets=[measured, failing],
    jobs=[
        dg.define_asset_job(QUALITY_CHECK, dg.AssetSelection.assets("measured"), executor_def=dg.in_process_executor),
        dg.define_asset_job("snapshot", dg.AssetSelection.assets("measured"), executor_def=dg.in_process_executor),
        dg.define_asset_job("broken", dg.AssetSelection.assets("failing"), executor_def=dg.in_process_executor),
    ],
)


def test_the_newest_checks_and_all_collecting_runs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_CHECKS", 2)
    monkeypatch.setattr(history, "DELETED_AT_ONCE", 2)
    settings = Settings(data_dir=tmp_path / "lake", now=datetime(2015, 12, 1, 22, tzinfo=UTC))
    logs = settings.data_dir / "dagster" / "history" / "runs"
    with dagster_instance(settings) as instance:
        collected = JOBS.resolve_job_def("snapshot").execute_in_process(instance=instance).run_id
        checks = [JOBS.resolve_job_def(QUALITY_CHECK).execute_in_process(instance=instance).run_id for _ in range(5)]
        assert sorted(forget_old_checks(instance)) == sorted(checks[1:3])
        assert forget_old_checks(instance) == [checks[0]]
        assert forget_old_checks(instance) == []
        assert {run.run_id for run in instance.get_runs()} == {collected, *checks[3:]}
        assert {file.stem for file in logs.glob("*.db")} == {"index", collected, *checks[3:]}
        latest = instance.get_latest_materialization_event(dg.AssetKey("measured"))
        assert latest is not None and latest.run_id == checks[4]
        key = dg.AssetCheckKey(dg.AssetKey("measured"), "fine")
        assert {
            record.run_id for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
        } == {collected, *checks[3:]}


def test_the_newest_success_stays_behind_any_number_of_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT_CHECKS", 1)
    settings = Settings(data_dir=tmp_path / "lake", now=datetime(2015, 12, 1, 22, tzinfo=UTC))
    with dagster_instance(settings) as instance:
        good = JOBS.resolve_job_def(QUALITY_CHECK).execute_in_process(instance=instance).run_id
        for _ in range(3):
            failed = JOBS.resolve_job_def("broken").execute_in_process(instance=instance, raise_on_error=False)
            run = instance.get_run_by_id(failed.run_id)
            assert run is not None
            instance.delete_run(run.run_id)
            instance.add_run(run._replace(job_name=QUALITY_CHECK))
        assert len(forget_old_checks(instance)) == 2
        assert good in {run.run_id for run in instance.get_runs()}
        assert instance.get_latest_materialization_event(dg.AssetKey("measured")) is not None
