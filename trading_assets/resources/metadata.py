"""What a materialization shows in the UI: counts, window, place, a small table, a picture of the newest rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.repositories.store import UpsertCounts
from trading_assets.resources.conditions import conditions_metadata

ROWS_SHOWN = 20
"""Rows of a table in the event log: enough to recognise the data, small enough for hundreds of partitions."""

SYMBOLS_DRAWN = 6
"""Lines in the picture: more than these cannot be told apart."""


def materialization_metadata(archive: Archive, collected: Collected, counts: UpsertCounts) -> Mapping[str, Any]:
    """Metadata of one write of `collected`, by name."""
    report = collected.report
    metadata: dict[str, Any] = {
        "dagster/row_count": collected.table.num_rows,
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
    }
    if report.sessions:
        metadata["window"] = f"{report.sessions[0]} to {report.sessions[-1]}, {len(report.sessions)} session(s)"
    if report.snapshots_used:
        metadata["snapshots_used"] = dg.MetadataValue.json(dict(sorted(report.snapshots_used.items())[-60:]))
    if report.notes:
        metadata["notes"] = "\n".join(report.notes[:50])
    # One more session is not worth drawing all of them again: that was a tenth of the time of a daily run.
    several = bool(counts.inserted or counts.updated) and len(collected.table["session"].unique()) > 1
    metadata |= conditions_metadata(archive, report, picture=several)
    if collected.table.num_rows:
        metadata["last_rows"] = plain_table(collected.table.slice(max(0, collected.table.num_rows - ROWS_SHOWN)))
        if several and "close" in collected.table.column_names and collected.dataset.name == "equity_bars":
            metadata["picture"] = dg.MetadataValue.md(f"![closes](data:image/png;base64,{_closes_png(collected.table)})")
    return metadata


def plain_table(rows: pa.Table) -> dg.MetadataValue:
    """Rows as a table of the UI; columns of words that nobody compares are left out, nothing stands for null."""
    shown = [name for name in rows.column_names if name not in ("request_id", "trading_hours", "liquid_hours", "valid_exchanges")]
    records = [{name: _plain(value) for name, value in row.items()} for row in rows.select(shown).to_pylist()]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records])


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else "" if value is None else str(value)


def _closes_png(table: pa.Table) -> str:
    """Closes of the first symbols as a small PNG, base64."""
    from trading_assets.monitoring.pictures import closes_png

    return base64.b64encode(closes_png(table, SYMBOLS_DRAWN)).decode()
