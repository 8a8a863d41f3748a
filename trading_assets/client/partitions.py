"""What a direct request brought, recorded with Dagster: the partitions it collected are materialized without a run."""

from __future__ import annotations

import dagster as dg

from trading_assets.assets.policy import CODE_VERSION
from trading_assets.checks.completeness_check import session_checks
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.repositories.store import UpsertCounts
from trading_assets.resources.completeness import session_states
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.metadata import partition_metadata, run_metadata
from trading_assets.resources.recorded_sessions import sessions_to_record


def record_partitions(archive: Archive, collected: Collected, counts: UpsertCounts, *, by: str) -> None:
    """Record the sessions whose data is in the lake as materialized partitions of the asset, as a run would.

    The metadata is that of a run without its pictures, with `by` as `collected_by`; the data version is the asset's
    code version. The check `complete` of a session that lacked something, or does now, is evaluated anew.
    """
    states = session_states(archive, collected)
    key = dg.AssetKey(collected.dataset.name)
    with dagster_instance(archive.settings, captures=False) as instance:
        known = instance.get_materialized_partitions(key)
        asked = {session.isoformat() for session in collected.report.sessions}
        recorded = partition_metadata(archive, collected, sessions_to_record(collected, states, asked, known))
        if recorded:
            recorded[max(recorded)] |= run_metadata(archive, collected, counts, states, pictures=False)
        for session, metadata in sorted(recorded.items()):
            event = dg.AssetMaterialization(
                key,
                partition=session.isoformat(),
                metadata={**metadata, "collected_by": by},
                tags={"dagster/code_version": CODE_VERSION, "dagster/data_version": CODE_VERSION},
            )
            instance.report_runless_asset_event(event)
        for check in session_checks(instance, archive, collected, asset=key):
            instance.report_runless_asset_event(check)
