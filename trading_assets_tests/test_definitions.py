"""What Dagster is told: all definitions against an answer file, the partitions against the calendar, the instance's
settings.

When a change of the definitions is meant, rewrite the answer file and read its difference:
`TRADING_ASSETS_TESTS_REWRITE=1 pytest trading_assets_tests/test_definitions.py`.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._core.workspace.load_target import ModuleTarget, get_target_from_toml_data
from hypothesis import example, given
from hypothesis import strategies as st

from trading_assets.assets.partitions import session_partitions, sessions_of
from trading_assets.definitions import build_defs
from trading_assets.repositories.schemas import DATASETS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.history_folder import elsewhere
from trading_assets.resources.instance import dagster_home, dagster_instance, dagster_yaml
from trading_assets.selection_rules import SelectionRules
from trading_assets.serving.supervisor import LOCATION, MODULE
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
ANSWERS = Path(__file__).parent / "answers" / "definitions.json"
REWRITE = "TRADING_ASSETS_TESTS_REWRITE"

ORDER = ["contracts", "option_chains", "equity_bars", "option_bars"]

XNYS = calendar()


@cache
def definitions() -> dg.Definitions:
    return build_defs()


def described() -> dict[str, Any]:
    """All that a user of Dagster sees of the platform, as plain values."""
    defs = definitions()
    graph = defs.resolve_asset_graph()
    assets = {key.to_user_string(): asset(graph, key) for key in graph.toposorted_asset_keys}
    jobs = {name: job(defs, name) for name in sorted(j.name for j in defs.jobs or ())}
    repository = defs.get_repository_def()
    return {
        "assets": assets,
        "jobs": jobs,
        "schedules": {
            s.name: {"job": s.job_name, "cron": s.cron_schedule, "zone": s.execution_timezone}
            for s in repository.schedule_defs
        },
        "sensors": {
            s.name: {"description": s.description, "interval": s.minimum_interval_seconds}
            for s in repository.sensor_defs
        },
        "resources": {name: type(resource).__name__ for name, resource in sorted((defs.resources or {}).items())},
    }


def asset(graph: Any, key: dg.AssetKey) -> dict[str, Any]:
    node = graph.get(key)
    spec = node.to_asset_spec()
    columns = spec.metadata["dagster/column_schema"].columns if node.is_executable else ()  # external: rows elsewhere
    config = node.assets_def.op.config_schema.config_type if node.is_executable and node.partitions_def else None
    checks = [graph.get_check_spec(check) for check in sorted(node.check_keys, key=str)]
    return {
        "description": node.description,
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "owners": list(node.owners),
        "code_version": node.code_version,
        "pool": sorted(node.pools or ()),
        "io_manager": node.io_manager_key,
        "upstream": sorted(parent.to_user_string() for parent in node.parent_keys),
        "partitions": partitions(node.partitions_def) if node.partitions_def else None,
        "backfill": node.backfill_policy.policy_type.value if node.backfill_policy else None,
        "table": spec.metadata["dagster/table_name"] if node.is_executable else None,
        "checks": {check.name: {"description": check.description, "blocking": check.blocking} for check in checks},
        "columns": [
            f"{c.name}: {c.type}{'' if c.constraints.nullable else ' not null'} - {c.description}" for c in columns
        ],
        "config": fields(config) if hasattr(config, "fields") else {},
    }


def partitions(found: dg.TimeWindowPartitionsDefinition) -> dict[str, Any]:
    return {
        "start": f"{found.start:%Y-%m-%d}",
        "format": found.fmt,
        "zone": found.timezone,
        "schedule": found.cron_schedule,
        "end_offset": found.end_offset,
    }


def fields(config: Any) -> dict[str, Any]:
    """The launchpad's fields of a run config: default and description, fields of fields below; none of an asset without
    a config."""
    shown: dict[str, Any] = {}
    for name, field in sorted(getattr(config, "fields", {}).items()):
        inner = getattr(field.config_type, "fields", None)
        default = (
            field.default_value_as_json_str if field.default_provided else "required" if field.is_required else "unset"
        )
        shown[name] = fields(field.config_type) if inner else f"{default} - {field.description}"
    return shown


def job(defs: dg.Definitions, name: str) -> dict[str, Any]:
    found = defs.resolve_job_def(name)
    ops = run_config(found).get("ops", {})
    return {
        "description": found.description,
        "assets": sorted(key.to_user_string() for key in found.asset_layer.executable_asset_keys),
        "checks": len(found.asset_layer.asset_graph.asset_check_keys),
        "config": {name: values["config"] for name, values in sorted(ops.items())},
        "tags": dict(sorted(found.run_tags.items())),
        "executor": found.executor_def.name,
    }


def run_config(found: dg.JobDefinition) -> Any:
    """The config that the launchpad opens with."""
    return found.get_run_config_for_partition_key("2015-12-24") if found.partitions_def else found.run_config or {}


def test_the_definitions_are_as_answered_for() -> None:
    text = json.dumps(described(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get(REWRITE):
        ANSWERS.parent.mkdir(exist_ok=True)
        ANSWERS.write_text(text, "utf-8")
    assert json.loads(text) == json.loads(ANSWERS.read_text("utf-8")), (
        f"If this is meant: {REWRITE}=1, then read the difference of {ANSWERS.name}."
    )


def test_the_assets_come_in_the_only_order_they_can() -> None:
    graph = definitions().resolve_asset_graph()
    assert [key.to_user_string() for key in graph.toposorted_asset_keys if key.to_user_string() in ORDER] == ORDER
    for before, after in pairwise(ORDER):
        assert dg.AssetKey(before) in graph.get_ancestor_asset_keys(dg.AssetKey(after))


def test_all_assets_share_one_policy() -> None:
    graph = definitions().resolve_asset_graph()
    for name in ORDER:
        node = graph.get(dg.AssetKey(name))
        assert node.pools == {"ib"}
        assert node.partitions_def is session_partitions()
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        assert node.owners
        assert node.code_version
        assert len(node.description) > 100
        schema = node.to_asset_spec().metadata["dagster/column_schema"]
        assert [column.name for column in schema.columns] == DATASETS[name].schema.names
        lineage = node.to_asset_spec().metadata["dagster/column_lineage"].deps_by_column
        assert bool(lineage) == bool(node.parent_keys)
        assert lineage.keys() <= set(DATASETS[name].schema.names)
        for (source,) in lineage.values():
            assert source.asset_key in node.parent_keys
            assert source.column_name in DATASETS[source.asset_key.to_user_string()].schema.names
        assert dg.AssetCheckKey(dg.AssetKey(name), "complete") in node.check_keys


def test_every_job_runs_in_one_process_and_is_started_again_after_a_broken_connection() -> None:
    for found in definitions().jobs or ():
        resolved = definitions().resolve_job_def(found.name)
        assert resolved.executor_def is dg.in_process_executor
        assert resolved.run_tags["dagster/max_retries"] == "2"


def test_the_config_of_every_job_is_valid() -> None:
    for found in definitions().jobs or ():
        resolved = definitions().resolve_job_def(found.name)
        assert dg.validate_run_config(resolved, run_config(resolved))


def test_the_launchpad_shows_the_rules_of_the_planner() -> None:
    """A default would be filled in by Dagster, and win over the settings; what holds without any is said of the
    whole."""
    selection = (
        definitions()
        .resolve_asset_graph()
        .get(dg.AssetKey("option_chains"))
        .assets_def.op.config_schema.config_type.fields["selection"]
    )
    assert not selection.is_required
    assert selection.description.endswith(
        f"(TRADING_ASSETS_SELECTION), and where these say nothing: {SelectionRules().words()}."
    )
    shown = selection.config_type.fields
    assert list(shown) == list(SelectionRules.model_fields)
    texts = dg.Array(dg.StringSource)
    kinds = {
        int: dg.IntSource,
        int | None: dg.IntSource,
        float | None: dg.Float,
        tuple[str, ...]: texts,
        tuple[str, ...] | None: texts,
    }
    for name, field in SelectionRules.model_fields.items():
        assert shown[name].config_type.key == dg.Noneable(kinds[field.annotation]).key, name
        assert shown[name].description == field.description, name
        assert not shown[name].is_required and not shown[name].default_provided, name


def test_overrides_reach_the_archive() -> None:
    resource = (build_defs(data_dir="/somewhere", broker="tws").resources or {})["archive"]
    assert isinstance(resource, ArchiveResource)
    settings = resource.settings()
    assert (str(settings.data_dir), settings.broker) == ("/somewhere", "tws")


# --- partitions -------------------------------------------------------------------------------------------------------


def newyork(day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK)


def last_partition(now: datetime) -> date:
    with dg.partition_loading_context(effective_dt=now):
        key = session_partitions().get_last_partition_key()
    assert key is not None
    return date.fromisoformat(key)


def test_ten_years_of_partitions_are_the_sessions_of_the_calendar() -> None:
    first, last = date(2014, 1, 2), date(2023, 12, 29)
    keys = session_partitions().get_partition_keys_in_range(dg.PartitionKeyRange(first.isoformat(), last.isoformat()))
    assert sessions_of(keys) == [date.fromisoformat(key) for key in keys] == XNYS.sessions(first, last)
    assert len(keys) == 2516


def test_the_first_partition_is_the_first_session() -> None:
    assert session_partitions().get_first_partition_key() == XNYS.first.isoformat() == "1998-01-02"


@given(st.datetimes(datetime(2012, 1, 1), datetime(2025, 12, 31), timezones=st.sampled_from([UTC, NEW_YORK])))
@example(newyork(date(2015, 12, 23), 0, 0))  # a session begins
@example(newyork(date(2015, 12, 22), 23, 59))
@example(newyork(date(2015, 12, 24), 13, 30))  # after the close of a half day
@example(newyork(date(2023, 11, 25)))  # a Saturday
@example(newyork(date(2023, 11, 26), 23, 59))  # a Sunday
@example(newyork(date(2024, 3, 10), 3))  # the clock goes forward
@example(newyork(date(2024, 11, 3), 1))  # the clock goes back
def test_the_newest_partition_is_the_current_session(now: datetime) -> None:
    """But on a weekday holiday, when Dagster shows the next session already (dagster-io/dagster#33551); assets refuse
    it."""
    today = now.astimezone(NEW_YORK).date()
    holiday = today.weekday() < 5 and not XNYS.is_session(today)
    after_holiday = not holiday and last_partition(now) != XNYS.current(now)
    if holiday or after_holiday:
        # The day before a weekend is its own newest partition; only a stretch that holds a weekday holiday may differ.
        assert last_partition(now) == XNYS.on_or_after(today)
        between = [XNYS.current(now) + timedelta(days=n) for n in range(1, (today - XNYS.current(now)).days + 1)]
        assert any(day.weekday() < 5 for day in between)
    else:
        assert last_partition(now) == XNYS.current(now)


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (newyork(date(2023, 11, 22)), date(2023, 11, 22)),
        (newyork(date(2023, 11, 23)), date(2023, 11, 24)),  # Thanksgiving
        (newyork(date(2023, 11, 24)), date(2023, 11, 24)),  # the half day after
        (newyork(date(2023, 11, 25)), date(2023, 11, 24)),
        (newyork(date(2023, 11, 27), 0), date(2023, 11, 27)),
    ],
)
def test_the_newest_partition_around_thanksgiving(now: datetime, newest: date) -> None:
    assert last_partition(now) == newest


def test_sessions_of_partition_keys_are_in_order() -> None:
    assert sessions_of(["2015-12-24", "2015-12-22", "2015-12-23"]) == [
        date(2015, 12, 22),
        date(2015, 12, 23),
        date(2015, 12, 24),
    ]


# --- the instance -----------------------------------------------------------------------------------------------------


def test_the_instance_at_the_top_of_the_project_is_the_packaged_one() -> None:
    assert (REPOSITORY / "dagster.yaml").read_text("utf-8") == dagster_yaml()


def test_the_instance_of_a_data_folder_keeps_all_it_has_in_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "lake")
    with dagster_instance(settings) as instance:
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 2
        assert instance.run_monitoring_enabled
        assert instance.get_settings("run_monitoring")["free_slots_after_run_end_seconds"] == 60
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 0  # jobs say how often
        assert Path(instance.root_directory).is_relative_to(tmp_path)
    words = yaml.safe_load((tmp_path / "lake" / "dagster" / "dagster.yaml").read_text("utf-8"))
    places = [
        words["storage"]["custom"]["config"],
        words["local_artifact_storage"]["config"],
        words["compute_logs"]["config"],
    ]
    assert all(Path(place["base_dir"]).is_relative_to(tmp_path / "lake" / "dagster") for place in places)
    assert "schedule" in words["retention"]


def test_a_current_instance_is_left_and_an_edited_one_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    file = dagster_home(settings) / "dagster.yaml"
    stamp = file.stat().st_mtime_ns, file.stat().st_ino
    dagster_home(settings)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == stamp
    file.write_text("telemetry:\n  enabled: true\n")
    dagster_home(settings)
    with dagster_instance(settings) as instance:
        assert instance.telemetry_enabled and instance.run_monitoring_enabled
    assert file.read_text("utf-8") == "telemetry:\n  enabled: true\n"
    file.unlink()
    dagster_home(settings)
    assert file.read_text("utf-8") == dagster_yaml(file.parent)
    assert not [path.name for path in file.parent.iterdir() if path.name.startswith(".dagster")]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the environment, which is not made yet."""
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path / "lake"


def project(folder: Path) -> Path:
    """A folder with the project's settings of Dagster."""
    folder.mkdir()
    return Path(shutil.copy(REPOSITORY / "dagster.yaml", folder)).parent


def test_all_ways_to_start_dagster_write_one_history(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands in the folder of the project without and with DAGSTER_HOME, with the folder that `up` makes, and
    `up` itself."""
    monkeypatch.chdir(project(tmp_path / "project"))
    ways: dict[str, Callable[[], AbstractContextManager[dg.DagsterInstance]]] = {
        "the project's folder": get_possibly_temporary_instance_for_cli,
        "DAGSTER_HOME, the project's folder": get_possibly_temporary_instance_for_cli,
        "DAGSTER_HOME, the history's folder": get_possibly_temporary_instance_for_cli,
        "up": lambda: dagster_instance(Settings()),
    }
    for way, instance_of in ways.items():
        if "DAGSTER_HOME" in way:
            monkeypatch.setenv("DAGSTER_HOME", str(Path.cwd() if "project" in way else dagster_home(Settings())))
        with instance_of() as instance:
            assert Path(instance.root_directory) == lake / "dagster", way
            logs = instance.compute_log_manager
            assert isinstance(logs, LocalComputeLogManager)
            assert Path(logs.get_captured_local_path(["one"], "out")).is_relative_to(
                lake / "dagster" / "compute_logs"
            ), way
            assert elsewhere(instance, Settings()) is None
            instance.run_storage.set_cursor_values({way: "was here"})
    with dagster_instance(Settings()) as instance:
        assert set(instance.run_storage.get_cursor_values(set(ways))) == set(ways)
    assert [path.parent for path in tmp_path.rglob("runs.db")] == [lake / "dagster" / "history"]
    assert (lake / "dagster").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["dagster.yaml"]


def test_a_wrong_setting_is_one_sentence_to_dagsters_commands_as_well(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "not a port")
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    with pytest.raises(ValueError, match=r"^The setting ib_port is wrong \('not a port'\): "):
        dg.DagsterInstance.get()
    assert not lake.exists()


def test_a_run_whose_history_is_kept_elsewhere_says_so(lake: Path, tmp_path: Path) -> None:
    @dg.asset
    def nothing(archive: ArchiveResource) -> None:
        """Opens no archive."""

    def warnings(instance: dg.DagsterInstance) -> list[str]:
        run = dg.materialize([nothing], instance=instance, resources={"archive": ArchiveResource()})
        return [entry.user_message for entry in instance.all_logs(run.run_id) if entry.level == logging.WARNING]

    (tmp_path / "other").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "other")) as instance:
        (said,) = warnings(instance)
        assert f"{tmp_path / 'other'}, not in {lake / 'dagster'}" in said
        assert f"DAGSTER_HOME={lake / 'dagster'}" in said
    with dagster_instance(Settings()) as instance:
        assert warnings(instance) == []


def test_all_ways_to_start_dagster_know_the_platform_by_one_name() -> None:
    """The name is part of the keys under which Dagster keeps what was switched off, and the cursors of sensors."""
    (origin,) = location_origins_from_yaml_paths([str(REPOSITORY / "workspace.yaml")])
    target = origin.loadable_target_origin
    assert (origin.location_name, target.module_name) == (LOCATION, MODULE)
    tool = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]
    for block in ("dagster", "dg"):
        read = get_target_from_toml_data({"tool": {block: tool[block]}})
        assert isinstance(read, ModuleTarget)
        assert (read.location_name, read.module_name) == (LOCATION, MODULE)
