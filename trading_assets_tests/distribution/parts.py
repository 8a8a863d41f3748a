"""The parts of a distribution, submitted and run as Dagster's daemon does it, one after another in this process.

Not a test.
"""

from __future__ import annotations

import dagster as dg
import pyarrow as pa

from trading_assets.automation.distribution import parts_to_submit
from trading_assets.definitions import build_defs
from trading_assets.jobs.runner import QUIET
from trading_assets.jobs.surroundings import undisturbed
from trading_assets.repositories import query
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings


def submitted(settings: Settings, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """What one look of the sensor asks for; nothing where it gives a reason."""
    with dg.build_sensor_context(instance) as context:
        found = parts_to_submit(context, settings)
    return [] if isinstance(found, dg.SkipReason) else found


def run_parts(settings: Settings) -> list[dg.ExecuteInProcessResult]:
    """Run what one look of the sensor asks for."""
    with undisturbed(), dagster_instance(settings, captures=False) as instance:
        return [run_part(settings, instance, request) for request in submitted(settings, instance)]


def run_part(settings: Settings, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Run one part."""
    given = settings.model_dump(exclude={"data_dir_setting", "selection"}, exclude_none=True, mode="json")
    definitions = build_defs(**given, selection=settings.selection, data_dir=str(settings.data_dir))
    assert request.job_name is not None
    job = definitions.resolve_job_def(request.job_name)
    if request.asset_selection:
        job = job.get_subset(
            asset_selection=set(request.asset_selection), asset_check_selection=set(request.asset_check_keys or ())
        )
    return job.execute_in_process(
        instance=instance,
        run_config={**QUIET, **request.run_config},
        tags=dict(request.tags),
        partition_key=request.partition_key,
        raise_on_error=False,
    )


def rows_of(settings: Settings, dataset: str) -> pa.Table:
    """All rows of a dataset, but when and by which request they came: that differs between two lakes."""
    sql = f'select * exclude (collected_at, request_id) from "{dataset}" order by all'
    return query(settings.data_dir, sql)
