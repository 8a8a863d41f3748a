"""Dagster's private names that the platform uses, under plain ones: the one module to look at when Dagster is updated.

Names that `import dagster` does not load itself are loaded when they are first asked for.

Private modules that are named as text elsewhere: `resources.instance`
(`dagster._core.storage.noop_compute_log_manager`), `serving.supervisor` (`dagster._daemon`, run as a module),
`automation.run_dedup` (the job `__ASSET_JOB`).

Private members of Dagster's storage classes that `resources.storage` uses or overrides, as their subclasses must: of
runs `_get_run_insertion_values`; of events `_connect`, `_initdb`, `_db_lock`, `_obs`, `_watchers`, `_base_dir`; of the
watchdog `_log_path`, `_process_log`; of all together `_run_storage`, `_event_log_storage`, `_schedule_storage`,
`_inst_data`. Of contexts: here alone.
"""

# ruff: noqa: F401 (the module is where other ones have these names from)
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagster import DataVersion, OutputContext, ScheduleEvaluationContext
from dagster._config.config_schema import UserConfigSchema  # the form of a storage's settings
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,  # an event: a check is planned
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as AssetCheckTarget,  # the materialization that a check speaks of
)
from dagster._core.definitions.partitions.subset import (
    DefaultPartitionsSubset,  # partitions as keys
    TimeWindowPartitionsSubset,  # partitions as time windows of a definition
)
from dagster._core.event_api import EventHandlerFn  # the type of a callback for new events
from dagster._core.events import (
    ASSET_CHECK_EVENTS,  # kinds of events about a check
    ASSET_EVENTS,  # kinds of events about an asset
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,  # kinds of events with which the status of a run changes
    HandledOutputData,  # an event: an output was stored
    StepMaterializationData,  # an event: a partition was materialized
)
from dagster._core.events.log import EventLogEntry  # one stored event
from dagster._core.instance.ref import InstanceRef  # an instance by folder and settings
from dagster._core.launcher.base import (
    CheckRunHealthResult,  # whether a run's worker lives
    LaunchRunContext,  # what a run launcher is given
    ResumeRunContext,  # the same to resume a run
    RunLauncher,  # the base of run launchers
    WorkerStatus,
)

# where a schedule or sensor is defined
from dagster._core.remote_origin import RemoteInstigatorOrigin as InstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,  # whether a schedule or sensor is on, and its cursor
    InstigatorStatus,
    InstigatorType,
)
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as CheckStatus,  # how a check ended
)
from dagster._core.storage.tags import (
    AUTO_RETRY_RUN_ID_TAG,  # of a failed run: the run that tries again
    RETRY_NUMBER_TAG,  # of a run that tries again: how many tries came before
    RUN_KEY_TAG,  # of a run that a sensor requested: the key under which Dagster starts none again
    WILL_RETRY_TAG,  # of a failed run: whether Dagster tries again
)
from dagster._record import replace  # a copy of a record with other values
from dagster._serdes import (
    ConfigurableClass,  # what `dagster.yaml` can name
    ConfigurableClassData,  # a class of `dagster.yaml` with its settings
    serialize_value,  # an instance's reference as text
)
from dagster._utils.concurrency import ConcurrencyClaimStatus  # whether a step has its place in a pool
from dagster._utils.log import configure_loggers  # the format of a service's log

if TYPE_CHECKING:
    from dagster._core.storage.base_storage import DagsterStorage
    from dagster._core.storage.cloud_storage_compute_log_manager import (
        CloudStorageComputeLogManager,
        PollingComputeLogSubscriptionManager,
    )
    from dagster._core.storage.compute_log_manager import (
        CapturedLogContext,
        CapturedLogSubscription,
        ComputeIOType,
    )
    from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorageWatchdog
    from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
    from dagster._core.storage.root import LocalArtifactStorage
    from dagster._core.storage.runs import RunStorage, SqliteRunStorage, SqlRunStorage
    from dagster._core.storage.schedules import ScheduleStorage, SqliteScheduleStorage
    from dagster._core.storage.sqlite import create_db_conn_string
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
    from dagster._core.storage.sqlite_storage import _event_logs_directory as event_logs_directory
    from dagster._core.storage.sqlite_storage import _runs_directory as runs_directory
    from dagster._core.storage.sqlite_storage import _schedule_directory as schedule_directory
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs

_STORAGE = "dagster._core.storage"

_LATER = {
    "DagsterStorage": f"{_STORAGE}.base_storage",  # runs, events and schedules together, wherever they are kept
    "SqlEventLogStorage": f"{_STORAGE}.event_log",  # a storage of events in any SQL database
    "SqliteEventLogStorage": f"{_STORAGE}.event_log",  # Dagster's own storage of events
    "AssetCheckExecutionsTable": f"{_STORAGE}.event_log.schema",  # the table of checks
    "SqlEventLogStorageTable": f"{_STORAGE}.event_log.schema",  # the table of events
    "INDEX_SHARD_NAME": f"{_STORAGE}.event_log.sqlite.sqlite_event_log",  # the event log of all runs
    # notifies open pages of the UI of new events
    "SqliteEventLogStorageWatchdog": f"{_STORAGE}.event_log.sqlite.sqlite_event_log",
    # what runs print, kept for several machines
    "CloudStorageComputeLogManager": f"{_STORAGE}.cloud_storage_compute_log_manager",
    # has open pages of the UI look at it again and again
    "PollingComputeLogSubscriptionManager": f"{_STORAGE}.cloud_storage_compute_log_manager",
    "CapturedLogContext": f"{_STORAGE}.compute_log_manager",  # says where a step's output is captured
    "CapturedLogSubscription": f"{_STORAGE}.compute_log_manager",  # an open page that shows it
    "ComputeIOType": f"{_STORAGE}.compute_log_manager",  # the streams of a step
    "IO_TYPE_EXTENSION": f"{_STORAGE}.local_compute_log_manager",  # how their files are named
    "LocalComputeLogManager": f"{_STORAGE}.local_compute_log_manager",  # Dagster's own keeping of what runs print
    "LocalArtifactStorage": f"{_STORAGE}.root",  # Dagster's own storage of what else it keeps
    "RunStorage": f"{_STORAGE}.runs",  # a storage of runs
    "SqlRunStorage": f"{_STORAGE}.runs",  # a storage of runs in any SQL database
    "SqliteRunStorage": f"{_STORAGE}.runs",  # Dagster's own storage of runs
    "ScheduleStorage": f"{_STORAGE}.schedules",  # keeps the states of schedules and sensors
    "SqliteScheduleStorage": f"{_STORAGE}.schedules",  # Dagster's own storage of schedules and ticks
    "create_db_conn_string": f"{_STORAGE}.sqlite",  # the URL of a database by folder and name
    "DagsterSqliteStorage": f"{_STORAGE}.sqlite_storage",  # all three storages together
    "event_logs_directory": f"{_STORAGE}.sqlite_storage",  # where the events are
    "runs_directory": f"{_STORAGE}.sqlite_storage",  # where the runs are
    "schedule_directory": f"{_STORAGE}.sqlite_storage",  # where the schedules are
    "WorkspaceProcessContext": "dagster._core.workspace.context",  # the code locations that the UI shows
    "ExecuteRunArgs": "dagster._grpc.types",  # what the process of a run is given
    "ResumeRunArgs": "dagster._grpc.types",  # the same to resume a run
    "WorkspaceFileTarget": "dagster._core.workspace.load_target",  # a workspace file, for the same
}
"""Module of each name that is loaded late, and what the name is for. Names that Dagster writes with an underscore have
none here."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LATER[name])
    return getattr(module, f"_{name}" if name.endswith("_directory") else name)


def record_partitions(context: OutputContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Have Dagster record a materialization of exactly these partitions of an output, each with its metadata, in order
    of the keys.

    Called by an IO manager after the write. By itself Dagster records every partition of the run, whether its data is
    there or not, and no other. With no partition nothing is recorded, and the steps downstream run all the same.

    The data version of the asset and of each upstream asset is its code version, in every partition: Dagster would
    compare with the versions of the run's partitions alone, and show the others as out of date.
    """
    if not metadata:
        context._asset_key = None
        return
    step, accumulator = context.step_context, context.step_context._metadata_accumulator
    graph, known = step.job_def.asset_layer, step._data_version_cache.input_asset_version_info
    step.set_data_version(context.asset_key, DataVersion(graph.get(context.asset_key).code_version or ""))
    for key in graph.get(context.asset_key).parent_keys:
        if (info := step.maybe_fetch_and_get_input_asset_version_info(key)) is not None:
            known[key] = dataclasses.replace(info, data_version=DataVersion(graph.get(key).code_version or ""))
    for partition, values in metadata.items():
        accumulator = accumulator.with_additional_asset_metadata(context.asset_key, partition, values)
    step._metadata_accumulator = accumulator
    context._asset_partitions_subset = context.asset_partitions_def.subset_with_partition_keys(sorted(metadata))


def scheduled_time(context: ScheduleEvaluationContext) -> datetime | None:
    """The instant a tick was scheduled for; None where nobody said one: the public property raises then."""
    return context._scheduled_execution_time
