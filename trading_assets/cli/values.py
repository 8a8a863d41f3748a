"""Values that several commands take. One that is wrong is wrong use: the sentence names the option or argument."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

import typer

from trading_assets.arguments import (
    COLLECTED,
    RULED,
    any_of,
    bar_size,
    dataset,
    one_symbol,
    ruled_dataset,
    stored_symbol,
)
from trading_assets.errors import InvalidRequest

DAY_FORM = "YYYY-MM-DD"

_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")


def checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A callback that lets `check` look at a given value, or at each of several. Its `InvalidRequest` becomes wrong use
    of that option or argument."""

    def callback(value: Any) -> Any:
        try:
            for one in value if isinstance(value, list | tuple) else [] if value is None else [value]:
                check(one)
        except InvalidRequest as error:
            raise typer.BadParameter(str(error)) from None
        return value

    return callback


def day(text: str) -> date:
    """A day in the form YYYY-MM-DD. Raises `typer.BadParameter`."""
    written = _DAY.fullmatch(text)
    try:
        if written is not None:
            return date(*map(int, written.groups()))
    except ValueError:
        """A month or a day that there is not."""
    raise typer.BadParameter(f"{text!r} is no date: give a day of the calendar as {DAY_FORM}.")


def instant(text: str) -> datetime:
    """An instant with a time zone. Raises `typer.BadParameter`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: give one with a time zone, or `live`.") from None
    if found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: give for example {text}-05:00.")
    return found


def finite(value: float) -> None:
    """Raises `InvalidRequest` for what is no number one can calculate with."""
    if not math.isfinite(value):
        raise InvalidRequest(f"{value} is no finite number.")


def check_range(first: date | None, last: date | None) -> None:
    """Raises `typer.BadParameter` when --to is before --from."""
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(
            f"the range cannot end ({last}) before it begins (--from {first}).", param_hint="'--to'"
        )


def _as_of(text: str) -> None:
    from trading_assets.repositories.as_of import checked as check

    check(text)


Json = Annotated[bool, typer.Option("--json", help="One JSON document for programs.")]
First = Annotated[date | None, typer.Option("--from", parser=day, metavar=DAY_FORM, help="First session.")]
Last = Annotated[date | None, typer.Option("--to", parser=day, metavar=DAY_FORM, help="Last session.")]
Session = Annotated[date | None, typer.Option("--session", parser=day, metavar=DAY_FORM, help="Session.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        metavar="INSTANT",
        callback=checked(_as_of),
        help="The rows as known at this instant (2024-06-03T16:00-04:00), or `first`: as first collected.",
    ),
]
BarSize = Annotated[
    str | None,
    typer.Option(callback=checked(bar_size), help="Bars of this size only, for example '1 day'."),
]
BarSizes = Annotated[
    list[str] | None,
    typer.Option(
        "--bar-size", callback=checked(bar_size), help="Bar size of the equity bars; may be given several times."
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(callback=checked(dataset), help=f"{any_of(COLLECTED)}."),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset",
        callback=checked(ruled_dataset),
        help=f"{any_of(RULED)}; may be repeated.",
    ),
]

a_symbol = checked(one_symbol)
"""Callback of a symbol that the broker is asked for."""

a_stored_symbol = checked(stored_symbol)
"""Callback of a symbol that rows of the lake have (`META@8314` too)."""
