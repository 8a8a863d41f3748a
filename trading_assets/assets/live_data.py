"""The assets of what was streamed: `live_quotes`, `live_bars` and `live_gaps`. Their runs seal and merge what the
recorder wrote; they receive nothing."""

from typing import Any

import dagster as dg

from trading_assets.assets.live_stream import LIVE_STREAM
from trading_assets.assets.partitions import sessions_of
from trading_assets.assets.policy import derived_policy
from trading_assets.errors import Refused
from trading_assets.repositories.live.finished import MergedSessions, merge_sessions
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.streaming.store.finishing import seal_recorded


def _policy(dataset: Dataset) -> dict[str, Any]:
    return derived_policy(dataset.name, group="live") | {"check_specs": []}


@dg.asset(**_policy(LIVE_QUOTES), deps=[LIVE_STREAM])
def live_quotes(context: dg.AssetExecutionContext, archive: ArchiveResource) -> MergedSessions:
    """Quotes as they changed while they were streamed: one row an update.

    A run seals what the recorder has written of the sessions and merges it into one sorted file a session. It may be
    repeated at any time, also while the recorder works: what is merged already stays as it is. Until then
    `connect(live=True)` and `trading-assets query --live` show the rows.
    """
    return _merged(context, archive, LIVE_QUOTES)


@dg.asset(**_policy(LIVE_BARS), deps=[LIVE_STREAM])
def live_bars(context: dg.AssetExecutionContext, archive: ArchiveResource) -> MergedSessions:
    """Five-second bars of the underlyings as they were streamed.

    Sealed and merged as `live_quotes`. The check `live_bars_agree` compares them with the bars of the archive that
    cover the same minutes. They never enter `equity_bars`.
    """
    return _merged(context, archive, LIVE_BARS)


@dg.asset(**_policy(LIVE_GAPS), deps=[LIVE_STREAM])
def live_gaps(context: dg.AssetExecutionContext, archive: ArchiveResource) -> MergedSessions:
    """Times in which updates of a stream may have been missed, and why: outside of them, no row means no update.

    Sealed and merged as `live_quotes`.
    """
    return _merged(context, archive, LIVE_GAPS)


def _merged(context: dg.AssetExecutionContext, archive: ArchiveResource, dataset: Dataset) -> MergedSessions:
    with raise_as_dagster_failure(context):
        lake = archive.open()
        sessions = sessions_of(context.partition_keys)
        current = lake.calendar.current(lake.now)
        if sessions[-1] > current:
            raise Refused(f"Session {sessions[-1]} has not begun: choose partitions up to {current}.")
        data_dir = lake.settings.data_dir
        return merge_sessions(data_dir, dataset, sessions, whole=seal_recorded(data_dir, sessions))


LIVE_ASSETS = (live_quotes, live_bars, live_gaps)
