"""The command `coverage`: what the lake has, lacks and why, as a table, a document or a picture."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from trading_assets.cli.output import as_json, console, table_of
from trading_assets.settings import Settings

_COLUMNS = ["dataset", "bar_size", "symbol", "condition", "sessions", "instruments", "first", "last", "reason", "broker_code", "retry_after"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(coverage)


def coverage(
    symbol: Annotated[str | None, typer.Argument(help="Symbol; none: all active ones.")] = None,
    dataset: Annotated[str | None, typer.Option(help="contracts, option_chains, equity_bars or option_bars.")] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a heat map of sessions and symbols to this PNG file.")] = None,
    by_session: Annotated[bool, typer.Option("--by-session", help="A row for each session instead of counts.")] = False,
    as_document: Annotated[bool, typer.Option("--json", help="One JSON document for programs.")] = False,
) -> int:
    """What the lake has, lacks and why: exactly one condition for each dataset, bar size, symbol and session."""
    from trading_assets.repositories.conditions import count_conditions, symbol_conditions
    from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
    from trading_assets.sessions import calendar
    from trading_assets.universe import Universe, normalize

    known = [each.name for each in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)]
    if dataset is not None and dataset not in known:
        raise typer.BadParameter(f"{dataset!r} is no dataset; choose one of {', '.join(known)}.", param_hint="--dataset")
    settings = Settings()
    symbols = [normalize(symbol)] if symbol else _symbols(settings, [entry.symbol for entry in Universe(settings.state_url).entries()])
    asked = (settings.data_dir, calendar(), settings.clock(), symbols)
    datasets, begin, end = [dataset] if dataset else None, first.date() if first else None, last.date() if last else None
    sizes = settings.equity_bar_sizes
    if picture is not None:
        from trading_assets.monitoring.heatmap import coverage_png

        table = symbol_conditions(*asked, datasets=datasets, first=begin, last=end, equity_bar_sizes=sizes)
        picture.write_bytes(coverage_png(table))
    read = symbol_conditions if by_session else count_conditions
    rows = read(*asked, datasets=datasets, first=begin, last=end, equity_bar_sizes=sizes).to_pylist()
    if as_document:
        as_json(rows)
    elif not rows:
        console.print("No coverage is recorded for that.")
    else:
        names = [name if name != "sessions" or not by_session else "session" for name in _COLUMNS if not by_session or name not in ("first", "last")]
        console.print(table_of(rows, names))
    if picture is not None and not as_document:
        console.print(f"The picture is in {picture}.")
    return 0


def _symbols(settings: Settings, active: list[str]) -> list[str]:
    """The active symbols; of an archive without any, those that something was recorded of."""
    from trading_assets.repositories import query

    recorded: list[str] = [] if active else query(settings.data_dir, "select distinct symbol from coverage order by symbol")["symbol"].to_pylist()
    return active or recorded
