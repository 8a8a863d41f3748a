"""Settings that carry passwords: used by runs, and nowhere in what Dagster keeps or shows of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import serialize_value

from trading_assets.definitions import build_defs
from trading_assets.jobs.runner import run_job
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


@pytest.mark.parametrize("resource", ["archive", "io_manager"])
@pytest.mark.parametrize(
    "name", ["data_dir", "ib_host", "ib_port", "broker", "database_url", "dagster_database_url", "alert_channels"]
)
def test_no_setting_can_be_changed_by_a_run_config(tmp_path: Path, resource: str, name: str) -> None:
    job = build_defs(data_dir=str(tmp_path / "lake")).resolve_job_def(
        "add_symbols" if resource == "archive" else "snapshot"
    )
    for given in ({"overrides": {name: SECRET}}, {name: SECRET}, {"archive": {"overrides": {name: SECRET}}}):
        with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entr") as refused:
            dg.validate_run_config(job, {"resources": {resource: {"config": given}}})
        assert SECRET not in str(refused.value)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("job", "op", "config", "place"),
    [
        ("add_symbols", "join_universe", {"symbols": [{"env": "AWS_SECRET"}]}, "ops.join_universe.config.symbols.0"),
        (
            "add_symbols",
            "join_universe",
            {"symbols": ["AAPL", {"env": "AWS_SECRET"}]},
            "ops.join_universe.config.symbols.1",
        ),
        ("snapshot", "contracts", {"symbols": [{"env": "AWS_SECRET"}]}, "ops.contracts.config.symbols.0"),
        (
            "snapshot",
            "option_chains",
            {"selection": {"rights": [{"env": "AWS_SECRET"}]}},
            "ops.option_chains.config.selection.rights.0",
        ),
        (
            "snapshot",
            "option_chains",
            {"requote_after_minutes": {"env": "AWS_NUMBER"}},
            "ops.option_chains.config.requote_after_minutes",
        ),
        (
            "backfill_bars",
            "equity_bars",
            {"first_session": {"env": "AWS_SECRET"}},
            "ops.equity_bars.config.first_session",
        ),
        (
            "backfill_bars",
            "equity_bars",
            {"lookback_days": {"env": "AWS_NEGATIVE"}},
            "ops.equity_bars.config.lookback_days",
        ),
        ("backfill_bars", "option_bars", {"bar_sizes": [{"env": "AWS_SECRET"}]}, "ops.option_bars.config.bar_sizes.0"),
    ],
)
def test_no_value_of_the_environment_is_shown_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, op: str, config: dict[str, Any], place: str
) -> None:
    monkeypatch.setenv("AWS_SECRET", SECRET)
    monkeypatch.setenv("AWS_NUMBER", "424242")
    monkeypatch.setenv("AWS_NEGATIVE", "-424242")
    definitions = build_defs(
        data_dir=str(tmp_path / "lake"), now="2024-06-03T16:30-04:00", ib_port=1, reconnect_timeout=0
    )
    found = definitions.resolve_job_def(job)
    instance = dg.DagsterInstance.ephemeral()
    result = found.execute_in_process(
        instance=instance,
        run_config={"ops": {op: {"config": config}}},
        partition_key="2024-06-03" if found.partitions_def is not None else None,
        raise_on_error=False,
    )
    assert not result.success
    kept = [serialize_value(event) for event in instance.all_logs(result.run_id)]
    assert [text for text in kept if f"The run config takes {place} from the environment" in text]
    assert not [text for text in kept if SECRET in text or "424242" in text]
    assert not (tmp_path / "lake").exists()
