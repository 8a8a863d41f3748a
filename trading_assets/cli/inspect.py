"""Commands that look: `universe`, `query`. Neither connects to a broker; `status` and `coverage` have modules of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from trading_assets.cli.output import Failed, as_json, console, table_of
from trading_assets.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document for programs.")]

universe_app = typer.Typer(help="The symbols the archive is kept for.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(universe_app, name="universe")
    app.command()(query)


@universe_app.command("list")
def universe_list(as_document: Json = False) -> int:
    """The active symbols."""
    from trading_assets.universe import Universe

    rows = [
        {"symbol": e.symbol, "sec_type": e.sec_type, "exchange": e.exchange, "currency": e.currency, "added_at": e.added_at}
        for e in Universe(Settings().state_url).entries()
    ]
    if as_document:
        as_json(rows)
    else:
        console.print(table_of(rows, ["symbol", "sec_type", "exchange", "currency", "added_at"]) if rows else "The universe is empty.")
    return 0


@universe_app.command("add")
def universe_add(
    symbols: Annotated[list[str], typer.Argument(help="Symbols to keep the archive for.")],
    sec_type: Annotated[str | None, typer.Option(help="STK or IND, where the symbol is not known by name.")] = None,
    exchange: Annotated[str | None, typer.Option(help="Exchange of an index, e.g. CBOE.")] = None,
) -> int:
    """Add symbols; the next update collects them."""
    from trading_assets.universe import Universe

    settings = Settings()
    added = Universe(settings.state_url).add(symbols, sec_type=sec_type, exchange=exchange, now=settings.clock())
    console.print(f"Active: {', '.join(entry.symbol for entry in added)}.")
    return 0


@universe_app.command("remove")
def universe_remove(symbols: Annotated[list[str], typer.Argument(help="Symbols to stop collecting; their data stays.")]) -> int:
    """Stop collecting symbols."""
    from trading_assets.universe import Universe

    gone = Universe(Settings().state_url).remove(symbols)
    if not gone:
        raise Failed("None of these symbols was active.")
    console.print(f"No longer collected: {', '.join(gone)}. Their data stays in the lake.")
    return 0


def query(
    sql: Annotated[
        str, typer.Argument(help="SQL over contracts, option_chains, equity_bars, option_bars, coverage, quality_metrics and revisions_*.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="Rows printed; --json prints all.")] = 40,
    as_document: Json = False,
) -> int:
    """Run one SELECT of DuckDB over the lake. It reads the datasets and nothing else."""
    import duckdb

    from trading_assets.repositories import query as run

    try:
        table = run(Settings().data_dir, sql)
    except duckdb.PermissionException as error:
        raise typer.BadParameter(f"{_first_line(error)}. query reads the datasets of the lake, no other file and no network address.") from error
    except duckdb.Error as error:
        raise Failed(str(error).strip()) from error
    if as_document:
        as_json(table.to_pylist())
        return 0
    console.print(table_of(table.slice(0, limit).to_pylist(), table.column_names))
    if table.num_rows > limit:
        console.print(f"... {table.num_rows - limit:,} more rows (--limit, --json).")
    return 0


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("Permission Error: ").strip().rstrip(".")
