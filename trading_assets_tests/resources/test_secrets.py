"""Settings that carry passwords: used by runs, and nowhere in what Dagster keeps or shows of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from dagster import serialize_value

from trading_assets.jobs.runner import run_job
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.universe import Universe

SECRET = "hunter2"


def test_no_secret_is_in_what_dagster_keeps_of_a_run(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "data_dir": tmp_path / "lake",
        "now": "2024-06-03T16:30-04:00",
        "ib_port": 1,
        "reconnect_timeout": 0,
        "alert_channels": {"desk": f"json://desk:{SECRET}@localhost:1/"},
        "database_url": f"sqlite:///{tmp_path / SECRET}.db",
    }
    settings = Settings(**given)
    assert SECRET not in repr(settings)
    Universe(settings.state_url).add(["AAPL"])
    report = run_job(settings, "snapshot", [date(2024, 6, 3)], {})
    assert "127.0.0.1:1" in report.error, "the run knew the universe of that database, and nobody listens on port 1"
    with dagster_instance(settings) as instance:
        (run,) = instance.get_runs()
        assert run.job_snapshot_id is not None
        kept = [run, instance.get_job_snapshot(run.job_snapshot_id), *instance.all_logs(run.run_id)]
    assert not [text for text in map(serialize_value, kept) if SECRET in text]


def test_a_secret_in_a_run_config_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match=r"alert_channels carries passwords.*TRADING_ASSETS_ALERT_CHANNELS") as refused:
        ArchiveResource(overrides={"alert_channels": {"desk": f"json://{SECRET}"}}).settings()
    assert SECRET not in str(refused.value)
