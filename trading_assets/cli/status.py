"""The commands `status` (is all well, and if not, what is wrong and what to do) and `diagnose`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trading_assets.cli.output import as_json, console, print_named, say, say_as_it_is, table_of
from trading_assets.cli.values import Json
from trading_assets.settings import Settings

WRONG_SHOWN = 20

NO_DAEMON = "No daemon has worked on this folder yet: trading-assets up"
"""Said where what is switched on has never been evaluated; nothing is wrong with an archive that is driven by hand."""


def status(
    probe: Annotated[bool, typer.Option(help="See whether the broker's port accepts a connection.")] = True,
    as_document: Json = False,
) -> int:
    """Health of lake, journal, breaker, broker, queue and schedules, and freshness by symbol; exit code 1 when
    something is wrong."""
    from trading_assets.monitoring.headline import headline
    from trading_assets.monitoring.status import platform_status

    settings = Settings()
    found = platform_status(settings, probe=probe)
    running = _running(settings)
    if running is not None:
        found.queue, found.schedules, found.daemon = running.queue, running.schedules, running.daemon
        found.wrong += running.wrong
    said = headline(found, settings)
    if as_document:
        as_json({"headline": said, **found.as_dict()})
    else:
        say(said, style="bold yellow" if found.wrong else "bold")
        _print(found.as_dict())
    return 1 if found.wrong else 0


def diagnose() -> int:
    """One block of text for a report of a defect: versions, settings, counts, the broker's last errors. No secrets, no
    prices, no positions."""
    from trading_assets.monitoring.diagnosis import diagnosis

    say_as_it_is(diagnosis(Settings()))
    return 0


def _running(settings: Settings) -> Any:
    """What the Dagster instance of the data folder records; None while there is none (Dagster is not even imported
    then)."""
    if not settings.has_history(settings.data_dir):
        return None
    from trading_assets.cli.running import running

    return running(settings)


def _print(document: dict[str, Any]) -> None:
    lake, journal, breaker, broker = document["lake"], document["journal"], document["breaker"], document["broker"]
    lines = {
        "data folder": document["data_dir"],
        "now": f"{document['now']:%Y-%m-%d %H:%M} UTC, session {document['session']}",
        "lake": _lake(lake),
        "journal": f"{journal['open']} requests open, {journal['unapplied']} answers on their way to the lake",
        "breaker": breaker["phase"] + (f", {breaker['failures']} failures" if breaker["failures"] else ""),
        "broker": _broker(broker),
        "requests": (
            f"{document['requests']['sent_today']:,} sent in the last 24 hours, {document['requests']['open']} open"
        ),
        "pacing": _pacing(document["pacing"]),
        "queue": _queue(document["queue"]),
    }
    if document["queue"]:
        lines["daemon"] = (
            f"last sign of life {_instant(document['daemon'])}" if document["daemon"] is not None else NO_DAEMON
        )
    print_named(lines, 13)
    if document["gateways"]:
        rows = [_gateway(one) for one in document["gateways"]]
        console.print(
            table_of(rows, ["gateway", "reached", "breaker", "market data", "pacing"], dispensable=["pacing"])
        )
    if document["schedules"]:
        console.print(
            table_of(
                document["schedules"],
                ["name", "kind", "status", "last_tick", "result", "reason", "next_due"],
                dispensable=["kind", "last_tick", "reason", "next_due"],
            )
        )
    if document["freshness"]:
        rows = [{**row, "last 30 sessions": _conditions(row["conditions"])} for row in document["freshness"]]
        columns = ["dataset", "symbol", "rows", "first", "last", "behind", "last 30 sessions"]
        console.print(table_of(rows, columns, dispensable=["first", "rows", "last 30 sessions"]))
    for sentence in document["notes"]:
        say(f"note {sentence}")
    for sentence in document["wrong"][:WRONG_SHOWN]:
        say(f"wrong {sentence}", style="yellow")
    if len(document["wrong"]) > WRONG_SHOWN:
        console.print(f"... and {len(document['wrong']) - WRONG_SHOWN} more (--json lists all).")


def _instant(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value is not None else "never"


def _lake(lake: dict[str, Any]) -> str:
    rows = sum(lake["rows"].values())
    return (
        f"{lake['identity'] or 'empty'}; {lake['files']} files, {rows:,} rows, last write"
        f" {_instant(lake['last_write'])}"
    )


def _broker(broker: dict[str, Any]) -> str:
    place = broker["endpoint"] or "a simulator inside each run"
    state = {True: "reachable", False: f"not reachable ({broker['error']})", None: "not contacted yet"}[
        broker["reachable"]
    ]
    known = [
        text
        for text in (broker["identity"], f"{broker['market_data']} market data" if broker["market_data"] else "")
        if text
    ]
    return ", ".join([f"{broker['setting']} at {place}", state, *known])


def _gateway(one: dict[str, Any]) -> dict[str, str]:
    reached = {True: "yes", False: "no", None: "not contacted yet"}[one["reachable"]]
    refused = [f"{each['requests']} refused ({each['code']})" for each in one["refusals"]]
    return {
        "gateway": f"{one['name']} {one['endpoint']}",
        "reached": reached,
        "breaker": one["breaker"]["phase"],
        "market data": ", ".join([one["market_data"] or "not known", *refused]),
        "pacing": _pacing(one["pacing"]),
    }


def _pacing(pacing: dict[str, Any]) -> str:
    words = {
        "messages_per_second": "messages/s",
        "open_history_requests": "history requests",
        "market_data_lines": "market-data lines",
        "small_bar_requests_in_10_min": "small-bar requests in 10 min",
    }
    left = ", ".join(f"{pacing[name]['left']:g} of {pacing[name]['limit']:g} {word}" for name, word in words.items())
    return f"left: {left}" if pacing["enforced"] else "not enforced"


def _queue(queue: dict[str, Any] | None) -> str:
    if not queue:
        return "no Dagster instance yet" if queue is None else "not known"
    return f"{queue['queued']} runs queued, {queue['running']} running"


def _conditions(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {condition}" for condition, count in sorted(counts.items(), key=lambda item: -item[1]))
