"""The command `positions`: what the accounts hold. Account numbers are masked in tables; `--json` has them whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.cli.output import as_json, console, say, table_of
from trading_assets.cli.values import Json, checked, finite
from trading_assets.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from trading_assets.trading import PositionGreeks, PositionManager

WATCH_SECONDS = 5.0
"""Seconds between two looks of `--watch`: two messages each."""

_HELD = ["account", "position", "quantity", "average_cost", "mark", "source", "age", "unrealized_pnl"]
_GREEKS = ["implied_volatility", "delta", "gamma", "vega", "theta", "reason"]
_CHANGES = """select * from position_changes where $account is null or account = $account
              order by "at" desc, symbol, local_symbol limit 50"""


def positions(
    account: Annotated[str | None, typer.Option(help="One account; default all of the login.")] = None,
    greeks: Annotated[
        bool, typer.Option("--greeks", help="Volatility and greeks of each position, and the sums by expiry.")
    ] = False,
    scenario: Annotated[
        bool, typer.Option("--scenario", help="Gains when the underlyings and volatilities move, by pricing anew.")
    ] = False,
    spot: Annotated[
        list[float] | None,
        typer.Option(callback=checked(finite), help="Move of a scenario, 0.05 is 5 % up; may be repeated."),
    ] = None,
    volatility: Annotated[
        list[float] | None,
        typer.Option(callback=checked(finite), help="Change of volatility, 0.01 is one point up; may be repeated."),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Store the look (position_snapshots) and what has changed since the last.")
    ] = False,
    changes: Annotated[
        bool,
        typer.Option("--changes", help="What changed between stored looks, the newest first; connects to nothing."),
    ] = False,
    pnl: Annotated[
        bool,
        typer.Option("--pnl", help="Profit and loss between the two newest stored looks, explained by the greeks."),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every five seconds, until Ctrl-C.")] = False,
    as_document: Json = False,
) -> int:
    """What the accounts hold, what it is worth and how it moves. Two messages to the broker, and no order."""
    from trading_assets.trading import PositionManager

    if watch and (as_document or store or changes or pnl):
        raise typer.BadParameter("--watch shows what is held now: leave --json, --store, --changes and --pnl out.")
    if store and account is not None:
        raise typer.BadParameter("--store stores what all accounts hold: leave --account out.")
    wanted = (greeks, scenario or bool(spot or volatility))
    moves = (spot or None, volatility or None)
    with PositionManager(Settings()) as manager:
        if changes or pnl:
            documents = _stored(manager, account, changes=changes, pnl=pnl)
        elif watch:
            with suppress(KeyboardInterrupt):  # as it is meant to end
                _watch(manager, account, wanted, moves)
            return 0
        else:
            documents = _look(manager, account, wanted, moves, store=store)
    if as_document:
        as_json(documents)
    else:
        _print(documents)
    return 0


def _look(
    manager: PositionManager,
    account: str | None,
    wanted: tuple[bool, bool],
    moves: tuple[Sequence[float] | None, Sequence[float] | None],
    *,
    store: bool = False,
) -> dict[str, Any]:
    """One look as a document: positions, and what was asked for beside."""
    from trading_assets.trading.manager import SPOT_MOVES
    from trading_assets.trading.portfolio import portfolio_frame, scenario_frame, totals

    with_greeks, with_scenario = wanted
    taken = manager.snapshot() if store else None
    held = manager.greeks(manager.get_active_positions(account)) if taken is None else list(taken.positions)
    document: dict[str, Any] = {"positions": [_record(one) for one in held]}
    if with_greeks:
        frame = portfolio_frame(held)
        document["portfolio"], document["underlyings"] = _records(frame), _records(totals(frame))
    if with_scenario:
        document["scenario"] = _records(scenario_frame(held, moves[0] or SPOT_MOVES, moves[1] or [0.0]))
    if taken is not None:
        _record_with_dagster(manager.settings)
        document["stored"] = {"rows": taken.rows.num_rows, "at": taken.at}
        document["changes"] = taken.changes.to_pylist()
    return document


def _record_with_dagster(settings: Settings) -> None:
    """Show the stored look as partitions, where the data folder has a history of Dagster."""
    if settings.has_history(settings.data_dir):
        from trading_assets.doctor.history import POSITIONS, record_missing

        record_missing(settings, POSITIONS, "trading-assets positions --store")


def _stored(manager: PositionManager, account: str | None, *, changes: bool, pnl: bool) -> dict[str, Any]:
    """What the stored looks say; nothing is asked of the broker."""
    from trading_assets.repositories import query
    from trading_assets.trading.explained import check_account, explained_totals

    document: dict[str, Any] = {}
    check_account(manager.settings.data_dir, account)
    if changes:
        document["changes"] = query(manager.settings.data_dir, _CHANGES, {"account": account}).to_pylist()
    if pnl:
        frame = manager.explain_pnl(account=account)
        document["pnl"], document["pnl_totals"] = _records(frame), _records(explained_totals(frame))
    return document


def _watch(
    manager: PositionManager,
    account: str | None,
    wanted: tuple[bool, bool],
    moves: tuple[Sequence[float] | None, Sequence[float] | None],
) -> None:
    """Print the look again and again, in place where the output is a terminal."""
    while True:
        document = _look(manager, account, wanted, moves)
        if console.is_terminal:
            console.clear()
        _print(document)
        time.sleep(WATCH_SECONDS)


def _record(one: PositionGreeks) -> dict[str, Any]:
    return one.as_dict() | {"name": one.position.name}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as plain values; null for what is not known."""
    values = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in values.to_dict("records")]


def _print(document: Mapping[str, Any]) -> None:
    """The parts of a document as tables."""
    held = document.get("positions")
    if held is not None:
        columns = _HELD + (_GREEKS if "portfolio" in document else [])
        rows = [{**row, "position": row["name"], "reason": row["null_reason"]} for row in held]
        shown = table_of([_shown(row) for row in rows], columns, dispensable=["age", "source", "average_cost"])
        console.print(shown if rows else "No account holds anything.")
        if rows:
            _say_what_lacks(rows)
    for part, (title, columns) in _PARTS.items():
        if part in document:
            rows = [_shown(row) for row in document[part]]
            console.print(f"\n[bold]{title}[/]")
            console.print(table_of(rows, columns or list(rows[0])) if rows else "Nothing.")
    if "stored" in document:
        console.print(f"\n{document['stored']['rows']} row(s) stored in position_snapshots.")


_EXPLAINED = ["pnl", "delta", "gamma", "vega", "theta", "residual"]
_CHANGED = ["at", "account", "local_symbol", "change", "quantity_before", "quantity_after", "reason"]

_PARTS: dict[str, tuple[str, list[str]]] = {
    "portfolio": ("By underlying and expiry", []),
    "underlyings": ("By underlying", []),
    "scenario": ("Scenario", []),
    "changes": ("Changes", _CHANGED),
    "pnl": ("Profit and loss", ["account", "local_symbol", *_EXPLAINED, "null_reason"]),
    "pnl_totals": ("Profit and loss, sums", ["currency", *_EXPLAINED, "positions", "lacking"]),
}
"""The further tables by part of the document: title and columns (none named: all)."""


def _say_what_lacks(rows: Sequence[Mapping[str, Any]]) -> None:
    unmarked = [row for row in rows if row["mark"] is None]
    if unmarked:
        say(
            f"{len(unmarked)} position(s) have no mark: collect their chains (`trading-assets update SYMBOL`) or stream"
            " them (`trading-assets live SYMBOL`)."
        )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the account masked and the age in seconds."""
    from trading_assets.broker.positions import masked

    shown = dict(row)
    if shown.get("account"):
        shown["account"] = masked(shown["account"])
    if isinstance(shown.get("age"), float):
        shown["age"] = f"{shown['age']:,.0f} s"
    return shown
