"""Commands that put back what was lost beside the data: `universe restore`, `rebuild-identity`."""

from __future__ import annotations

from typing import Annotated

import typer

from trading_assets.cli.given_symbols import given_symbols
from trading_assets.cli.inspect import universe_app
from trading_assets.cli.output import console, say
from trading_assets.settings import Settings


@universe_app.command("restore")
def universe_restore(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Symbols (- reads them from standard input); none: those that were collected to the end.",
            show_default=False,
            callback=given_symbols,
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Add no symbol: go on with the universe as it is.")] = False,
) -> int:
    """After the loss of the state database: keep the symbols that the lake has, and go on with this one."""
    from trading_assets.monitoring.recovery import collected_symbols, restore_universe
    from trading_assets.universe import Universe

    if none and symbols:
        raise typer.BadParameter("give symbols or --none.")
    settings = Settings()
    restored = restore_universe(settings, [] if none else symbols or None)
    console.print(f"Restored: {', '.join(entry.symbol for entry in restored) or 'no symbol'}.")
    kept = set(Universe(settings.state_url).active())
    for one in collected_symbols(settings):
        if one.symbol not in kept:
            console.print(
                f"Not kept: {one.symbol}, last collected in session {one.last}. trading-assets universe restore"
                f" {one.symbol} keeps it again."
            )
    return 0


def rebuild_identity() -> int:
    """Write a lost or damaged lake.json again, when the state database and the rows of the lake agree."""
    from trading_assets.monitoring.recovery import rebuild_identity as rebuild

    settings = Settings()
    held = rebuild(settings)
    say(f"{settings.data_dir / 'lake.json'}: lake {held.lake_id[:8]} of {held.identity}.")
    return 0
