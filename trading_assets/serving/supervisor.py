"""The process that starts the services of `up` and ends them: simulator, code server, web server, daemon, and with
`--live` the recorder, which alone is started again when it dies.

It leads a process group of its own in which all of them are. It ends them on SIGTERM, when one of
them ends by itself, and when its standard input is at its end: that is a pipe from `up`, so a killed `up` leaves
nothing running.

`python -m trading_assets.serving.supervisor SOCKET HOST INSTANCE [--live] [NAME ...]`: see `serving.webserver`; the
instance as `resources.instance.instance_reference` gives it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from trading_assets.errors import ServiceFailed
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.switches import LOCATION
from trading_assets.serving.parents import adopt_orphans, ending_with_parent
from trading_assets.serving.recorder_service import RecorderService
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

STOP_TIMEOUT = 20.0
"""Seconds the services may take to end before they are killed; a run that is ending writes its last events."""

ASKERS_TIMEOUT = 5.0
"""Seconds that the web server and the daemon, which ask the code server, have to end before it."""

CODE_TIMEOUT = 120.0
"""Seconds the code server may take to load the definitions on a busy machine."""

MODULE = "trading_assets.definitions"
"""What Dagster loads."""

LIVE = "--live"
"""Argument with which the recorder is a service too."""

_LOOK = 0.2
"""Seconds between two looks at the services."""


class Services:
    """The running services by name, in the order of their start. `environment` is that of the services started from
    then on."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.asked = threading.Event()
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(
        self, name: str, *module_and_arguments: str, pass_fds: tuple[int, ...] = (), stdout: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a Python module as a service."""
        process = self.start_beside(*module_and_arguments, pass_fds=pass_fds, stdout=stdout)
        self._processes[name] = process
        return process

    def start_beside(
        self, *module_and_arguments: str, pass_fds: tuple[int, ...] = (), stdout: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a Python module whose own end is no failure; it ends with the services all the same."""
        return subprocess.Popen(
            [sys.executable, "-m", *module_and_arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            text=True,
            pass_fds=pass_fds,
            preexec_fn=ending_with_parent(),
        )

    def end(self, *names: str, timeout: float) -> None:
        """End some services before the others, which these ask: asked while it ends, a service gives an error that
        somebody would read."""
        asked = [self._processes[name] for name in names if name in self._processes]
        deadline = time.monotonic() + timeout
        for process in asked:
            process.terminate()
        for process in asked:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))

    def stop(self, name: str, timeout: float) -> None:
        """End one service for good: the others go on without it."""
        self.end(name, timeout=timeout)
        if (process := self._processes.pop(name, None)) is not None and process.poll() is None:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raise `ServiceFailed` when one has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ServiceFailed(
                    f"The {name} ended by itself (exit code {process.returncode}): everything is stopped. What it said"
                    " is above."
                )

    def watch(self, *looks: Callable[[], None]) -> None:
        """Return when the services are to end; `looks` are called again and again until then."""
        while not self.asked.wait(_LOOK):
            self.check()
            for look in looks:
                look()


def end_all() -> None:
    """End every process of this process's group but this one. What others left behind is waited for where the system
    allows it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(os.getpgrp(), signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(_LOOK / 4)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # this process too: it is the last act


def close_databases(folder: Path) -> None:
    """Let SQLite take up the write-ahead logs that processes left which ended within a transaction: the folder can be
    copied then. A database that somebody else has open keeps its log."""
    for log in folder.rglob("*.db-wal"):
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(log.with_name(log.name.removesuffix("-wal")))) as database,
        ):
            database.execute("select count(*) from sqlite_master").fetchone()


def start_simulator(services: Services, settings: Settings, *, running: bool = False) -> None:
    """A simulator of the settings' market, ready to be connected to; the services started after it find its port among
    their settings. With `running` a pinned clock runs from there: streams need a market that moves."""
    now = settings.now.isoformat() if settings.now else "live"
    asked = ["simulate", "--market", settings.market, "--now", now, "--seed", str(settings.market_seed)]
    if running and settings.now:
        asked += ["--speed", "1"]
    process = services.start("simulator", "trading_assets.cli", *asked, stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ServiceFailed(
            f"The simulator did not start (exit code {process.wait(STOP_TIMEOUT)}): trading-assets {' '.join(asked)}"
        )
    ready = json.loads(line)
    services.environment["TRADING_ASSETS_IB_PORT"] = str(ready["port"])
    say(f"Simulated TWS on port {ready['port']} ({ready['market']} market, now {ready['now']}).")


def start_code_server(services: Services, folder: Path, instance: str) -> Path:
    """The process that holds the definitions and starts runs, ready; the workspace file that leads Dagster to it."""
    # in a folder of this user alone, and with a short name: a socket's has 107 characters at most
    address = folder / "code"
    services.start(
        "code server",
        *(
            "dagster",
            "code-server",
            "start",
            "--module-name",
            MODULE,
            "--location-name",
            LOCATION,
            "--socket",
            str(address),
        ),
        *("--startup-timeout", f"{CODE_TIMEOUT:.0f}", "--inject-env-vars-from-instance", "--instance-ref", instance),
    )
    deadline = time.monotonic() + CODE_TIMEOUT
    while not _answers(address):
        services.check()
        if services.asked.wait(_LOOK):
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            raise ServiceFailed(
                f"The definitions were not loaded within {CODE_TIMEOUT:.0f} seconds: everything is stopped."
            )
    workspace = folder / "workspace.yaml"
    server = {
        "location_name": LOCATION,
        "socket": str(address),
        "host": "localhost",
        "additional_metadata": {"module_name": MODULE},
    }
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), "utf-8")  # JSON is YAML
    return workspace


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


def say(sentence: str) -> None:
    """Print a line at once: it is read by a person who waits, or by a log."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def recorder_service(services: Services, settings: Settings) -> RecorderService:
    """The live recorder, not yet running. It streams the active symbols and what clients want."""

    def start() -> subprocess.Popen[str]:
        return services.start_beside("trading_assets.streaming.process", "--universe")

    return RecorderService(start, calendar(), settings.clock, say)


def daemon_service(
    services: Services, settings: Settings, workspace: str, instance: str, ending: ExitStack
) -> Callable[[], None]:
    """The daemon, running; with a history that several machines share, on one of them at a time. What is to be called
    again and again until `ending`."""

    def start() -> subprocess.Popen[str]:
        return services.start("daemon", "dagster._daemon", "run", "--workspace", workspace, "--instance-ref", instance)

    if settings.dagster_database_url is None:
        start()
        return lambda: None
    from trading_assets.serving.daemon_duty import DaemonDuty  # late: only where machines share the work

    duty = DaemonDuty(settings.state_url, start, lambda: services.stop("daemon", ASKERS_TIMEOUT), say)
    ending.callback(duty.end)
    return duty.look


def supervise(listening: int, host: str, instance: str, names: list[str], *, live: bool = False) -> int:
    """Start all services, watch them until they are to end, end them. The exit code: 1 when one failed."""
    services = Services()
    threading.Thread(target=_wait_for_parent, args=(services.asked,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: services.asked.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `up` decides
    adopt_orphans()
    settings = Settings()
    with tempfile.TemporaryDirectory(prefix="trading-assets-") as folder:
        try:
            if settings.endpoint is None:
                start_simulator(services, settings, running=live)
            workspace = str(start_code_server(services, Path(folder), instance))
            services.start(
                "web server",
                "trading_assets.serving.webserver",
                str(listening),
                workspace,
                host,
                *names,
                pass_fds=(listening,),
            )
            with ExitStack() as ending:
                looks = [daemon_service(services, settings, workspace, instance, ending)]
                looks += [recorder_service(services, settings).look] if live else []
                services.watch(*looks)
        except KeyboardInterrupt:
            return 0
        except ServiceFailed as failed:
            if services.asked.is_set():
                return 0
            say(str(failed))
            return 1
        finally:
            services.end("web server", "daemon", timeout=ASKERS_TIMEOUT)
            end_all()
            close_databases(history_folder(settings))
    return 0


def _wait_for_parent(asked: threading.Event) -> None:
    """Not through `sys.stdin`: Python ends with a fatal error when a thread still reads from that."""
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: it ends with the process that holds the other end
    asked.set()


if __name__ == "__main__":
    given = [name for name in sys.argv[4:] if name != LIVE]
    sys.exit(supervise(int(sys.argv[1]), sys.argv[2], sys.argv[3], given, live=LIVE in sys.argv[4:]))
