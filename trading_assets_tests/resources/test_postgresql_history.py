"""Dagster's history on a PostgreSQL server: what is kept there, whose it is, what is said where it cannot be used."""

from __future__ import annotations

import importlib.util
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from trading_assets.cli.app import run
from trading_assets.doctor import examine, mend
from trading_assets.errors import HistoryUnavailable, StateMismatch
from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.lineage.history import DagsterHistory
from trading_assets.resources import history_folder
from trading_assets.resources.dagster_private import serialize_value
from trading_assets.resources.history_cleanup import clean_history
from trading_assets.resources.history_folder import elsewhere
from trading_assets.resources.history_place import PLACE_FILE
from trading_assets.resources.instance import dagster_instance, dagster_yaml, instance_reference
from trading_assets.resources.run_logs import history_bytes
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.lineage.collected import MONDAY, collected, settings_of
from trading_assets_tests.postgresql_outages import outage
from trading_assets_tests.resources.test_history_cleanup import LATER, prices, statuses
from trading_assets_tests.resources.test_storage import JOB, LARGEST_PLANNED, ONE, RANGE

NOW = datetime(2015, 12, 1, 22, tzinfo=UTC)
BARS = dg.AssetKey("bars")


def settings_on(history: str | None, folder: Path, **more: object) -> Settings:
    return Settings(data_dir=folder, now=NOW, dagster_database_url=history, **more)  # type: ignore[arg-type]


def test_a_run_is_in_the_database_and_nowhere_else(history: str, tmp_path: Path) -> None:
    settings = settings_on(history, tmp_path / "lake")
    for tags in (ONE, RANGE):
        with dagster_instance(settings) as instance:
            assert JOB.execute_in_process(instance=instance, tags=tags).success
    with dagster_instance(settings) as instance:
        assert len(instance.get_runs()) == 2
        assert len(instance.get_materialized_partitions(BARS)) == 4
        assert all(len(instance.all_logs(run.run_id)) > 10 for run in instance.get_runs())
    assert not list((tmp_path / "lake" / "dagster").rglob("*.db"))
    with sa.create_engine(history).connect() as connection:
        planned = "select event from dagster.event_logs where dagster_event_type = 'ASSET_CHECK_EVALUATION_PLANNED'"
        events = connection.execute(sa.text(planned)).scalars().all()
        bodies = connection.execute(sa.text("select run_body from dagster.runs")).scalars().all()
    assert len(events) == 4 and all(len(event) < LARGEST_PLANNED for event in events)
    assert not any("exclusions" in body for body in bodies)


def test_two_machines_see_one_history(history: str, tmp_path: Path) -> None:
    """Data folders of their own, and one lake between them."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lake.json").write_text(json.dumps({"lake_id": "1" * 32, "schema_version": 2}), "utf-8")
    with (
        dagster_instance(settings_on(history, tmp_path / "here")) as here,
        dagster_instance(settings_on(history, tmp_path / "there")) as there,
    ):
        assert JOB.execute_in_process(instance=here, tags=ONE).success
        assert [run.run_id for run in there.get_runs()] == [run.run_id for run in here.get_runs()]
        assert there.get_materialized_partitions(BARS) == {"2015-11-27"}


def test_the_history_of_another_lake_is_refused(history: str, tmp_path: Path) -> None:
    with dagster_instance(settings_on(history, tmp_path / "mine")):
        pass
    with pytest.raises(StateMismatch, match="one history serves one lake"):
        dagster_instance(settings_on(history, tmp_path / "theirs"))
    lineage = DagsterHistory(settings_on(history, tmp_path / "theirs"))
    assert "one history serves one lake" in lineage.missing and lineage.recorded("equity_bars") == {}
    with dagster_instance(settings_on(history, tmp_path / "mine")) as instance:
        assert instance.get_runs() == []


def test_a_history_that_goes_away_after_lineage_opened_it_is_named(history: str, tmp_path: Path) -> None:
    settings = settings_on(history, tmp_path / "lake")
    with dagster_instance(settings):
        pass
    lineage = DagsterHistory(settings)
    assert lineage.recorded("equity_bars") == {} and not lineage.missing
    with outage(history), pytest.raises(HistoryUnavailable, match=r"not currently accepting.*See that the server runs"):
        lineage.recorded("equity_bars")
    assert lineage.recorded("equity_bars") == {}
    lineage.close()


def test_state_and_history_share_a_database(history: str, tmp_path: Path) -> None:
    settings = settings_on(history, tmp_path / "lake", database_url=history)
    with dagster_instance(settings) as instance:
        assert JOB.execute_in_process(instance=instance, tags=ONE).success
    tables = sa.inspect(sa.create_engine(history))
    assert "runs" in tables.get_table_names("dagster") and "runs" not in tables.get_table_names("public")
    assert "lake" in tables.get_table_names("public") and "lake" not in tables.get_table_names("dagster")


def test_no_password_is_in_files_and_references(history: str, tmp_path: Path) -> None:
    """The server of the tests asks for none and takes any."""
    secret = "hunter2"
    settings = settings_on(
        sa.make_url(history).set(password=secret).render_as_string(hide_password=False), tmp_path / "lake"
    )
    with dagster_instance(settings) as instance:
        kept = [
            serialize_value(instance.get_ref()),
            instance_reference(settings),
            str(instance.info_dict()),
            repr(settings),
        ]
    kept += [
        file.read_text("utf-8", errors="replace")
        for file in (tmp_path / "lake" / "dagster").rglob("*")
        if file.is_file()
    ]
    assert not [text for text in kept if secret in text]


def test_a_process_without_the_setting_begins_no_second_history(
    history: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dagster_instance(settings_on(history, tmp_path / "lake")):
        pass
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "lake" / "dagster"))
    monkeypatch.setattr(history_folder, "_chosen", {})  # as in another process
    with pytest.raises(HistoryUnavailable, match="TRADING_ASSETS_DAGSTER_DATABASE_URL is not set"):
        dg.DagsterInstance.get()
    with pytest.raises(HistoryUnavailable, match="TRADING_ASSETS_DAGSTER_DATABASE_URL is not set"):
        dagster_instance(settings_on(None, tmp_path / "lake"))
    assert not list((tmp_path / "lake" / "dagster").rglob("*.db"))
    (tmp_path / "lake" / "dagster" / PLACE_FILE).unlink()
    with dagster_instance(settings_on(None, tmp_path / "lake")) as instance:
        assert instance.get_runs() == []


def test_dagsters_own_commands_find_the_server(history: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the project, and with DAGSTER_HOME."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.setenv("TRADING_ASSETS_DAGSTER_DATABASE_URL", history)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "dagster.yaml").write_text(dagster_yaml(), "utf-8")
    for way, home in {"project": tmp_path / "project", "history": tmp_path / "lake" / "dagster"}.items():
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            assert elsewhere(instance, Settings()) is None
            instance.run_storage.set_cursor_values({way: "was here"})
            instance.upgrade()
        with dagster_instance(Settings()) as instance:
            assert instance.run_storage.get_cursor_values({way}) == {way: "was here"}
    assert [file.name for file in tmp_path.rglob("*.db")] == ["state.db"]
    assert history_bytes(Settings()) > 100_000
    (tmp_path / "other").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "other")) as instance:
        assert "not on the server" in str(elsewhere(instance, Settings()))


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg2://archive:hunter2@127.0.0.1:1/archive"
    with pytest.raises(HistoryUnavailable, match=r"127\.0\.0\.1:1/archive cannot be used") as unavailable:
        dagster_instance(settings_on(nowhere, tmp_path / "lake"))
    assert "hunter2" not in str(unavailable.value)


@pytest.mark.parametrize("url", ["postgresql://me@host/name", "postgresql+psycopg://me@host/name", "sqlite:///here"])
def test_another_driver_is_refused_with_a_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"write postgresql\+psycopg2://user:password@host/name"):
        settings_on(url, tmp_path / "lake")


def test_without_the_extra_the_setting_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'trading-assets\[postgres\]'"):
        settings_on("postgresql+psycopg2://me@host/name", tmp_path / "lake")


def test_old_steps_go_and_every_status_stays(history: str, tmp_path: Path) -> None:
    settings = settings_on(history, tmp_path / "lake")
    with dagster_instance(settings) as instance:
        for day in ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01"):
            dg.materialize([prices], instance=instance, partition_key=day, raise_on_error=False)

    def steps() -> dict[str, int]:
        query = "select run_id, count(*) from dagster.event_logs where step_key is not null group by run_id"
        with sa.create_engine(history).connect() as connection:
            return dict(map(tuple, connection.execute(sa.text(query))))

    before, many = statuses(settings), steps()
    assert len(many) == 4 and min(many.values()) > 5
    assert not clean_history(settings, now=system_clock() + timedelta(days=89)).runs
    promised = clean_history(settings, now=system_clock() + LATER)
    assert steps() == many
    found = clean_history(settings, dry_run=False, now=system_clock() + LATER)
    assert found.runs == promised.runs and len(found.runs) == 3, "the failed one is kept for a year"
    assert found.events == promised.events > 0 and found.bytes_after == promised.bytes_after < found.bytes_before
    assert statuses(settings) == before
    assert max(steps()[run] for run in found.runs) <= 4, "what tells the status of partitions and checks"
    with dagster_instance(settings) as instance:
        assert instance.compute_log_manager.get_log_data([found.runs[0], "compute_logs", "any"]).stdout is None
    assert not clean_history(settings, dry_run=False, now=system_clock() + LATER).runs


def test_doctor_and_lineage_read_the_history_on_the_server(
    history: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lake whose history was in SQLite files until now."""
    shutil.copytree(collected(), tmp_path / "lake")
    local = settings_of(tmp_path / "lake")
    settings = settings_of(tmp_path / "lake", dagster_database_url=history)
    assert "is not made yet" in DagsterHistory(settings).missing
    assert [finding.kind for finding in examine(settings)] == ["lost_history"]
    report = mend(settings)
    assert report.left == [] and "recorded" in report.findings[0].done
    with dagster_instance(settings) as there, open_files(local) as here:
        for asset in ("contracts", "option_chains", "equity_bars", "option_bars"):
            key = dg.AssetKey(asset)
            assert there.get_materialized_partitions(key) == here.get_materialized_partitions(key) != set()
        there.wipe_assets([dg.AssetKey("equity_bars")])
    (finding,) = examine(settings)
    assert (finding.kind, finding.subject) == ("data_without_materialization", "equity_bars")
    assert mend(settings).left == []
    recorded = LineageQueryEngine(LineageTracker(settings=settings)).partition("equity_bars", MONDAY)
    assert len(recorded.materializations) == 1

    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.setenv("TRADING_ASSETS_DAGSTER_DATABASE_URL", history)
    assert run(["backup", str(tmp_path / "backups")]) == 0
    assert "pg_dump --schema=dagster" in " ".join(capsys.readouterr().err.split())


def open_files(settings: Settings) -> dg.DagsterInstance:
    """The history in the folder's files, though the folder notes a server."""
    (settings.data_dir / "dagster" / PLACE_FILE).unlink()
    return dagster_instance(settings)


@pytest.mark.slow
def test_the_doctor_names_a_server_that_is_not_there(tmp_path: Path) -> None:
    shutil.copytree(collected(), tmp_path / "lake")
    nowhere = "postgresql+psycopg2://archive:hunter2@127.0.0.1:1/archive"
    (finding,) = examine(settings_of(tmp_path / "lake", dagster_database_url=nowhere))
    assert finding.kind == "history_unavailable" and "hunter2" not in str(finding)
