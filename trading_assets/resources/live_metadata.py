"""What a run shows of merged live data: rows by symbol, the times they cover, and why nobody looked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.repositories.catalog import query
from trading_assets.repositories.live.finished import MergedSessions
from trading_assets.repositories.live.merging import Merged

_OF_SESSION = """select symbol, count(*) as rows, count(distinct con_id) as contracts,
                        min(collected_at) as first, max(collected_at) as last
                 from "{}" where session = ? group by symbol order by symbol"""

_REASONS = "select reason, count(*) as gaps from live_gaps where session = ? group by reason order by gaps desc, reason"


def merged_metadata(data_dir: Path, merged: MergedSessions) -> dict[str, dict[str, Any]]:
    """The metadata of each session with rows, by partition; the newest one also says what the dataset holds."""
    found = {
        f"{session}": _of_session(data_dir, merged, session, done) for session, done in sorted(merged.sessions.items())
    }
    if found:
        (total,) = query(data_dir, f'select count(*) as rows from "{merged.dataset.name}"').to_pylist()
        found[max(found)] |= {
            "dagster/row_count": total["rows"],
            "dagster/uri": (data_dir / merged.dataset.name).as_uri(),
        }
    return found


def _of_session(data_dir: Path, merged: MergedSessions, session: date, done: Merged) -> dict[str, Any]:
    rows = query(data_dir, _OF_SESSION.format(merged.dataset.name), [session]).to_pylist()
    shown: dict[str, Any] = {
        "dagster/partition_row_count": done.rows,
        "parts_merged": done.parts,
        "file": done.file,
        "rows_by_symbol": dg.MetadataValue.json({row["symbol"]: row["rows"] for row in rows}),
        "contracts": sum(row["contracts"] for row in rows),
        "first": dg.MetadataValue.timestamp(min(row["first"] for row in rows)),
        "last": dg.MetadataValue.timestamp(max(row["last"] for row in rows)),
    }
    if "reason" in merged.dataset.schema.names:
        reasons = query(data_dir, _REASONS, [session]).to_pylist()
        shown["gaps_by_reason"] = dg.MetadataValue.json({row["reason"]: row["gaps"] for row in reasons})
    if not merged.whole:
        shown["notes"] = "The recorder holds rows that are not sealed yet; it seals them within minutes. Run it again."
    return shown
