"""Commands that serve: `up` (Dagster UI, daemon, simulator), `simulate`, `demo`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from trading_assets.cli import notices
from trading_assets.cli.output import Failed, console
from trading_assets.settings import BrokerKind, Settings

STOP_TIMEOUT = 30.0
"""Seconds Dagster may take to stop its services before they are killed."""

READY_TIMEOUT = 60.0
"""Seconds a simulator may take to say that it serves: it imports, and reads its market."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (demo, up, simulate):
        app.command()(command)


def simulate(
    market: Annotated[str, typer.Option(help="`generated`, or a folder of recorded market data.")] = "generated",
    now: Annotated[str, typer.Option(help="`live`, or the instant to pin the clock to (ISO 8601 with a zone).")] = "live",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    faults: Annotated[Path | None, typer.Option(help="Fault script (JSON), see docs/simulator.md.")] = None,
    latency: Annotated[str, typer.Option(help="`none`, `real`, or seconds.")] = "none",
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 42,
    server_version: Annotated[int, typer.Option(help="Protocol version: 157, 176 or 178.")] = 178,
    refuse: Annotated[list[str] | None, typer.Option(help="Symbol without market-data permission; may be given several times.")] = None,
    limits: Annotated[bool, typer.Option(help="Enforce the broker's pacing limits.")] = True,
) -> int:
    """Serve a simulated TWS. Prints one JSON line when ready, its counters as one JSON line at the end."""
    from trading_assets.simulator import Simulator, serve
    from trading_assets.simulator.embedded import open_market

    try:
        source = open_market(market, seed)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    serve(
        Simulator(
            source,
            now=None if now == "live" else _instant(now),
            host=host,
            port=port,
            latency=latency if latency in ("none", "real") else _seconds(latency),  # type: ignore[arg-type]
            faults=faults,
            limits=limits,
            server_version=server_version,
            refuse=refuse or (),
        )
    )
    return 0


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither `live` nor an ISO 8601 instant.") from None
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: say for example {text}-05:00.")
    return instant


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither `none`, `real` nor a number of seconds.") from None


def up(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address of the Dagster UI.")] = "127.0.0.1",
) -> int:
    """Dagster UI and daemon on this data folder; with the simulated broker and no port set, a simulator beside them."""
    from trading_assets.resources.instance import dagster_home

    settings = Settings()
    home = dagster_home(settings)
    environment = {**os.environ, **settings.environment(), "DAGSTER_HOME": str(home), "PYTHONWARNINGS": notices.for_children()}
    simulator = None
    if settings.broker is BrokerKind.SIMULATED and settings.ib_port is None:
        simulator, ready = _start_simulator(settings)
        environment["TRADING_ASSETS_IB_PORT"] = str(ready["port"])
        console.print(f"Simulated TWS on port {ready['port']} ({ready['market']} market, now {ready['now']}).")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "trading_assets.definitions", "--host", host, "--port", str(port)]
    console.print(f"Dagster UI: http://{host}:{port} (data folder {settings.data_dir}). Stop with Ctrl-C.", markup=False)
    # In its own folder: a dagster.yaml in the working directory would be warned about.
    # A session of its own: whatever Dagster starts can be ended with it. SIGINT is not ignored in it: background
    # jobs of a shell inherit an ignored one, and Dagster would then ignore SIGTERM as well.
    dagster = subprocess.Popen(command, env=environment, cwd=home, start_new_session=True, preexec_fn=_interruptible)
    previous = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return int(dagster.wait() != 0)
    except SystemExit:
        return 0
    finally:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)  # what follows must not be interrupted half way
        _end(dagster, simulator)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(*_: object) -> None:
    raise SystemExit(0)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end(dagster: subprocess.Popen[bytes], simulator: subprocess.Popen[str] | None) -> None:
    """Leave no process behind."""
    try:
        os.killpg(dagster.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    else:
        deadline = time.monotonic() + STOP_TIMEOUT
        while _group_alive(dagster.pid) and time.monotonic() < deadline:
            dagster.poll()  # reaps it: a dead leader nobody waited for keeps its group alive
            time.sleep(0.1)
        if _group_alive(dagster.pid):
            os.killpg(dagster.pid, signal.SIGKILL)
    if simulator is not None:
        simulator.terminate()
        simulator.wait(READY_TIMEOUT)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _start_simulator(settings: Settings) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A simulator of the settings' market in a process of its own, ready to be connected to."""
    now = settings.now.isoformat() if settings.now else "live"
    command = [sys.executable, "-m", "trading_assets.cli", "simulate", "--market", settings.market, "--now", now, "--seed", str(settings.market_seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Failed(f"The simulator did not start (exit code {process.wait(READY_TIMEOUT)}): {' '.join(command[2:])}")
    ready: dict[str, str] = json.loads(line)
    return process, ready


def demo(
    symbol: Annotated[str, typer.Option(help="Symbol to collect.")] = "AAPL",
    lookback_days: Annotated[int, typer.Option("--lookback-days", help="Calendar days of history.")] = 120,
    keep: Annotated[bool, typer.Option(help="Keep what an earlier demo collected instead of starting from nothing.")] = False,
) -> int:
    """A cold start on the simulator: collect a symbol, check it, query it, and a small report with pictures."""
    from trading_assets.cli.demo import run_demo

    return run_demo(symbol, lookback_days, keep=keep)
