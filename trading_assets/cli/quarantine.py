"""The command `quarantine`: answers of the broker that could not be stored. None of its commands asks the broker."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.arguments import DATABASE_ID
from trading_assets.cli.given_symbols import given_symbols
from trading_assets.cli.output import as_json, console, say, table_of
from trading_assets.cli.values import DAY_FORM, Json, check_range, checked, day, finite
from trading_assets.remedies import typed
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from trading_assets.broker.quarantine import Entry

Id = Annotated[int, typer.Argument(metavar="ID", **DATABASE_ID.option, help="The id that `quarantine list` shows.")]

COLUMNS = ["id", "symbol", "dataset", "bar_size", "sessions", "field", "reason", "failures", "retry_after", "state"]

quarantine_app = typer.Typer(
    help="Answers of the broker that could not be stored: see them, ask again, accept them, give them up.",
    invoke_without_command=True,
)


@quarantine_app.callback()
def without_command(context: typer.Context, as_document: Json = False) -> int:
    """Answers of the broker that could not be stored. Without a command: those that nothing has taken the place of
    yet."""
    return list_answers(as_document=as_document) if context.invoked_subcommand is None else 0


@quarantine_app.command("list")
def list_answers(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_document: Json = False,
) -> int:
    """The quarantined answers with symbol, sessions, field and reason."""
    from trading_assets.broker.quarantine import Quarantine

    settings = Settings()
    now = settings.clock()
    entries = [
        entry
        for entry in Quarantine(settings.state_url).entries(closed=everything)
        if everything or entry.state(now) == "open"
    ]
    if as_document:
        as_json([entry.as_dict(now) for entry in entries])
    elif entries:
        console.print(table_of([_row(entry, now) for entry in entries], COLUMNS))
    else:
        console.print("No answer has ever been in quarantine." if everything else "No answer is in quarantine.")
    return 0


@quarantine_app.command("show")
def show(entry_id: Id, as_document: Json = False) -> int:
    """One quarantined answer: what is wrong with it, and the answer itself as the broker gave it (`answer`)."""
    from trading_assets.broker.quarantine import Quarantine

    settings = Settings()
    quarantine = Quarantine(settings.state_url)
    now, entry, answer = settings.clock(), quarantine.entry(entry_id), quarantine.answer(entry_id)
    if as_document:
        as_json({**entry.as_dict(now), "answer": answer})
        return 0
    console.print(table_of([_row(entry, now)], COLUMNS))
    for fault in entry.faults:
        say(f"{fault}")
    if entry.fault_count > len(entry.faults):
        console.print(f"... and {entry.fault_count - len(entry.faults):,} more.")
    as_json(answer)
    return 0


@quarantine_app.command("retry")
def retry(entry_id: Id, as_document: Json = False) -> int:
    """Make the question of a quarantined answer due now: the next run asks it again, without waiting for its time."""
    from trading_assets.collecting.archive import Archive
    from trading_assets.collecting.quarantine import make_due

    with Archive(Settings()) as archive:
        entry = make_due(archive, entry_id)
        if as_document:
            as_json(entry.as_dict(archive.now))
    if not as_document:
        say(f"Due now: trading-assets update {typed(entry.symbol)}")
    return 0


@quarantine_app.command("discard")
def discard(entry_id: Id, as_document: Json = False) -> int:
    """Delete a quarantined answer. What is missing because of it stays missing in coverage, and is requested again at
    its time."""
    from trading_assets.broker.quarantine import Quarantine

    settings = Settings()
    entry = Quarantine(settings.state_url).discard(entry_id)
    if as_document:
        as_json({"discarded": entry.id})
    else:
        say(f"Deleted. What is missing of {entry.symbol} stays missing: trading-assets coverage {typed(entry.symbol)}")
    return 0


@quarantine_app.command("accept")
def accept(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Symbols whose held answers are accepted (- reads them from standard input); none: all, and later"
            " ones.",
            show_default=False,
            callback=given_symbols,
        ),
    ] = None,
    first: Annotated[
        date | None,
        typer.Option(
            "--from", parser=day, metavar=DAY_FORM, help="First session of the range; default: of the first one held."
        ),
    ] = None,
    last: Annotated[
        date | None,
        typer.Option(
            "--to", parser=day, metavar=DAY_FORM, help="Last session of the range; default: until you decide otherwise."
        ),
    ] = None,
    volume: Annotated[
        str | None,
        typer.Option("--volume", help="What volumes are in: shares, round_lots; of options shares."),
    ] = None,
    price: Annotated[str | None, typer.Option("--price", help="What the prices are in: cents, hundreds.")] = None,
    hours: Annotated[
        float | None,
        typer.Option("--hours", callback=checked(finite), help="By how many hours the times are off, for example -3."),
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="The values are right as they came.")] = False,
) -> int:
    """Accept answers that are held for review because they are in another unit than the stored bars (alert
    unit_changed). Without a unit: as the comparison found."""
    from trading_assets.collecting.accepted_units import accept_units
    from trading_assets.collecting.archive import Archive

    check_range(first, last)
    given = [volume, price, None if hours is None else f"{hours:+g}h", "as_is" if as_is else None]
    units = [unit for unit in given if unit is not None]
    if len(units) > 1:
        raise typer.BadParameter("say one of --volume, --price, --hours and --as-is.")
    with Archive(Settings()) as archive:
        said = accept_units(archive, symbols or None, first, last, unit=units[0] if units else None)
    say(said)
    return 0


def _row(entry: Entry, now: datetime) -> dict[str, Any]:
    first = f"{entry.sessions[0]}" if entry.sessions else ""
    sessions = first if len(entry.sessions) < 2 else f"{len(entry.sessions)} from {first} to {entry.sessions[-1]}"
    return {**entry.as_dict(now), "sessions": sessions, "field": ", ".join(entry.fields)}
