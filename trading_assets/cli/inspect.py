"""Commands that look: `universe`, `query`. Neither connects to a broker; `status` and `coverage` have modules of their
own."""

from __future__ import annotations

from typing import Annotated

import typer

from trading_assets.arguments import LIMIT, STORED
from trading_assets.cli.formats import OutputFormat, write_rows
from trading_assets.cli.given_symbols import given_stored_symbols, given_symbols
from trading_assets.cli.output import Failed, as_json, console, table_of
from trading_assets.cli.values import AsOf, Json, a_symbol
from trading_assets.settings import Settings

universe_app = typer.Typer(help="The symbols the archive is kept for.", no_args_is_help=True)


@universe_app.command("list")
def universe_list(as_document: Json = False) -> int:
    """The active symbols."""
    from trading_assets.universe import Universe

    columns = ["symbol", "sec_type", "primary_exchange", "exchange", "currency", "added_at"]
    rows = [{name: getattr(entry, name) for name in columns} for entry in Universe(Settings().state_url).entries()]
    if as_document:
        as_json(rows)
    else:
        console.print(table_of(rows, columns) if rows else "The universe is empty.")
    return 0


@universe_app.command("add")
def universe_add(
    symbols: Annotated[
        list[str],
        typer.Argument(
            help="Symbols to keep the archive for; - reads them from standard input, one a line or comma-separated.",
            callback=given_symbols,
        ),
    ],
    sec_type: Annotated[str | None, typer.Option(help="STK or IND, where the symbol is not known by name.")] = None,
    primary_exchange: Annotated[
        str | None,
        typer.Option(
            help=(
                "Listing exchange, e.g. NASDAQ or ARCA, where several contracts have the symbol. Data still come from"
                " all exchanges."
            )
        ),
    ] = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            help=(
                "Route: SMART (default of stocks) or, of an index, its exchange, e.g. CBOE. Any other one limits the"
                " data to that exchange."
            )
        ),
    ] = None,
) -> int:
    """Add symbols, or say anew how they are asked for; the next update collects them."""
    from trading_assets.universe import Universe

    settings = Settings()
    universe = Universe(settings.state_url)
    added = universe.add(
        symbols, sec_type=sec_type, exchange=exchange, primary_exchange=primary_exchange, now=settings.clock()
    )
    console.print(f"Active: {', '.join(entry.symbol for entry in added)}.")
    return 0


@universe_app.command("remove")
def universe_remove(
    symbols: Annotated[
        list[str],
        typer.Argument(
            help="Symbols to stop collecting (- reads them from standard input); their data stays.",
            callback=given_symbols,
        ),
    ],
) -> int:
    """Stop collecting symbols."""
    from trading_assets.universe import Universe

    gone = Universe(Settings().state_url).remove(symbols)
    if not gone:
        raise Failed("None of these symbols was active.")
    console.print(f"No longer collected: {', '.join(gone)}. Their data stays in the lake.")
    return 0


@universe_app.command("resolve")
def universe_resolve(
    symbol: Annotated[
        str, typer.Argument(help="Symbol whose contract has changed (alert contract_changed).", callback=a_symbol)
    ],
    same: Annotated[
        bool, typer.Option("--same", help="The same company under a new contract: the series goes on.")
    ] = False,
    new: Annotated[
        bool,
        typer.Option("--new", help="Another company holds the symbol now: its series is closed, a new one begins."),
    ] = False,
) -> int:
    """Decide whose data the symbol's new contract is: say one of --same and --new. Sends nothing to a broker."""
    from trading_assets.collecting.archive import Archive
    from trading_assets.collecting.identity import resolve

    if same == new:
        raise typer.BadParameter(
            "say one of --same (the series goes on) and --new (it is closed and a new one begins)."
        )
    try:
        with Archive(Settings()) as archive:
            console.print(resolve(archive, symbol, "same" if same else "new"))
    except ValueError as error:
        raise Failed(str(error)) from error
    return 0


@universe_app.command("series")
def universe_series(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Symbols (- reads them from standard input); none: all.",
            show_default=False,
            callback=given_stored_symbols,
        ),
    ] = None,
    as_document: Json = False,
) -> int:
    """The contracts that each symbol's rows are of, and the series of companies that held the symbol before."""
    from trading_assets.arguments import stored_symbols
    from trading_assets.contract_changes import ContractChanges
    from trading_assets.repositories.series import series

    settings = Settings()
    changed = ContractChanges(settings.state_url).unfinished()
    rows = series(settings.data_dir, stored_symbols(symbols or None))
    for row in rows:
        change = changed.get(row["series"])
        if change is not None and change.old_con_id == row["con_id"]:
            row["status"] = "changed"
    if as_document:
        as_json(rows)
    else:
        columns = ["symbol", "series", "con_id", "long_name", "first", "last", "status"]
        console.print(table_of(rows, columns) if rows else "There are no contract details in the lake.")
        for change in changed.values():
            console.print(f"{change.reason} {change.remedy}")
    return 0


def query(
    sql: Annotated[
        str,
        typer.Argument(help=(f"SQL over {', '.join(STORED)}, revisions_* and the views of docs/data-dictionary.md.")),
    ],
    limit: Annotated[int, typer.Option(**LIMIT.option, help="Rows that a table shows.")] = 40,
    as_of: AsOf = None,
    live: Annotated[
        bool, typer.Option("--live", help="live_quotes, live_bars and live_gaps with all that is recorded up to now.")
    ] = False,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How the rows are written; all but `table` write all of them.")
    ] = OutputFormat.TABLE,
    as_document: Json = False,
) -> int:
    """Run one SELECT of DuckDB over the lake. It reads the datasets and nothing else."""
    import duckdb

    from trading_assets.repositories.catalog import query as run
    from trading_assets.repositories.public import views_for

    try:
        data_dir = Settings().data_dir
        table = run(data_dir, sql, prepare=views_for(data_dir, as_of, live=live))
    except duckdb.PermissionException as error:
        raise typer.BadParameter(
            f"{_first_line(error)}. query reads the datasets of the lake, no other file and no network address."
        ) from error
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise typer.TyperException(str(error).strip()) from error  # it shows the line and the position
    except duckdb.Error as error:
        raise Failed(str(error).strip()) from error
    write_rows(table, OutputFormat.JSON if as_document else output_format, limit=limit)
    return 0


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("Permission Error: ").strip().rstrip(".")
