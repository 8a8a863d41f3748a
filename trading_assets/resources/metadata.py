"""What a materialization shows in the UI: the rows of each partition, and with the newest one the archive and the
run."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_GREEKS
from trading_assets.repositories.store import UpsertCounts
from trading_assets.resources.completeness import SessionState, judged_symbols, written_sessions

ROWS_SHOWN = 20
"""Rows of a table in the event log: enough to recognise the data, small enough for hundreds of partitions."""

SYMBOLS_DRAWN = 6
"""Lines in the picture: more than these cannot be told apart."""

SESSIONS_DRAWN = 2000
"""Sessions of the pictures at most, the newest: eight years, more columns than a picture has pixels."""


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
        metadata |= _pictures(archive, collected)
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


def _pictures(archive: Archive, collected: Collected) -> dict[str, Any]:
    """The heat map of what the archive has and lacks, and of equity bars the closes, of its newest sessions; of
    computed volatilities, which have no coverage, those of the newest chains."""
    from trading_assets.monitoring.heatmap import MOST_ROWS, coverage_png
    from trading_assets.monitoring.pictures import closes_png
    from trading_assets.monitoring.volatility_picture import volatility_png

    symbols = judged_symbols(archive, collected.report)
    if collected.dataset is OPTION_GREEKS:
        volatilities = volatility_png(archive.lake, symbols)
        return {} if volatilities is None else {"volatility": _shown(volatilities, "volatility")}
    last = archive.calendar.current(archive.now)
    first = archive.calendar.previous(last, SESSIONS_DRAWN)
    table = archive.lake.conditions(symbols[:MOST_ROWS], datasets=[collected.dataset.name], first=first, last=last)
    pictures = {"coverage": coverage_png(table)}
    if collected.dataset.name == EQUITY_BARS.name:
        sql = """select symbol, bar_size, max(start) as start, arg_max(close, start) as close from equity_bars
                 where session between $first and $last and bar_size = $size
                   and symbol in (select unnest($symbols::varchar[]))
                 group by symbol, bar_size, session"""
        values = {
            "first": first,
            "last": last,
            "size": collected.table["bar_size"][0].as_py(),
            "symbols": symbols[:SYMBOLS_DRAWN],
        }
        pictures["picture"] = closes_png(archive.lake.query(sql, values), SYMBOLS_DRAWN)
    named = {"coverage": "coverage", "picture": "closes"}
    return {name: _shown(png, named[name]) for name, png in pictures.items()}


def _shown(png: bytes, name: str) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")
