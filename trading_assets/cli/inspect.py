"""Commands that look: `universe`, `status`, `coverage`, `query`. None of them connects to a broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from trading_assets.cli.output import Failed, as_json, console, table_of
from trading_assets.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document for programs.")]

universe_app = typer.Typer(help="The symbols the archive is kept for.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(universe_app, name="universe")
    for command in (status, coverage, query):
        app.command()(command)


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

    added = Universe(Settings().state_url).add(symbols, sec_type=sec_type, exchange=exchange)
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


def status(as_document: Json = False) -> int:
    """What the archive holds and how the broker side stands; exit code 1 when something is wrong."""
    document = _status()
    if as_document:
        as_json(document)
    else:
        console.print(f"data folder   {document['data_dir']}")
        console.print(f"broker        {document['identity'] or 'none yet'} (setting: {document['broker']})")
        console.print(f"now           {document['now']:%Y-%m-%d %H:%M} UTC, session {document['session']}")
        console.print(f"breaker       {document['breaker']}")
        console.print(f"requests      {document['requests_today']} sent in the last 24 hours, {document['unapplied']} answers waiting for the lake")
        if document["freshness"]:
            console.print(table_of(document["freshness"], ["dataset", "symbol", "rows", "first", "last", "behind"]))
        for sentence in document["wrong"]:
            console.print(f"[yellow]wrong[/] {sentence}")
    return 1 if document["wrong"] else 0


def _status() -> dict[str, Any]:
    from trading_assets.broker.breaker_store import DatabaseStore
    from trading_assets.collecting.archive import Archive
    from trading_assets.reliability import CircuitBreaker
    from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS

    with Archive(Settings()) as archive:
        closed, current = archive.calendar.last_closed(archive.now), archive.calendar.current(archive.now)
        active = [entry.symbol for entry in archive.universe.entries()]
        freshness, wrong = [], []
        for dataset in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS):
            rows = {row["symbol"]: row for row in _freshness(archive.settings.data_dir, dataset.name)}
            due = closed if dataset in (EQUITY_BARS, OPTION_BARS) else archive.calendar.previous(current)
            for symbol in active:
                row = rows.get(symbol)
                behind = archive.calendar.count_between(row["last"] + timedelta(days=1), due) if row else None
                freshness.append({"dataset": dataset.name, "symbol": symbol, **(row or {"rows": 0}), "behind": behind})
                if row is None:
                    wrong.append(f"{symbol} has no {dataset.name}: trading-assets setup {symbol}")
                elif behind and dataset is not OPTION_BARS:
                    wrong.append(f"{symbol}: {dataset.name} is {behind} session(s) behind: trading-assets update {symbol}")
        breaker = str(CircuitBreaker(store=DatabaseStore(archive.journal.engine)).state.phase)
        if breaker != "closed":
            wrong.append(f"The circuit breaker is {breaker}: the broker failed repeatedly; see the last requests.")
        unapplied = len(archive.journal.unapplied([d.name for d in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)]))
        return {
            "data_dir": str(archive.settings.data_dir),
            "broker": str(archive.settings.broker),
            "identity": archive.identity.read(),
            "now": archive.now,
            "session": current,
            "breaker": breaker,
            "requests_today": sum(archive.journal.sent_since(datetime.now(UTC) - timedelta(days=1)).values()),
            "requests_open": archive.journal.open_now(),
            "unapplied": unapplied,
            "symbols": active,
            "freshness": freshness,
            "wrong": wrong,
        }


def _freshness(data_dir: Path, dataset: str) -> list[dict[str, Any]]:
    from trading_assets.repositories import query as run

    sql = f"select symbol, count(*) as rows, min(session) as first, max(session) as last from {dataset} group by symbol order by symbol"
    rows: list[dict[str, Any]] = run(data_dir, sql).to_pylist()
    return rows


def coverage(
    symbol: Annotated[str | None, typer.Argument(help="Symbol; none: all.")] = None,
    dataset: Annotated[str | None, typer.Option(help="contracts, option_chains, equity_bars or option_bars.")] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    as_document: Json = False,
) -> int:
    """What the lake has, lacks and why, per dataset, bar size and symbol."""
    from trading_assets.repositories import query as run
    from trading_assets.universe import normalize

    where, values = ["true"], []
    for condition, value in (
        ("symbol = ?", normalize(symbol) if symbol else None),
        ("dataset = ?", dataset),
        ("session >= ?", first.date() if first else None),
        ("session <= ?", last.date() if last else None),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    sql = f"""select dataset, bar_size, symbol, condition, count(*) as sessions, count(distinct con_id) as instruments,
                     min(session) as first, max(session) as last, any_value(reason) as reason, any_value(broker_code) as broker_code,
                     min(retry_after) as retry_after
              from coverage where {" and ".join(where)} group by all order by dataset, bar_size, symbol, condition"""
    rows = run(Settings().data_dir, sql, values).to_pylist()
    if as_document:
        as_json(rows)
    elif not rows:
        console.print("No coverage is recorded for that.")
    else:
        names = ["dataset", "bar_size", "symbol", "condition", "sessions", "instruments", "first", "last", "reason", "broker_code"]
        console.print(table_of(rows, names))
    return 0


def query(
    sql: Annotated[str, typer.Argument(help="SQL over the views contracts, option_chains, equity_bars, option_bars, coverage, revisions_*.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows printed; --json prints all.")] = 40,
    as_document: Json = False,
) -> int:
    """Run one DuckDB query over the lake."""
    import duckdb

    from trading_assets.repositories import query as run

    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise typer.BadParameter("query takes one SELECT: it only reads.")
        table = run(Settings().data_dir, sql)
    except duckdb.Error as error:
        raise Failed(str(error).strip()) from error
    if as_document:
        as_json(table.to_pylist())
        return 0
    console.print(table_of(table.slice(0, limit).to_pylist(), table.column_names))
    if table.num_rows > limit:
        console.print(f"... {table.num_rows - limit:,} more rows (--limit, --json).")
    return 0
