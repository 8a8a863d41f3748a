"""The conditions of a run's sessions and symbols, as its materialization and its `complete` check show them.

The numbers are those of `repositories.conditions`, which the command `coverage` prints too.
"""

from __future__ import annotations

import base64
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.repositories.lake import Bounds

SESSIONS_DRAWN = 2000
"""Sessions of the heat map at most, the newest: eight years, more columns than the picture has pixels."""


def conditions_metadata(archive: Archive, report: CollectionReport, *, picture: bool) -> dict[str, Any]:
    """`conditions` (sessions by condition, all symbols and bar sizes), and with `picture` the heat map `coverage`."""
    if not report.sessions or not report.symbols:
        return {}
    if report.conditions is None:
        report.conditions = _counts(archive, report)
    counts = report.conditions
    if not counts:
        return {}
    metadata: dict[str, Any] = {"conditions": dg.MetadataValue.json(counts)}
    if picture:
        metadata["coverage"] = dg.MetadataValue.md(f"![coverage](data:image/png;base64,{_heat_map(archive, report)})")
    return metadata


def _counts(archive: Archive, report: CollectionReport) -> dict[str, int]:
    sql = "select condition, count(*) as sessions from conditions group by condition order by sessions desc, condition"
    bounds: Bounds = {"datasets": [report.dataset], "first": min(report.sessions), "last": max(report.sessions)}
    rows = archive.lake.over_conditions(report.symbols, sql, **bounds)
    return dict(zip(rows["condition"].to_pylist(), rows["sessions"].to_pylist(), strict=True))


def _heat_map(archive: Archive, report: CollectionReport) -> str:
    """The picture as base64 text."""
    from trading_assets.monitoring.heatmap import MOST_ROWS, coverage_png

    newest = sorted(report.sessions)[-SESSIONS_DRAWN:]
    symbols = sorted(report.symbols)[:MOST_ROWS]
    table = archive.lake.conditions(symbols, datasets=[report.dataset], first=newest[0], last=newest[-1])
    wanted = table.filter(pc.is_in(table["session"], pa.array(newest, pa.date32())))
    return base64.b64encode(coverage_png(wanted)).decode()
