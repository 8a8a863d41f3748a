"""The command `live`: stream symbols into the lake and watch them, or see how the streams are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.cli.given_symbols import given_symbols
from trading_assets.cli.output import as_json, as_json_line, console, say, table_of
from trading_assets.cli.values import checked, finite
from trading_assets.errors import InvalidRequest
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from trading_assets.streaming.health import StreamHealth
    from trading_assets.streaming.manager import LiveDataManager
    from trading_assets.streaming.status import StreamingStatus
    from trading_assets.streaming.updates import QuoteUpdate

REFRESH_SECONDS = 0.5
"""Between two pictures on a terminal, and two looks at the health with --json."""

STARTING_SECONDS = 10.0
"""How long a recorder that does not run yet is no fault on a terminal."""

TABLE_SECONDS = 10.0
"""Between two tables where the output is no terminal."""

QUEUED = 10_000
"""Updates that may wait for the output with --json. Beyond them the callback waits, and what it loses is counted."""

PROBLEMS_SHOWN = 8

Start = Callable[[], "StreamingStatus"]

COLUMNS = [
    "contract",
    "kind",
    "state",
    "bid",
    "ask",
    "last",
    "volume",
    "volatility",
    "delta",
    "updated",
    "rate",
    "gaps",
]

DISPENSABLE = ["gaps", "rate", "volatility", "delta", "volume", "updated", "kind"]
"""Columns that a narrow terminal does without, the first ones first: what is wrong is said in sentences."""

STATUS_COLUMNS = ["contract", "kind", "state", "updated", "rate", "updates", "lag", "gaps", "resubscribed"]

STATUS_DISPENSABLE = ["resubscribed", "updates", "lag", "rate"]


def live(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            help="Underlyings (- reads them from standard input); none: all active ones.", callback=given_symbols
        ),
    ] = None,
    options: Annotated[
        int, typer.Option(min=0, max=100, help="Options of each symbol to stream too, nearest the money first.")
    ] = 0,
    status: Annotated[bool, typer.Option("--status", help="Show how the streams are, and end.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0, callback=checked(finite), help="End after this many seconds.")
    ] = None,
    as_document: Annotated[
        bool, typer.Option("--json", help="One JSON document a line: each update, and the health when it changes.")
    ] = False,
) -> int:
    """Stream live quotes into the lake and watch them until Ctrl-C. No order is ever sent. Exit code 1 when something
    is wrong at the end."""
    from trading_assets.streaming import LiveDataManager

    if status and (symbols or options or seconds is not None):
        raise InvalidRequest("--status shows all streams: leave the symbols, --options and --seconds out.")
    with LiveDataManager(Settings()) as manager:
        if status:
            return _show_status(manager.monitor_stream_health(), as_document=as_document)
        until = time.monotonic() + seconds if seconds is not None else None
        watch = _print_lines if as_document else _draw
        with suppress(KeyboardInterrupt):  # the usual end
            watch(manager, lambda: manager.start_streaming(symbols or None, options=options, timeout=0), until)
        found = manager.monitor_stream_health()
    if not as_document:
        say(f"{found.summary()} What came is in the lake.")
        _print_problems(found)
    return int(not found.ok)


def _over(until: float | None) -> bool:
    """Whether the time is over, or nobody reads the output any more."""
    return (until is not None and time.monotonic() >= until) or getattr(sys.stdout, "error", None) is not None


def _show_status(found: StreamingStatus, *, as_document: bool) -> int:
    if as_document:
        as_json(found.as_dict())
    else:
        say(found.summary())
        if found.streams:
            rows = [_health(stream) for stream in found.streams]
            console.print(table_of(rows, STATUS_COLUMNS, dispensable=STATUS_DISPENSABLE))
        _print_problems(found)
    return int(not found.ok)


def _print_problems(found: StreamingStatus) -> None:
    for said in found.problems[:PROBLEMS_SHOWN]:
        say(f"wrong {said}", style="yellow")
    if len(found.problems) > PROBLEMS_SHOWN:
        console.print(f"... and {len(found.problems) - PROBLEMS_SHOWN} more (--status --json lists all).")


def _print_lines(manager: LiveDataManager, start: Start, until: float | None) -> None:
    """Each update as a line, and the health whenever a stream has another state."""
    updates: Queue[QuoteUpdate] = Queue(QUEUED)
    manager.on_quote(updates.put)
    start()
    said: Any = None
    looked = 0.0
    while not _over(until):
        if time.monotonic() - looked >= REFRESH_SECONDS:
            found, looked = manager.monitor_stream_health(), time.monotonic()
            state = [found.recorder.pid, found.problems, [(one.stream_id, one.state) for one in found.streams]]
            if state != said:
                as_json_line({"status": found.as_dict()})
            said = state
        with suppress(Empty):
            while not _over(until):
                as_json_line({"quote": updates.get(timeout=REFRESH_SECONDS / 2)._asdict()})
        sys.stdout.flush()


def _draw(manager: LiveDataManager, start: Start, until: float | None) -> None:
    """A table that updates on a terminal; elsewhere one now and then."""
    from rich.live import Live

    newest: dict[int, QuoteUpdate] = {}
    manager.on_quote(lambda update: newest.__setitem__(update.con_id, update))
    start()
    if not console.is_terminal:
        while not _over(until):
            pause = TABLE_SECONDS if until is None else min(TABLE_SECONDS, max(0.0, until - time.monotonic()))
            time.sleep(pause)
            console.print(_picture(manager.monitor_stream_health(), newest))
        return
    starting = time.monotonic() + STARTING_SECONDS
    with Live(console=console, auto_refresh=False, screen=False, transient=True) as picture:
        while not _over(until):
            found = manager.monitor_stream_health()
            begun = found.recorder.running or time.monotonic() > starting
            picture.update(_picture(found, newest) if begun else "The recorder is being started.", refresh=True)
            time.sleep(REFRESH_SECONDS)


def _picture(found: StreamingStatus, newest: dict[int, QuoteUpdate]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    at = found.at.astimezone(NEW_YORK)
    parts: list[RenderableType] = [Text(f"{at:%Y-%m-%d %H:%M:%S} New York. {found.summary()}")]
    if found.streams:
        rows = [_health(one) | _prices(one, newest.get(one.con_id)) for one in found.streams]
        parts.append(table_of(rows, COLUMNS, dispensable=DISPENSABLE))
    parts += [Text(f"wrong {said}", style="yellow") for said in found.problems[:PROBLEMS_SHOWN]]
    return Group(*parts)


def _health(stream: StreamHealth) -> dict[str, Any]:
    updated = f"{stream.last_update.astimezone(NEW_YORK):%H:%M:%S}" if stream.last_update else "never"
    return {
        "contract": stream.contract,
        "kind": stream.kind,
        "state": str(stream.state),
        "updated": updated,
        "rate": round(stream.rate, 1),
        "updates": stream.updates,
        "lag": stream.lag,
        "gaps": stream.gaps,
        "resubscribed": stream.resubscriptions,
    }


def _prices(stream: StreamHealth, quote: QuoteUpdate | None) -> dict[str, Any]:
    """The newest prices of a stream of quotes."""
    if quote is None or stream.kind != "quote":
        return {}
    return {
        "bid": quote.bid,
        "ask": quote.ask,
        "last": quote.last,
        "volume": quote.volume,
        "volatility": quote.broker_implied_volatility,
        "delta": quote.broker_delta,
    }
