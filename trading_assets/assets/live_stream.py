"""The external asset `live_stream`: what the recorder receives; no run of Dagster materializes it. And its check."""

from typing import Any

import dagster as dg

from trading_assets.assets.partitions import session_partitions
from trading_assets.resources.archive import ArchiveResource
from trading_assets.settings import Settings
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.status import StreamingStatus, status_of

LIVE_STREAM = "live_stream"
STREAM_HEALTHY = "stream_healthy"

STREAMS_SHOWN = 100
"""Rows of the table in metadata: an account has as many lines."""

live_stream = dg.AssetSpec(
    LIVE_STREAM,
    description=(
        "The market data that the recorder streams from the broker, observed once a minute while it runs. It is a"
        " process of its own (`trading-assets live`, `LiveDataManager`, `trading-assets up --live`)."
    ),
    group_name="live",
    kinds={"ibkr"},
    owners=["team:trading-assets"],
    partitions_def=session_partitions(),
)


@dg.asset_check(
    asset=LIVE_STREAM,
    name=STREAM_HEALTHY,
    description="Everything that somebody wants streamed is streamed, or is not wanted at this time.",
)
def stream_healthy(archive: ArchiveResource) -> dg.AssetCheckResult:
    """How the streams are now; the recorder's side process reports the same every minute."""
    status = current_status(archive.settings())
    return dg.AssetCheckResult(**_result(status))


def current_status(settings: Settings) -> StreamingStatus:
    """The status of all streams of the lake, at the platform's clock."""
    registry = LiveRegistry(settings.state_url)
    return status_of(settings.clock(), registry.state(), registry.wanted(), {}, everything=True)


def observation(status: StreamingStatus, session: str) -> dg.AssetObservation:
    """The streams as an observation of the session's partition."""
    return dg.AssetObservation(LIVE_STREAM, partition=session, metadata=_metadata(status))


def evaluation(status: StreamingStatus) -> dg.AssetCheckEvaluation:
    """The check as an event."""
    return dg.AssetCheckEvaluation(asset_key=dg.AssetKey(LIVE_STREAM), check_name=STREAM_HEALTHY, **_result(status))


def _result(status: StreamingStatus) -> dict[str, Any]:
    problems = [f"- {said}" for said in status.problems]
    return {
        "passed": status.ok,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": "\n".join(problems) if problems else status.summary(),
        "metadata": _metadata(status),
    }


def _metadata(status: StreamingStatus) -> dict[str, Any]:
    streams = status.streams
    newest = max((stream.last_update for stream in streams if stream.last_update), default=None)
    found: dict[str, Any] = {
        "recorder": status.summary(),
        "streams": len(streams),
        "states": dg.MetadataValue.json(status.states),
        "updates": sum(stream.updates for stream in streams),
        "updates_per_second": round(sum(stream.rate for stream in streams), 1),
        "gaps": sum(stream.gaps for stream in streams),
        "resubscriptions": sum(stream.resubscriptions for stream in streams),
        "problems": dg.MetadataValue.json(list(status.problems)),
    }
    if newest is not None:
        found["last_update"] = dg.MetadataValue.timestamp(newest)
    lags = [stream.lag for stream in streams if stream.lag is not None]
    if lags:
        found["largest_lag_seconds"] = round(max(lags), 3)
    if streams:
        rows = [_row(stream.as_dict()) for stream in streams[:STREAMS_SHOWN]]
        found["table"] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    return found


_COLUMNS = ("contract", "kind", "state", "since", "last_update", "updates", "rate", "gaps", "resubscriptions", "text")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if record[name] is None else record[name] for name in _COLUMNS}
