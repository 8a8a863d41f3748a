"""Dagster's history on a PostgreSQL server: what is kept there, whose it is, what is said where it cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from trading_assets.errors import HistoryUnavailable, StateMismatch
from trading_assets.resources.dagster_private import serialize_value
from trading_assets.resources.history_place import PLACE_FILE
from trading_assets.resources.instance import dagster_instance, instance_reference
from trading_assets.settings import Settings
from trading_assets_tests.resources.test_storage import JOB, LARGEST_PLANNED, ONE, RANGE

NOW = datetime(2015, 12, 1, 22, tzinfo=UTC)
BARS = dg.AssetKey("bars")


@pytest.fixture
def history(postgresql: str) -> str:
    """The URL of an empty database as the setting has it."""
    return sa.make_url(postgresql).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


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
    with dagster_instance(settings_on(history, tmp_path / "mine")) as instance:
        assert instance.get_runs() == []


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
    with pytest.raises(HistoryUnavailable, match="TRADING_ASSETS_DAGSTER_DATABASE_URL is not set"):
        dagster_instance(settings_on(None, tmp_path / "lake"))
    assert not list((tmp_path / "lake" / "dagster").rglob("*.db"))
    (tmp_path / "lake" / "dagster" / PLACE_FILE).unlink()
    with dagster_instance(settings_on(None, tmp_path / "lake")) as instance:
        assert instance.get_runs() == []


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg2://archive:hunter2@127.0.0.1:1/archive"
    with pytest.raises(HistoryUnavailable, match=r"127\.0\.0\.1:1/archive cannot be used") as unavailable:
        dagster_instance(settings_on(nowhere, tmp_path / "lake"))
    assert "hunter2" not in str(unavailable.value)
