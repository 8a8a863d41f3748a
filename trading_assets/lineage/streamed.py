"""Which stream the quote of a chain row was taken from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from trading_assets.lineage.lake_rows import Found
from trading_assets.repositories.frames import GIVEN_BY_USER
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.public import query
from trading_assets.repositories.schemas import OPTION_CHAINS

StreamKey = tuple[date, int, datetime]
"""Session, contract id and the instant at which the update came."""

_LIVE = frozenset(dataset.name for dataset in LIVE_DATASETS)


def streams_of(data_dir: Path, rows: Iterable[Found]) -> dict[StreamKey, str]:
    """The streams whose updates are the quotes of chain rows that name no request, as far as they are recorded."""
    wanted = {key for found in rows if _may_be_streamed(found) and (key := _key(found)) is not None}
    if not wanted:
        return {}
    sessions, con_ids, instants = zip(*wanted, strict=True)
    sql = """select session, con_id, received_at, stream_id from live_quotes
             where session in (select unnest($sessions)) and con_id in (select unnest($con_ids))
               and received_at between $first and $last"""
    given = {"sessions": [*{*sessions}], "con_ids": [*{*con_ids}], "first": min(instants), "last": max(instants)}
    found = query(data_dir, sql, given, live=True).to_pylist()
    there = {(row["session"], row["con_id"], row["received_at"]): str(row["stream_id"]) for row in found}
    return {key: stream for key, stream in there.items() if key in wanted}


def stream_of(found: Found, streams: dict[StreamKey, str]) -> str | None:
    """The stream that a row comes from; None for a row that comes from none."""
    if found.dataset in _LIVE:
        return str(found.row["stream_id"])
    key = _key(found) if _may_be_streamed(found) else None
    return None if key is None else streams.get(key)


def _may_be_streamed(found: Found) -> bool:
    row = found.row
    named = found.dataset == OPTION_CHAINS.name and row["request_id"] == GIVEN_BY_USER
    return named and row.get("quote_outcome") is not None


def _key(found: Found) -> StreamKey | None:
    """The quote of a streamed row came when the row was collected."""
    row = found.row
    return (row["session"], row["con_id"], row["collected_at"]) if row.get("con_id") else None
