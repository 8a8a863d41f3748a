"""What the storages of Dagster's history have in common, whatever database they are on: smaller runs and events, and a
step that waits for its pool without a busy processor.

Dagster 1.13 keeps the partitions of a run with the run and with each of its planned checks, as time windows of the
whole partitions definition, holidays included: 30 KB each for a calendar that begins in 1998. A run of four assets left
1.3 MB of such events and spent a third of its time on them. The partition keys say the same in some 20 bytes a session.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dagster import DagsterRun

from trading_assets.resources.dagster_private import (
    AssetCheckEvaluationPlanned,
    ConcurrencyClaimStatus,
    DefaultPartitionsSubset,
    EventLogEntry,
    HandledOutputData,
    SqlEventLogStorage,
    SqlRunStorage,
    TimeWindowPartitionsSubset,
    replace,
)
from trading_assets.resources.partitions_hash import remember_hashes

remember_hashes()  # every process of Dagster on a data folder loads this module, its own services too

CLAIM_WAIT = 0.5
"""Seconds between two looks of a waiting step whether its pool has a place."""


class CompactRuns(SqlRunStorage):
    """Keeps runs without their partitions: the tags of a run name them, and Dagster reads them from there."""

    def _get_run_insertion_values(
        self, dagster_run: DagsterRun, run_creation_time: datetime | None = None
    ) -> dict[str, Any]:
        return super()._get_run_insertion_values(dagster_run._replace(partitions_subset=None), run_creation_time)


class CompactEvents(SqlEventLogStorage):
    """Keeps the partitions of planned checks as keys, knows the tables that are there, and waits for a place in a
    pool."""

    def __init__(self, *place: Any, **given: Any) -> None:
        self._tables: set[str] = set()
        super().__init__(*place, **given)

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event."""
        super().store_event(compact(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store some events."""
        super().store_event_batch([compact(event) for event in events])

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Take a place in a pool; when it has none, wait a moment, and say so.

        The wait is here because Dagster's executor does not wait: it takes the negative of the time that is left
        (dagster-io/dagster#20367), keeps a processor busy, and in one process with the run that has the place slows
        that down tenfold.
        """
        found = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if found.is_claimed:
            return found
        time.sleep(CLAIM_WAIT)
        return found.with_sleep_interval(0.0)

    def has_table(self, table_name: str) -> bool:
        """Whether the database has a table. Dagster asks it sixteen times a run; a table that is there stays."""
        if table_name not in self._tables and super().has_table(table_name):  # type: ignore[safe-super]
            self._tables.add(table_name)
        return table_name in self._tables


def compact(event: EventLogEntry) -> EventLogEntry:
    """The event with the partitions of a planned check as keys, and without the metadata that the materialization
    beside it has.

    What our IO manager says of a write (it names the `dagster/uri`) is in the asset's materialization; Dagster repeats
    it in the event that the output was handled. Every other event stays as it is.
    """
    inner = event.dagster_event
    data = inner.event_specific_data if inner is not None else None
    if isinstance(data, AssetCheckEvaluationPlanned) and isinstance(data.partitions_subset, TimeWindowPartitionsSubset):
        keys = DefaultPartitionsSubset(set(data.partitions_subset.get_partition_keys()))
        data = replace(data, partitions_subset=keys)
    elif isinstance(data, HandledOutputData) and "dagster/uri" in data.metadata:
        data = data._replace(metadata={})
    else:
        return event
    assert inner is not None
    return event._replace(dagster_event=inner._replace(event_specific_data=data))
