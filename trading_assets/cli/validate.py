"""Commands that judge the lake: `validate` runs the rules, `review` decides about bars held for review. Neither
connects to a broker."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from trading_assets.cli.given_symbols import given_stored_symbols
from trading_assets.cli.output import Failed, as_json, console, note_to, table_of
from trading_assets.cli.values import DAY_FORM, Datasets, First, Json, Last, a_stored_symbol, check_range, day
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.validation import RuleResult

Day = Annotated[date, typer.Argument(parser=day, metavar=DAY_FORM, help="Session of the held bar.")]
Symbol = Annotated[str, typer.Argument(help="Symbol of the held bar.", callback=a_stored_symbol)]

ROWS_PRINTED = 5
"""Rows printed of a failing rule; `--json` gives more."""

review_app = typer.Typer(
    help="Bars held for review: accept them as real, or have them withdrawn and requested again.", no_args_is_help=True
)


def validate(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Symbols (- reads them from standard input); none: the whole lake and the active symbols.",
            callback=given_stored_symbols,
        ),
    ] = None,
    dataset: Datasets = None,
    first: First = None,
    last: Last = None,
    record: Annotated[
        bool, typer.Option(help="Keep the findings; --no-record for a user who may not write the data folder.")
    ] = True,
    as_document: Json = False,
) -> int:
    """Run the validation rules over the lake; exit code 1 when a rule of severity error fails, warnings are printed
    only."""
    from trading_assets.monitoring.status import clock_before_lake
    from trading_assets.validation import Scope
    from trading_assets.validation import validate as run

    check_range(first, last)
    names = tuple(symbols) if symbols else None
    scope = Scope(names, first, last)
    settings = Settings()
    if early := clock_before_lake(settings, settings.clock()):
        note_to(early)
    report = run(settings, scope, datasets=dataset or None, record=record)
    if as_document:
        as_json(report.as_dict())
        return 0 if report.passed else 1
    examined = [result for result in report.results if result.examined]
    rows = [
        {
            "rule": result.rule.name,
            "dataset": result.rule.dataset,
            "severity": str(result.rule.severity),
            "examined": result.examined,
            "failed": result.failed,
            "symbols": len(result.symbols),
        }
        for result in examined
    ]
    console.print(
        table_of(rows, ["rule", "dataset", "severity", "examined", "failed", "symbols"])
        if rows
        else "There is nothing to examine."
    )
    for result in report.failing():
        _print_result(result)
    return 0 if report.passed else 1


def _print_result(result: RuleResult) -> None:
    colour = "red" if result.rule.severity == "error" else "yellow"
    sentence = f"\n[{colour}]{result.rule.severity}[/] {escape(result.sentence())}"
    console.print(sentence, soft_wrap=not console.is_terminal)
    console.print(table_of(result.rows.slice(0, ROWS_PRINTED).to_pylist(), result.rows.column_names))


@review_app.command("list")
def review_list(
    everything: Annotated[bool, typer.Option("--all", help="Also the bars that were decided.")] = False,
    as_document: Json = False,
) -> int:
    """The bars held for review, each with its close, the close before, its move (log return) and the series' average
    move."""
    from trading_assets.validation import Reviews, Verdict

    held = Reviews(Settings()).held(None if everything else Verdict.PENDING)
    if as_document:
        as_json([asdict(review) for review in held])
    elif not held:
        console.print("No bar is held for review.")
    else:
        rows = [{**review.example, **asdict(review)} for review in held]
        console.print(
            table_of(rows, ["symbol", "session", "bar_size", "previous", "close", "move", "average", "rule", "verdict"])
        )
    return 0


@review_app.command("accept")
def review_accept(symbol: Symbol, session: Day) -> int:
    """The bar is real: it passes from now on, until its value changes."""
    from trading_assets.errors import NoReview
    from trading_assets.validation import Reviews

    try:
        Reviews(Settings()).accept(symbol, session)
    except NoReview as error:
        raise Failed(str(error)) from error
    console.print(f"Accepted: the bar of {symbol.upper()} in session {session} is real.")
    return 0


@review_app.command("reject")
def review_reject(symbol: Symbol, session: Day) -> int:
    """The bar is wrong: it moves to the revisions, and the next update asks the broker for the session again."""
    from trading_assets.errors import NoReview
    from trading_assets.validation import Reviews

    try:
        Reviews(Settings()).reject(symbol, session)
    except NoReview as error:
        raise Failed(str(error)) from error
    console.print(
        f"Rejected: the bar of {symbol.upper()} in session {session} is in the revisions; trading-assets update"
        " requests it again."
    )
    return 0
