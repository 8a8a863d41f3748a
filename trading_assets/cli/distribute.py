"""The command `distribute`: greeks over history, validation and backfills as many runs that workers share."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.arguments import SESSIONS
from trading_assets.arguments.numbers import SYMBOLS
from trading_assets.cli.collect import Refresh, SomeSymbols
from trading_assets.cli.given_symbols import given_stored_symbols
from trading_assets.cli.output import as_json, console, note_to, say, table_of
from trading_assets.cli.values import DAY_FORM, BarSizes, First, Json, Last, check_range, day
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.jobs.distribution import DistributionStatus

From = Annotated[date, typer.Option("--from", parser=day, metavar=DAY_FORM, help="First session.")]
To = Annotated[
    date | None,
    typer.Option("--to", parser=day, metavar=DAY_FORM, help="Last session; default: the last closed one."),
]
SymbolsPerPart = Annotated[
    int | None, typer.Option("--symbols-per-part", **SYMBOLS.option, help="Most symbols of a part.", show_default=False)
]
SessionsPerPart = Annotated[
    int | None,
    typer.Option(
        "--sessions-per-part",
        **SESSIONS.option,
        help="Most sessions of a part; it ends where a file of the dataset ends, if it can.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Argument(help="Name of the distribution, as status lists it.")]

distribute_app = typer.Typer(
    help="Split heavy work into runs by group of symbols and period of sessions, for workers to share.",
    no_args_is_help=True,
)


@distribute_app.command("greeks")
def greeks(
    first: From,
    symbols: SomeSymbols = None,
    last: To = None,
    symbols_per_part: SymbolsPerPart = None,
    sessions_per_part: SessionsPerPart = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Compute again also what has values: after a change of rate or dividends.")
    ] = False,
    as_document: Json = False,
) -> int:
    """Volatilities and greeks of a range of sessions: what has none yet."""
    check_range(first, last)
    given = {"symbols_per_part": symbols_per_part, "sessions_per_part": sessions_per_part, "refresh": refresh}
    return _record("greeks", symbols, first, last, given, as_document)


@distribute_app.command("backfill")
def backfill(
    first: From,
    symbols: SomeSymbols = None,
    last: To = None,
    symbols_per_part: SymbolsPerPart = None,
    sessions_per_part: SessionsPerPart = None,
    bar_size: BarSizes = None,
    refresh: Refresh = False,
    as_document: Json = False,
) -> int:
    """Missing bars of a range of sessions; with several gateways the symbols of a part share one. More periods cost
    more requests."""
    check_range(first, last)
    given = {"symbols_per_part": symbols_per_part, "sessions_per_part": sessions_per_part, "refresh": refresh}
    return _record("backfill", symbols, first, last, {**given, "bar_sizes": bar_size or None}, as_document)


@distribute_app.command("validation")
def validation(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Symbols (- reads them from standard input); none: the whole lake.",
            show_default=False,
            callback=given_stored_symbols,
        ),
    ] = None,
    first: First = None,
    last: Last = None,
    symbols_per_part: SymbolsPerPart = None,
    as_document: Json = False,
) -> int:
    """All validation rules, split by symbols; their findings are recorded as those of `validate`."""
    check_range(first, last)
    return _record("validation", symbols, first, last, {"symbols_per_part": symbols_per_part}, as_document)


@distribute_app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="Name of a distribution; none: all of them.")] = None,
    as_document: Json = False,
) -> int:
    """Parts that are done, running, queued, failed, and missing (not submitted yet); exit code 1 when one failed."""
    from trading_assets.jobs.distribution import distribution_status, distributions

    found = distributions(settings=Settings()) if name is None else [distribution_status(name, settings=Settings())]
    if as_document:
        as_json([each.as_dict() for each in found] if name is None else found[0].as_dict())
    elif not found:
        console.print("No work was distributed.")
    else:
        _print(found)
    return 1 if any(each.counts["failed"] for each in found) else 0


@distribute_app.command("repeat")
def repeat(
    name: Name,
    everything: Annotated[bool, typer.Option("--all", help="Also the parts that are done.")] = False,
) -> int:
    """Submit the failed parts again; also what `stop` held back."""
    from trading_assets.jobs.distribution import repeat_parts
    from trading_assets.monitoring.wording import counted

    count = repeat_parts(name, everything=everything, settings=Settings())
    say(f"{name}: {counted(count, 'part')} {'is' if count == 1 else 'are'} submitted.")
    return 0


@distribute_app.command("stop")
def stop(name: Name) -> int:
    """Submit no further part, and take those that wait out of the queue; running parts go on. A part that is being
    submitted at this moment comes nevertheless: repeat the command to take it out."""
    from trading_assets.jobs.distribution import stop_distribution

    count = stop_distribution(name, settings=Settings())
    say(f"{name}: no further part is submitted; taken out of the queue: {count}.")
    return 0


def _record(
    work: str, symbols: list[str] | None, first: date | None, last: date | None, given: dict[str, Any], document: bool
) -> int:
    from trading_assets.jobs.distribution import distribute_work

    found = distribute_work(work, symbols or None, first, last, **given, settings=Settings())
    if document:
        as_json(found.as_dict())
        return 0
    _print([found])
    if found.submitting:
        note_to(
            "The daemon (trading-assets up) submits the parts; trading-assets distribute status says how far it is."
        )
    elif not found.done:
        note_to(
            "It was distributed before, and nothing is submitted twice. Parts that failed or were stopped are submitted"
            f" by trading-assets distribute repeat {found.name}."
        )
    return 0


def _print(found: list[DistributionStatus]) -> None:
    rows = [{"distribution": each.name, "parts": sum(each.counts.values()), **each.counts} for each in found]
    console.print(table_of(rows, list(rows[0])))
    failed = [
        {"part": part.number, "state": part.state, "run": part.run_id[:8], "symbols": _ends(part.symbols),
         "first": part.first, "last": part.last}
        for each in found for part in each.parts if part.state == "failed"
    ]  # fmt: skip
    if failed:
        console.print(table_of(failed, list(failed[0])))


def _ends(symbols: tuple[str, ...]) -> str:
    return " to ".join(dict.fromkeys((symbols[0], symbols[-1]))) if symbols else "the lake as a whole"
