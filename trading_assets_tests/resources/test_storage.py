"""Dagster's history without the copies of the calendar: small, complete, and a continuation of what Dagster's own
storage wrote."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry

from trading_assets.assets.partitions import session_partitions
from trading_assets.resources.compact_events import CLAIM_WAIT
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.storage import CompactEventLogStorage, _switch_to_wal
from trading_assets.settings import Settings
from trading_assets_tests.observing import eventually

LARGEST_PLANNED = 2_000
"""Bytes of a planned check: the calendar alone is 28,000."""


@dg.asset(
    partitions_def=session_partitions(),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[
        dg.AssetCheckSpec("whole", asset="bars"),
        dg.AssetCheckSpec("by_session", asset="bars", partitions_def=session_partitions()),
    ],
)
def bars() -> dg.MaterializeResult:
    passed = [dg.AssetCheckResult(check_name=name, passed=True) for name in ("whole", "by_session")]
    return dg.MaterializeResult(check_results=passed)


JOB = dg.Definitions(
    assets=[bars], jobs=[dg.define_asset_job("collect", executor_def=dg.in_process_executor)]
).resolve_job_def("collect")

ONE = {"dagster/partition": "2015-11-27"}
RANGE = {"dagster/asset_partition_range_start": "2015-11-23", "dagster/asset_partition_range_end": "2015-11-27"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "lake", now=datetime(2015, 12, 1, 22, tzinfo=UTC))


def planned(home: Path) -> list[str]:
    found = []
    for file in (home / "history" / "runs").glob("*.db"):
        with closing(sqlite3.connect(file)) as database:
            found += [
                row[0]
                for row in database.execute(
                    "select event from event_logs where dagster_event_type = 'ASSET_CHECK_EVALUATION_PLANNED'"
                )
            ]
    return found


@pytest.mark.parametrize(
    ("tags", "sessions"), [(ONE, ["2015-11-27"]), (RANGE, ["2015-11-23", "2015-11-24", "2015-11-25", "2015-11-27"])]
)
def test_a_run_keeps_the_keys_of_its_partitions_and_not_the_calendar(
    settings: Settings, tags: dict[str, str], sessions: list[str]
) -> None:
    with dagster_instance(settings) as instance:
        assert isinstance(instance.event_log_storage, CompactEventLogStorage)
        result = JOB.execute_in_process(instance=instance, tags=tags)
        assert result.success
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.is_partitioned
        assert run.get_resolved_partitions_subset_for_events(session_partitions()).get_partition_keys() == sessions  # type: ignore[union-attr]
        assert sorted(instance.get_materialized_partitions(dg.AssetKey("bars"))) == sessions
        for name in ("whole", "by_session"):
            key = dg.AssetCheckKey(dg.AssetKey("bars"), name)
            assert (
                instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key].status.value
                == "SUCCEEDED"
            )
    events = planned(settings.data_dir / "dagster")
    assert len(events) == 4, "both checks, in the log of the run and in that of all runs"
    for event in events:
        assert len(event) < LARGEST_PLANNED
        subset = json.loads(event)["dagster_event"]["event_specific_data"]["partitions_subset"]
        assert (
            sorted(subset["subset"]["__set__"] if isinstance(subset["subset"], dict) else subset["subset"]) == sessions
        )
    with closing(sqlite3.connect(settings.data_dir / "dagster" / "history" / "runs.db")) as database:
        assert "exclusions" not in database.execute("select run_body from runs").fetchone()[0]


def test_a_history_of_dagsters_own_storage_is_continued(settings: Settings, tmp_path: Path) -> None:
    home = settings.data_dir / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(
        f"storage:\n  sqlite:\n    base_dir: {home}\ntelemetry:\n  enabled: false\n", "utf-8"
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert JOB.execute_in_process(instance=instance, tags=ONE).success
    with dagster_instance(settings) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("bars")) == {"2015-11-27"}
        assert JOB.execute_in_process(instance=instance, tags={"dagster/partition": "2015-11-30"}).success
        assert instance.get_materialized_partitions(dg.AssetKey("bars")) == {"2015-11-27", "2015-11-30"}
        assert {run.tags["dagster/partition"] for run in instance.get_runs()} == {"2015-11-27", "2015-11-30"}
        assert all(len(instance.all_logs(run.run_id)) > 10 for run in instance.get_runs())


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("history/runs.db", "drop table instance_info"),
        ("history/runs.db", "drop table alembic_version"),
        ("history/runs/index.db", "delete from alembic_version"),
        ("schedules/schedules.db", "drop table alembic_version"),
    ],
)
def test_a_database_that_a_killed_process_left_half_made_is_completed(
    settings: Settings, file: str, statement: str
) -> None:
    def tables(database: Path) -> set[tuple[str]]:
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("select count(*) from alembic_version").fetchone() == (1,)
            return set(connection.execute("select name from sqlite_master where type = 'table'"))

    with dagster_instance(settings):
        pass
    database = settings.data_dir / "dagster" / file
    whole = tables(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)
    with dagster_instance(settings) as instance:
        assert JOB.execute_in_process(instance=instance, tags=ONE).success
        assert instance.all_instigator_state() == []
    assert tables(database) == whole


@pytest.mark.parametrize("file", ["history/runs.db", "history/runs/index.db", "schedules/schedules.db"])
def test_what_is_no_database_is_told_as_dagsters_own_storage_tells_it(settings: Settings, file: str) -> None:
    with dagster_instance(settings):
        pass
    (settings.data_dir / "dagster" / file).write_bytes(b"x" * 5000)
    with pytest.raises(sa.exc.DatabaseError, match="file is not a database"), dagster_instance(settings) as instance:
        instance.get_runs()
        instance.get_asset_keys()
        instance.all_instigator_state()


def test_a_watcher_sees_events_while_the_writer_keeps_the_log_open(tmp_path: Path) -> None:
    """What an open page of the UI shows of a run. The folder has characters that stand for others in a pattern."""
    writer, reader = (CompactEventLogStorage(str(tmp_path / "a[1]*b")) for _ in range(2))
    seen: list[str] = []
    reader.get_records_for_run("one")  # the page was opened before the run began
    reader.watch("one", None, lambda event, _cursor: seen.append(event.user_message))
    try:
        for number in range(3):
            writer.store_event(EventLogEntry(None, 20, f"event {number}", "one", 100.0 + number))
            eventually(lambda: len(seen) > number, 10)  # noqa: B023
        assert seen == ["event 0", "event 1", "event 2"]
    finally:
        reader.dispose()
        writer.dispose()


def test_a_log_that_another_process_opens_at_this_moment_is_waited_for(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "one.db", check_same_thread=False)) as other:
        other.executescript("create table event_logs (id integer primary key); begin; select * from event_logs")
        other.execute("select * from sqlite_master").fetchall()
        release = threading.Timer(0.3, other.rollback)
        engine = sa.create_engine(f"sqlite:///{tmp_path}/one.db", connect_args={"timeout": 0})
        release.start()
        _switch_to_wal(engine)
        assert engine.connect().exec_driver_sql("pragma journal_mode").scalar_one() == "wal"
        release.join()
        engine.dispose()


def test_a_step_without_a_place_in_its_pool_waits_a_moment(settings: Settings) -> None:
    """Dagster's executor would ask again at once, without end."""
    with dagster_instance(settings) as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("ib", 1)
        assert storage.claim_concurrency_slot("ib", "first", "bars").is_claimed
        begin = time.monotonic()
        found = storage.claim_concurrency_slot("ib", "second", "bars")
        assert not found.is_claimed and found.sleep_interval == 0
        assert time.monotonic() - begin >= CLAIM_WAIT
        storage.free_concurrency_slots_for_run("first")
        assert storage.claim_concurrency_slot("ib", "second", "bars").is_claimed
