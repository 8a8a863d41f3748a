"""Partitions recorded in Dagster's history without a run: what the lake has and the history does not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings


def record_runless_partitions(
    settings: Settings,
    datasets: Sequence[str],
    missing: Callable[[str, set[date]], Mapping[date, int]],
    by: str,
    *,
    definitions: dg.Definitions,
    code_version: str,
) -> dict[str, int]:
    """Record partitions of each dataset's asset, in the order of `datasets` (upstream first), oldest first; how many,
    by dataset, where there are any. `definitions` say which assets are upstream.

    `missing` says, for a dataset and the sessions that Dagster shows as materialized, which sessions it should show
    besides and how many rows each has. `by`: who records them and from what, shown as metadata. The history is made
    where there is none.
    """
    graph = definitions.resolve_asset_graph()
    counts: dict[str, int] = {}
    with dagster_instance(settings) as instance:
        for name in datasets:
            key = dg.AssetKey(name)
            tags: dict[str, str] = {"dagster/code_version": code_version, "dagster/data_version": code_version}
            for parent in graph.get(key).parent_keys:
                tags[f"dagster/input_data_version/{parent.to_user_string()}"] = code_version
            known = {date.fromisoformat(partition) for partition in instance.get_materialized_partitions(key)}
            for session, rows in sorted(missing(name, known).items()):
                metadata: dict[str, Any] = {"dagster/partition_row_count": rows, "recorded_by": by}
                event = dg.AssetMaterialization(key, partition=session.isoformat(), metadata=metadata, tags=tags)
                instance.report_runless_asset_event(event)
                counts[name] = counts.get(name, 0) + 1
    return counts
