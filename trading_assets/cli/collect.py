"""Commands that collect, or say what collecting would cost: `setup`, `update`, `backfill`, `plan`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from trading_assets.arguments import LOOKBACK_DAYS, bar_sizes, some_symbols
from trading_assets.cli.given_symbols import given_symbols
from trading_assets.cli.output import (
    Failed,
    as_json,
    console,
    errors_to,
    note_to,
    print_reports,
    table_of,
)
from trading_assets.cli.progress import LiveProgress
from trading_assets.cli.values import DAY_FORM, BarSizes, Json, check_range, day
from trading_assets.remedies import typed
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.jobs.orchestrator import DataPipelineOrchestrator, Operation

Symbols = Annotated[
    list[str],
    typer.Argument(
        help="Symbols, e.g. AAPL SPY SPX; - reads them from standard input, one a line or comma-separated.",
        show_default=False,
        callback=given_symbols,
    ),
]
SomeSymbols = Annotated[
    list[str] | None,
    typer.Argument(
        help="Symbols (- reads them from standard input); none: every active symbol of the universe.",
        show_default=False,
        callback=given_symbols,
    ),
]


def _rule(name: str, field: str) -> Any:
    """The option `name` for a field of the selection rules, with the field's description and bounds."""
    found = SelectionRules.model_fields[field]
    kind: Any = Annotated[found.annotation, found]
    allowed: TypeAdapter[Any] = TypeAdapter(kind)

    def checked(value: Any) -> Any:
        try:
            return value if value is None else allowed.validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(error.errors()[0]["msg"]) from None

    words = (found.description or "").partition("; null")[0].removesuffix(".")
    return typer.Option(name, callback=checked, help=f"{words}; unset: as in the settings.")


MaxDays = Annotated[int | None, _rule("--max-days-to-expiry", "max_days_to_expiry")]
Strikes = Annotated[int | None, _rule("--strikes", "strikes_around_spot")]
MinMoneyness = Annotated[float | None, _rule("--min-moneyness", "min_moneyness")]
MaxMoneyness = Annotated[float | None, _rule("--max-moneyness", "max_moneyness")]
MaxContracts = Annotated[int | None, _rule("--max-contracts", "max_contracts")]
LookbackDays = Annotated[
    int | None,
    typer.Option(
        "--lookback-days",
        **LOOKBACK_DAYS.option,
        help="Calendar days of history; unset: as in the settings (setup_lookback_days, a year).",
    ),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask again even for what is in the lake; costs requests.")]


def setup(
    symbols: Symbols,
    lookback_days: LookbackDays = None,
    max_days_to_expiry: MaxDays = None,
    strikes: Strikes = None,
    min_moneyness: MinMoneyness = None,
    max_moneyness: MaxMoneyness = None,
    max_contracts: MaxContracts = None,
    bar_size: BarSizes = None,
    refresh: Refresh = False,
    as_document: Json = False,
) -> int:
    """Collect symbols from nothing: contracts, option chain, equity bars, option bars, in that order."""
    rules = _rules(max_days_to_expiry, strikes, min_moneyness, max_moneyness, max_contracts)
    options = _options(rules, bar_size, refresh)
    return _operate(lambda orchestrator: orchestrator.setup(symbols, lookback_days, options), as_document)


def update(
    symbols: SomeSymbols = None,
    max_days_to_expiry: MaxDays = None,
    strikes: Strikes = None,
    min_moneyness: MinMoneyness = None,
    max_moneyness: MaxMoneyness = None,
    max_contracts: MaxContracts = None,
    bar_size: BarSizes = None,
    refresh: Refresh = False,
    as_document: Json = False,
) -> int:
    """Collect today's increment of the active symbols."""
    rules = _rules(max_days_to_expiry, strikes, min_moneyness, max_moneyness, max_contracts)
    options = _options(rules, bar_size, refresh)
    _require_symbols(symbols)
    _report_not_kept(symbols)
    return _operate(lambda orchestrator: orchestrator.update(symbols or None, options), as_document)


def _report_not_kept(symbols: SomeSymbols) -> None:
    """Tell of symbols outside the universe: they are collected now, and not by the schedules."""
    from trading_assets.universe import Universe

    kept = set(Universe(Settings().state_url).active())
    others = sorted(set(some_symbols(symbols or None) or ()) - kept)
    if others:
        note_to(
            f"Not in the universe, so not kept up by itself: {', '.join(others)}. trading-assets universe add"
            f" {' '.join(map(typed, others))} keeps it up."
        )


def backfill(
    first: Annotated[date, typer.Option("--from", parser=day, metavar=DAY_FORM, help="First session.")],
    symbols: SomeSymbols = None,
    last: Annotated[
        date | None,
        typer.Option("--to", parser=day, metavar=DAY_FORM, help="Last session; default: the last closed one."),
    ] = None,
    bar_size: BarSizes = None,
    refresh: Refresh = False,
    as_document: Json = False,
) -> int:
    """Collect missing bars of a range of sessions, in one run."""
    from trading_assets.sessions import calendar

    check_range(first, last)
    end = last or calendar().last_closed(Settings().clock())
    options = _options({}, bar_size, refresh, only_bars=True)
    _require_symbols(symbols)
    return _operate(lambda orchestrator: orchestrator.backfill(symbols or None, first, end, options), as_document)


def plan(
    symbols: Symbols,
    lookback_days: LookbackDays = None,
    max_days_to_expiry: MaxDays = None,
    strikes: Strikes = None,
    min_moneyness: MinMoneyness = None,
    max_moneyness: MaxMoneyness = None,
    max_contracts: MaxContracts = None,
    as_document: Json = False,
) -> int:
    """Say what a setup would cost: requests, minutes under pacing, what is lost for good. Sends nothing."""
    from trading_assets.collecting.archive import Archive
    from trading_assets.collecting.preview import preview

    settings = Settings()
    rules = settings.selection.changed(_rules(max_days_to_expiry, strikes, min_moneyness, max_moneyness, max_contracts))
    with Archive(settings, reading=True) as archive:
        days = settings.setup_lookback_days if lookback_days is None else lookback_days
        sessions = archive.calendar.lookback(archive.now, days)
        estimate = preview(archive, archive.universe.resolve(symbols), sessions, rules)
    if as_document:
        as_json({"symbols": symbols, "sessions": len(sessions), **estimate.as_dict()})
        return 0
    rows = [
        {
            "dataset": stage.dataset,
            "requests": stage.total,
            "messages": stage.messages,
            "minutes": stage.seconds / 60,
            "known": "exactly" if stage.exact else "estimated",
            "lost sessions": stage.lost_sessions,
        }
        for stage in estimate.stages
    ]
    console.print(table_of(rows, ["dataset", "requests", "messages", "minutes", "known", "lost sessions"]))
    number = f"{estimate.requests:,}" if estimate.exact else f"about {estimate.requests:,}"
    console.print(f"{number} requests, {estimate.minutes:.1f} minutes under the broker's limits. Nothing was sent.")
    return 0


def _rules(
    max_days: int | None, strikes: int | None, min_moneyness: float | None, max_moneyness: float | None, cap: int | None
) -> dict[str, Any]:
    """The selection rules that the command's options set."""
    given = {
        "max_days_to_expiry": max_days,
        "strikes_around_spot": strikes,
        "min_moneyness": min_moneyness,
        "max_moneyness": max_moneyness,
        "max_contracts": cap,
    }
    return {name: value for name, value in given.items() if value is not None}


def _options(
    rules: dict[str, Any], sizes: list[str] | None, refresh: bool, *, only_bars: bool = False
) -> dict[str, dict[str, Any]]:
    """Run config by asset from the command's options. Rules that select nothing are refused before anything is
    asked."""
    assets = (
        ("equity_bars", "option_bars") if only_bars else ("contracts", "option_chains", "equity_bars", "option_bars")
    )
    options: dict[str, dict[str, Any]] = {name: {"refresh": True} if refresh else {} for name in assets}
    if rules:
        Settings().selection.changed(rules)
        options["option_chains"]["selection"] = rules
    if sizes:
        options["equity_bars"]["bar_sizes"] = bar_sizes(sizes)
    return options


def _require_symbols(symbols: list[str] | None) -> None:
    from trading_assets.universe import Universe

    if symbols:
        return
    settings = Settings()
    if not Universe(settings.state_url).active():
        from trading_assets.monitoring.recovery import lost_state

        raise Failed(
            lost_state(settings)
            or "The universe is empty: set up a symbol first (trading-assets setup AAPL) or name symbols."
        )


def _operate(operation: Callable[[DataPipelineOrchestrator], Operation], as_document: bool) -> int:
    from trading_assets.jobs.orchestrator import DataPipelineOrchestrator

    with LiveProgress(quiet=as_document) as progress:
        done = operation(DataPipelineOrchestrator(settings=Settings(), progress=progress))
    if as_document:
        as_json(done.as_dict())
    else:
        print_reports([report for run in done.runs for report in run.reports])
        for run in done.runs:
            if run.error:
                errors_to(
                    f"{run.failed_step or run.job}:"
                    f" {run.error}{' Run the same command again.' if run.retryable else ''}"
                )
    return 0 if done.success else 1
