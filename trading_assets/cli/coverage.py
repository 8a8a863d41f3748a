"""The command `coverage`: what the lake has, lacks and why, as a table, a document or a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.cli.output import as_json, console, note_to, table_of, write_picture
from trading_assets.cli.values import Dataset, First, Json, Last, a_stored_symbol, check_range
from trading_assets.remedies import typed
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.repositories.lake import Bounds, Lake

_COLUMNS = [
    "dataset",
    "bar_size",
    "symbol",
    "condition",
    "sessions",
    "first",
    "last",
    "reason",
    "broker_code",
    "retry_after",
]
_COLUMNS_BY_SESSION = [
    "dataset",
    "bar_size",
    "symbol",
    "condition",
    "session",
    "instruments",
    "complete",
    "reason",
    "broker_code",
    "retry_after",
]

REASONS_NAMED = 5
"""Reasons of one condition that are named, the most frequent first."""


def coverage(
    symbol: Annotated[
        str | None, typer.Argument(help="Symbol; none: all active ones.", callback=a_stored_symbol)
    ] = None,
    dataset: Dataset = None,
    first: First = None,
    last: Last = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write a heat map of sessions and symbols to this PNG file.")
    ] = None,
    by_session: Annotated[bool, typer.Option("--by-session", help="A row for each session instead of counts.")] = False,
    as_document: Json = False,
) -> int:
    """What the lake has, lacks and why: exactly one condition for each dataset, bar size, symbol and session."""
    from trading_assets.arguments import output_file, stored_symbol
    from trading_assets.repositories.lake import Lake
    from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
    from trading_assets.universe import Universe

    known = [each.name for each in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)]
    check_range(first, last)
    settings = Settings()
    if picture is not None:
        picture = output_file(picture, settings.data_dir, "--picture")
    active = Universe(settings.state_url).active()
    symbols = [stored_symbol(symbol)] if symbol else _symbols(settings, active)
    lake = Lake.of(settings)
    bounds: Bounds = {"datasets": [dataset] if dataset else None, "first": first, "last": last}
    if picture is not None:
        from trading_assets.monitoring.heatmap import coverage_png

        write_picture(picture, coverage_png(lake.conditions(symbols, **bounds)))
    read = lake.conditions if by_session else lake.count_conditions
    rows = read(symbols, **bounds).to_pylist()
    unknown = bool(symbol) and not rows and symbols[0] not in active
    if unknown:
        note_to(f"{symbols[0]} is not in the universe: trading-assets setup {typed(symbols[0])}")
    if as_document:
        as_json(rows)
    elif rows:
        console.print(
            table_of(rows, _COLUMNS_BY_SESSION)
            if by_session
            else table_of([{**row, "reason": _dated(row)} for row in rows], _COLUMNS)
        )
    elif not unknown:
        console.print("No coverage is recorded for that.")
    if symbol and not as_document and not unknown:
        console.print("\n".join(_absent(lake, symbols[0], bounds, [dataset] if dataset else known)))
    if picture is not None and not as_document:
        console.print(f"The picture is in {picture}.")
    return 0


def _absent(lake: Lake, symbol: str, bounds: Bounds, datasets: Sequence[str]) -> list[str]:
    """What is absent of a symbol and why, a line for each dataset, condition and reason."""
    sql = """select dataset, bar_size, condition, reason, count(*) as sessions, min(session) as first,
                    max(session) as last
             from conditions where condition not in ('complete', 'no_trades', 'nothing_selected')
             group by dataset, bar_size, condition, reason
             qualify row_number() over (partition by dataset, bar_size, condition
                                        order by sessions desc, reason) <= $named
             order by dataset, bar_size, condition, sessions desc, reason"""
    absent = lake.over_conditions([symbol], sql, {"named": REASONS_NAMED}, **bounds).to_pylist()
    recorded = set(lake.count_conditions([symbol], **bounds)["dataset"].to_pylist())
    lines = [f"Absent of {symbol}:"]
    for dataset in datasets:
        if dataset not in recorded and (bounds.get("first") or bounds.get("last")):
            lines.append(f"  {dataset}: nothing is recorded of these sessions.")
        elif dataset not in recorded:
            lines.append(
                f"  {dataset}: nothing is recorded; trading-assets setup {typed(symbol)} collects it, or records why"
                " there is none."
            )
        for row in (row for row in absent if row["dataset"] == dataset):
            when = f"{row['first']}" if row["first"] == row["last"] else f"{row['first']} to {row['last']}"
            what = " ".join(filter(None, (dataset, row["bar_size"])))
            lines.append(f"  {what}: {row['sessions']} session(s) {row['condition']}, {when}: {row['reason']}")
    return lines if len(lines) > 1 else [f"Nothing is absent of {symbol}."]


def _dated(row: Mapping[str, Any]) -> str:
    """The reason of counted sessions: of several it is that of the latest, and says so."""
    several = row["reason"] and row["sessions"] > 1 and str(row["reason_session"]) not in row["reason"]
    return f"Session {row['reason_session']}: {row['reason']}" if several else str(row["reason"])


def _symbols(settings: Settings, active: list[str]) -> list[str]:
    """The active symbols; of an archive without any, those that something was recorded of."""
    from trading_assets.repositories.catalog import query

    recorded: list[str] = (
        []
        if active
        else query(settings.data_dir, "select distinct symbol from coverage order by symbol")["symbol"].to_pylist()
    )
    return active or recorded
