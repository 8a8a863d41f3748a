"""What a materialization shows in the UI: the rows of each partition, and with the newest one the archive and the
run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.repositories.store import UpsertCounts
from trading_assets.resources.completeness import SessionState, written_sessions
from trading_assets.resources.metadata_pictures import pictures as draw

ROWS_SHOWN = 20
"""Rows of a table in the event log: enough to recognise the data, small enough for hundreds of partitions."""


def partition_metadata(archive: Archive, collected: Collected, sessions: Sequence[date]) -> dict[date, dict[str, Any]]:
    """Of each of the sessions: how many rows the lake has of it, and the window of the run that reported them."""
    if not sessions:
        return {}
    sql = (
        f'select session, count(*) as rows from "{collected.dataset.name}" where session between $first and $last group'
        " by session"
    )
    rows = archive.lake.query(sql, {"first": min(sessions), "last": max(sessions)}).to_pylist()
    counts = {row["session"]: row["rows"] for row in rows}
    return {
        session: {"dagster/partition_row_count": counts.get(session, 0), **_window(collected)} for session in sessions
    }


def run_metadata(
    archive: Archive,
    collected: Collected,
    counts: UpsertCounts,
    states: Mapping[date, SessionState],
    *,
    pictures: bool = True,
) -> dict[str, Any]:
    """Metadata of the archive after one write of `collected`, and of the run that wrote, by name.

    Without `pictures` none are drawn: a person at a prompt waits for the first one two seconds.
    """
    report = collected.report
    (stored,) = archive.lake.query(f'select count(*) as rows from "{collected.dataset.name}"')["rows"].to_pylist()
    metadata: dict[str, Any] = {
        "dagster/row_count": stored,
        "dagster/uri": (archive.settings.data_dir / collected.dataset.name).as_uri(),
        "rows": collected.table.num_rows,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "requests_planned": report.planned,
        "requests_sent": report.sent,
        "requests_reused": report.reused,
        "requests_saved": report.saved,
        "problems": len(report.problems),
        "outcomes": dg.MetadataValue.json(dict(report.outcomes)),
        "rows_by_symbol": dg.MetadataValue.json(dict(sorted(report.rows_by_symbol.items())[:200])),
        **_window(collected),
    }
    if report.snapshots_used:
        metadata["snapshots_used"] = dg.MetadataValue.json(dict(sorted(report.snapshots_used.items())[-60:]))
    if report.notes:
        metadata["notes"] = "\n".join(report.notes[:50])
    if conditions := conditions_of(states, report.sessions):
        metadata["conditions"] = dg.MetadataValue.json(conditions)
    # One more session is not worth drawing all of them again: that was a tenth of the time of a daily run.
    if pictures and (counts.inserted or counts.updated) and len(written_sessions(collected)) > 1:
        metadata |= draw(archive, collected)
    if collected.table.num_rows:
        metadata["last_rows"] = plain_table(collected.table.slice(max(0, collected.table.num_rows - ROWS_SHOWN)))
    return metadata


def conditions_of(states: Mapping[date, SessionState], sessions: Sequence[date]) -> dict[str, int]:
    """Sessions of symbols (and bar sizes) by condition, the most frequent first: the numbers that the command
    `coverage` prints."""
    total = Counter[str]()
    for session in sessions:
        if session in states:
            total.update(states[session].conditions)
    return dict(total.most_common())


def plain_table(rows: pa.Table) -> dg.MetadataValue:
    """Rows as a table of the UI; columns of words that nobody compares are left out, nothing stands for null."""
    shown = [
        name
        for name in rows.column_names
        if name not in ("request_id", "trading_hours", "liquid_hours", "valid_exchanges")
    ]
    records = [{name: _plain(value) for name, value in row.items()} for row in rows.select(shown).to_pylist()]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records])


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else "" if value is None else str(value)


def _window(collected: Collected) -> dict[str, str]:
    sessions = collected.report.sessions
    return {"window": f"{sessions[0]} to {sessions[-1]}, {len(sessions)} session(s)"} if sessions else {}
