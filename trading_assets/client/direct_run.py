"""A direct call as Dagster sees it: a run of its own, with the partitions it collected and their checks.

There is no job behind it: the run is recorded when the data is in the lake, so that the UI, the lineage of a row and
the checks of a partition find a direct request where they find any other.
"""

from __future__ import annotations

import dagster as dg

from trading_assets.assets.policy import CODE_VERSION
from trading_assets.checks.completeness_check import session_checks
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.repositories.store import UpsertCounts
from trading_assets.resources.completeness import session_states
from trading_assets.resources.dagster_private import StepMaterializationData
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.metadata import partition_metadata, run_metadata
from trading_assets.resources.recorded_sessions import sessions_to_record

DIRECT_REQUEST = "direct_request"
"""What stands as the job of such a run."""

_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION
_CHECK = dg.DagsterEventType.ASSET_CHECK_EVALUATION


def record_run(archive: Archive, collected: Collected, counts: UpsertCounts, run_id: str) -> None:
    """Record what a direct call collected under `run_id`: the run, the sessions whose data is in the lake as
    materialized partitions of the asset, and the check `complete` of sessions that lacked something or do now.

    The metadata is that of a run without its pictures; the data version is the asset's code version.
    """
    states = session_states(archive, collected)
    asset = dg.AssetKey(collected.dataset.name)
    with dagster_instance(archive.settings, captures=False) as instance:
        if not instance.has_run(run_id):
            instance.add_run(dg.DagsterRun(DIRECT_REQUEST, run_id, status=dg.DagsterRunStatus.SUCCESS))
        known = instance.get_materialized_partitions(asset)
        asked = {session.isoformat() for session in collected.report.sessions}
        recorded = partition_metadata(archive, collected, sessions_to_record(collected, states, asked, known))
        if recorded:
            recorded[max(recorded)] |= run_metadata(archive, collected, counts, states, pictures=False)
        for session, metadata in sorted(recorded.items()):
            materialization = dg.AssetMaterialization(
                asset,
                partition=session.isoformat(),
                metadata=metadata,
                tags={"dagster/code_version": CODE_VERSION, "dagster/data_version": CODE_VERSION},
            )
            _report(
                instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(materialization)
            )
        for check in session_checks(instance, archive, collected, asset=asset):
            _report(instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION, check)


def _report(
    instance: dg.DagsterInstance,
    run_id: str,
    kind: dg.DagsterEventType,
    data: StepMaterializationData | dg.AssetCheckEvaluation,
) -> None:
    event = dg.DagsterEvent(event_type_value=kind.value, job_name=DIRECT_REQUEST, event_specific_data=data)
    instance.report_dagster_event(event, run_id=run_id)
