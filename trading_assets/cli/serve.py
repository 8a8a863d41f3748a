"""Commands that serve: `up` (Dagster UI, daemon, simulator), `simulate`, `demo`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from trading_assets.arguments import LOOKBACK_DAYS
from trading_assets.cli import notices
from trading_assets.cli.output import Failed, console, note_to, say
from trading_assets.cli.values import a_symbol, checked, finite, instant
from trading_assets.errors import TradingAssetsError
from trading_assets.settings import Settings

STOP_TIMEOUT = 30.0
"""Seconds the services may take to end before they are killed; their supervisor itself waits a little less."""


LONGEST_LATENCY = 3600
"""Seconds: longer than any timeout of a client."""


def _live_or_instant(text: str) -> str:
    if text != "live":
        instant(text)
    return text


def _latency(text: str) -> str:
    try:
        known = text in ("none", "real") or 0 <= float(text) <= LONGEST_LATENCY
    except ValueError:
        known = False
    if not known:
        raise typer.BadParameter(
            f"{text!r} is neither `none`, `real` nor a number of seconds from 0 to {LONGEST_LATENCY}."
        )
    return text


def simulate(
    market: Annotated[str, typer.Option(help="`generated`, or a folder of recorded market data.")] = "generated",
    now: Annotated[
        str,
        typer.Option(
            callback=_live_or_instant,
            metavar="INSTANT",
            help="`live`, or the instant to pin the clock to (ISO 8601 with a zone).",
        ),
    ] = "live",
    speed: Annotated[
        float | None,
        typer.Option(
            callback=checked(finite), help="Market seconds that pass in each real one, from the instant of --now on."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    faults: Annotated[Path | None, typer.Option(help="Fault script (JSON), see docs/simulator.md.")] = None,
    positions: Annotated[
        Path | None, typer.Option(help="Accounts and what they hold (JSON), see docs/simulator.md.")
    ] = None,
    actions: Annotated[
        Path | None, typer.Option(help="Corporate actions of the generated market (JSON), see docs/simulator.md.")
    ] = None,
    latency: Annotated[str, typer.Option(callback=_latency, help="`none`, `real`, or seconds.")] = "none",
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 42,
    server_version: Annotated[int, typer.Option(help="Protocol version: 157, 176 or 178.")] = 178,
    refuse: Annotated[
        list[str] | None,
        typer.Option(callback=a_symbol, help="Symbol without market-data permission; may be given several times."),
    ] = None,
    limits: Annotated[bool, typer.Option(help="Enforce the broker's pacing limits.")] = True,
    message_rate: Annotated[
        float, typer.Option(min=0, help="Messages a second over all quote streams, beside the market's own.")
    ] = 0,
) -> int:
    """Serve a simulated TWS. Prints one JSON line when ready, its counters as one JSON line at the end."""
    from trading_assets.simulator import Simulator, serve
    from trading_assets.simulator.corporate_actions import ActionsError, MarketWithMergers, read_actions
    from trading_assets.simulator.embedded import open_market
    from trading_assets.simulator.positions import PositionsError, account_file
    from trading_assets.simulator.simulator import default_account

    if speed is not None and (now == "live" or not 0 < speed < float("inf")):
        raise typer.BadParameter("--speed is a positive number and needs an instant to start from: give --now too.")
    if actions is not None and market != "generated":
        raise typer.BadParameter("--actions happen to the generated market only: recorded data has its own.")
    try:
        symbols = _symbols_of_archive()
        changed = MarketWithMergers(read_actions(actions), seed) if actions else None
        if changed is not None:
            changed.know(symbols)
        source = changed or open_market(market, seed, symbols)
        accounts = account_file(positions, default_account(source)) if positions else None
    except (FileNotFoundError, PositionsError, ActionsError) as error:
        raise typer.BadParameter(str(error)) from error
    serve(
        Simulator(
            source,
            now=None if now == "live" else instant(now),
            speed=speed,
            host=host,
            port=port,
            latency=latency if latency in ("none", "real") else float(latency),  # type: ignore[arg-type]
            faults=faults,
            accounts=accounts,
            limits=limits,
            server_version=server_version,
            refuse=refuse or (),
            message_rate=message_rate,
        )
    )
    return 0


def _symbols_of_archive() -> list[str]:
    """The symbols of the archive of this environment: it may ask for their contracts by id. None without a readable
    one."""
    from trading_assets.universe import Universe

    try:
        return [entry.symbol for entry in Universe(Settings().state_url).entries(active_only=False)]
    except (ValueError, OSError, TradingAssetsError):
        return []


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Dagster UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address of the Dagster UI.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option(help="Serve other machines too, where --host is more than loopback: the UI has no login.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Name under which browsers may open the UI; may be given several times.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Stream the active symbols in session hours; see trading-assets live.")
    ] = False,
) -> int:
    """Dagster UI and daemon on this data folder; with the simulated broker and no port set, a simulator beside them."""
    from trading_assets.errors import PlaceTaken
    from trading_assets.repositories.storage import refuse_object_store
    from trading_assets.serving.guard import is_loopback
    from trading_assets.serving.place import held, listen

    settings = Settings()
    if live:
        refuse_object_store(settings.data_dir, "Recording live data")
    if not is_loopback(host):
        if not allow_remote:
            raise typer.BadParameter(
                f"{host} is reached from other machines, and the UI has no login: whoever reaches it can start runs and"
                " see everything. Give --allow-remote too if that is meant; an SSH tunnel to 127.0.0.1 is safer."
            )
        note_to(
            f"The UI on {host} has no login: whoever reaches port {port} of this machine can start runs and see"
            " everything."
        )
    try:
        shared = settings.dagster_database_url is not None
        with listen(host, port) as listening, held(settings.data_dir, shared=shared) as lock:
            return _supervise(settings, listening, lock, host, allowed_host or [], live=live)
    except PlaceTaken as taken:
        raise Failed(str(taken)) from taken


def _supervise(
    settings: Settings, listening: socket.socket, lock: int, host: str, names: list[str], *, live: bool
) -> int:
    """Run the services' supervisor until it ends or is stopped; nothing is left behind."""
    from trading_assets.resources.instance import dagster_home, instance_reference
    from trading_assets.resources.instance_settings import kept_differences
    from trading_assets.serving import relay

    home, reference = dagster_home(settings), instance_reference(settings)
    for sentence in kept_differences(home):
        note_to(sentence)
    environment = {
        **os.environ,
        **settings.environment(),
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": notices.for_children(),
    }
    command = [
        sys.executable,
        "-m",
        "trading_assets.serving.supervisor",
        str(listening.fileno()),
        host,
        reference,
        *(["--live"] if live else []),
        *names,
    ]
    address = f"[{host}]" if ":" in host else host
    port = listening.getsockname()[1]
    say(f"Dagster UI: http://{address}:{port} (data folder {settings.data_dir}). Stop with Ctrl-C.")
    # In its own folder: a dagster.yaml in the working directory would be warned about. A session of its own: whatever
    # Dagster starts can be ended with it. The pipe is its standard input: it is at its end when this process is gone.
    services, finish_output = relay.start(
        command,
        colours=not console.no_color,  # NO_COLOR
        env=environment,
        cwd=home,
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(listening.fileno(), lock),
    )
    previous = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return int(services.wait() != 0)
    except SystemExit:
        return 0
    finally:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)  # what follows must not be interrupted half way
        _end(services)
        finish_output()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(*_: object) -> None:
    raise SystemExit(0)


def _end(services: subprocess.Popen[bytes]) -> None:
    """Leave no process behind: neither the supervisor nor, when it was killed, what it had started."""
    services.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        services.wait(STOP_TIMEOUT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(services.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while _group_alive(services.pid) and time.monotonic() < deadline:
        services.poll()  # reaps it: a dead leader nobody waited for keeps its group alive
        time.sleep(0.1)
    if _group_alive(services.pid):
        os.killpg(services.pid, signal.SIGKILL)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def demo(
    symbol: Annotated[str, typer.Option(callback=a_symbol, help="Symbol to collect.")] = "AAPL",
    lookback_days: Annotated[
        int, typer.Option("--lookback-days", **LOOKBACK_DAYS.option, help="Calendar days of history.")
    ] = 120,
    keep: Annotated[
        bool, typer.Option(help="Keep what an earlier demo collected instead of starting from nothing.")
    ] = False,
) -> int:
    """A cold start on the simulator: collect a symbol, check it, query it, and a small report with pictures."""
    from trading_assets.cli.demo import run_demo

    return run_demo(symbol, lookback_days, keep=keep)
