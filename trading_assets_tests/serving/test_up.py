"""`trading-assets up` as it is started: what it refuses, what a foreign page can do to it, and that nothing outlives
it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import dagster as dg
import pytest

from trading_assets.cli.app import run
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.repositories import connect
from trading_assets.resources.instance import dagster_instance
from trading_assets.serving.supervisor import LOCATION
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.streaming.registry import LiveRegistry
from trading_assets_tests.cli.conftest import Output
from trading_assets_tests.observing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("up")]

COMMAND = [sys.executable, "-m", "trading_assets.cli"]

NOW = "2024-06-03T16:15-04:00"

PATIENCE = 300.0
"""Seconds for four processes that import Dagster, on a busy machine."""

SERVICES = (
    "serving.supervisor",
    "cli simulate",
    "code-server start",
    "api grpc",
    "serving.webserver",
    "dagster._daemon",
    "streaming.process",
    "serving.live_reports",
)


@dataclass
class Up:
    """A running `up`."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def log(self) -> str:
        """What it and its services printed."""
        return (self.folder.parent / "up.log").read_text()

    def status(self, url: str, data: bytes | None = None, **headers: str) -> int:
        """The HTTP status of a request."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{self.port}{url}", data, names), timeout=300
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def serves(self) -> bool:
        """Whether the UI answers."""
        try:
            return self.status("/server_info") == 200
        except OSError:
            return False

    def running(self) -> dict[int, str]:
        """Its processes by id: those whose environment names its data folder."""
        return processes(self.folder)


def processes(folder: Path) -> dict[int, str]:
    """Command lines of the processes whose environment names the folder, by process id. This process is none of
    them."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (place / "environ").read_bytes(), (place / "cmdline").read_bytes()
        except OSError:
            continue
        if f"TRADING_ASSETS_DATA_DIR={folder}".encode() in environment.split(b"\0") and command:
            found[int(place.name)] = command.replace(b"\0", b" ").decode()
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")}
    ours = {"TRADING_ASSETS_DATA_DIR": str(folder), "TRADING_ASSETS_NOW": NOW, "TRADING_ASSETS_METRICS": "true"}
    return {**others, **ours}


def start(folder: Path, *options: str) -> Up:
    port = free_port()
    with open(folder.parent / "up.log", "wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "up", "--port", str(port), *options],
            env=environment(folder),
            cwd=folder.parent,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    up = Up(process, folder, port)
    eventually(
        lambda: up.serves() and all(any(name in line for line in up.running().values()) for name in SERVICES), PATIENCE
    )
    return up


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `up` for the tests of this module, for other machines as well; the last of them kills it."""
    running = start(
        tmp_path_factory.mktemp("up") / "a[1]*: b #c",
        "--host",
        "0.0.0.0",
        "--allow-remote",
        "--allowed-host",
        "archive.lan",
        "--live",
    )
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(PATIENCE)


def test_a_second_one_on_the_same_folder_is_refused_with_the_process(up: Up) -> None:
    before = up.running()
    done = subprocess.run(
        [*COMMAND, "up", "--port", str(free_port())],
        env=environment(up.folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"error: {up.folder} is served already by trading-assets up (process {up.process.pid}): use that one, or"
        " stop it first.\n"
    )
    assert up.running() == before


def test_a_busy_port_is_told_first(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    assert run(["up", "--port", str(up.port)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "", "nothing is announced as served"
    assert (
        printed.err
        == f"error: Port {up.port} on 127.0.0.1 is in use by another program: end it, or choose another port with"
        " --port.\n"
    )
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "archive.lan"])
def test_other_machines_are_served_only_where_that_is_said(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    assert run(["up", "--host", host]) == 2
    assert re.search(
        r"is reached from other machines, and the UI has no login: .* --allow-remote", capsys.readouterr().err
    )
    assert not (tmp_path / "lake").exists()


def test_a_foreign_page_is_refused(up: Up) -> None:
    mutation = "/graphql?" + urlencode({"query": "mutation { startSensor(sensorSelector: {}) { __typename } }"})
    query = "/graphql?" + urlencode({"query": "{ version }"})
    ask = b'{"query": "{ version }"}'
    as_json = {"content_type": "application/json"}
    assert up.status("/graphql", ask, **as_json) == 200
    assert (
        up.status("/graphql", ask, origin=f"http://127.0.0.1:{up.port}", sec_fetch_site="same-origin", **as_json) == 200
    )
    refused = [
        up.status(query, host="evil.example"),
        up.status(query, origin="https://evil.example"),
        up.status(query, sec_fetch_site="cross-site", accept="image/*"),
        up.status(mutation),
        up.status(mutation, b"", content_type="text/plain"),
        up.status("/graphql", ask, content_type="text/plain"),
        up.status("/graphql", ask, origin="https://evil.example", **as_json),
        up.status("/server_info", host="evil.example"),
        up.status("/download_debug/1", sec_fetch_site="cross-site"),
    ]
    assert refused == [403] * len(refused)


def test_one_for_other_machines_warns_and_answers_to_its_names(up: Up) -> None:
    assert "note: The UI on 0.0.0.0 has no login: " in up.log
    assert up.status("/server_info", host="archive.lan") == 200
    assert up.status("/server_info", host="evil.example") == 403
    assert "Telemetry" not in up.log, "the settings of Dagster hold also where the folder's name is a pattern"


def test_it_serves_the_platform_under_its_name_with_the_history_of_the_data_folder(up: Up) -> None:
    asked = {
        "query": (
            "{ instance { info } locationStatusesOrError { ... on WorkspaceLocationStatusEntries { entries { name }"
            " } } }"
        )
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{up.port}/graphql", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        told = json.load(answer)["data"]
    assert told["locationStatusesOrError"]["entries"] == [{"name": LOCATION}]
    assert str(up.folder / "dagster") in told["instance"]["info"]


def opening(up: Up, origin: str) -> bytes:
    """The first line of the answer to the opening of a WebSocket."""
    with socket.create_connection(("127.0.0.1", up.port), timeout=300) as line:
        words = [
            "GET /graphql HTTP/1.1",
            f"Host: 127.0.0.1:{up.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Origin: {origin}",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-ws",
        ]
        line.sendall("\r\n".join([*words, "", ""]).encode())
        return line.makefile("rb").readline().strip()


def test_it_serves_metrics_to_whom_it_serves_the_ui(up: Up) -> None:
    def read() -> set[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/metrics", timeout=300) as answer:
            return set(
                re.findall(r'^trading_assets_source_up{source="(\w+)"} 1.0$', answer.read().decode(), re.MULTILINE)
            )

    eventually(lambda: read() == {"state", "journal", "lake", "dagster"}, PATIENCE)  # the first look takes its time
    assert up.status("/metrics", Host="evil.example") == 403
    assert up.status("/metrics", b"", Content_Type="application/json") == 405


def test_a_foreign_page_opens_no_subscription(up: Up) -> None:
    assert opening(up, f"http://127.0.0.1:{up.port}") == b"HTTP/1.1 101 Switching Protocols"
    assert opening(up, "https://evil.example").startswith(b"HTTP/1.1 403")


def test_live_streams_are_recorded_and_reported_and_a_killed_recorder_is_replaced(up: Up) -> None:
    """The active symbols, by processes of their own: the simulated TWS, the recorder, the one that tells Dagster."""
    now = datetime.fromisoformat(NOW)
    settings = Settings(data_dir=up.folder, now=now)  # type: ignore[call-arg]
    with (
        Simulator(GeneratedMarket(), now=now) as tws,
        Archive(settings.model_copy(update={"ib_port": tws.port})) as lake,
    ):
        entries = lake.universe.add(["AAPL"], now=now)
        lake.write(collect_contracts(lake, entries, now.date()))
    registry = LiveRegistry(settings.state_url)

    def recorder() -> int | None:
        """Its process, once AAPL's quotes come."""
        state = registry.state()
        seen = [one for one in state.streams if (one.symbol, one.kind, one.state) == ("AAPL", "quote", "frozen")]
        return state.pid if state.running and seen else None

    first = eventually(recorder, PATIENCE)
    assert "streaming.process" in up.running()[first]
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: (pid := recorder()) != first and pid, PATIENCE)
    assert f"The live recorder ended by itself (exit code {-signal.SIGKILL})" in up.log
    with connect(up.folder, live=True) as live:
        rows = live.sql("select distinct symbol, session, market_data_type, stream_id from live_quotes").fetchall()
        gaps = live.sql("select distinct symbol, reason from live_gaps").fetchall()
    assert {row[:3] for row in rows} == {("AAPL", now.date(), 2)} and len(rows) == 2, "of both recorders"
    assert ("AAPL", "recorder_died") in gaps
    with dagster_instance(settings, captures=False) as instance:
        records = eventually(lambda: instance.fetch_observations(dg.AssetKey("live_stream"), limit=9).records, PATIENCE)
    assert {record.partition_key for record in records} == {f"{now.date()}"}
    assert second in up.running()


def test_nothing_outlives_a_killed_one_and_the_next_one_starts_at_once(up: Up) -> None:
    before = set(up.running())
    assert len(before) > len(SERVICES)
    up.process.kill()
    up.process.wait()
    again = start(up.folder, "--live")
    assert not before & set(again.running()), "those of the first have ended"

    supervisor = next(pid for pid, line in again.running().items() if "serving.supervisor" in line)
    os.kill(supervisor, signal.SIGKILL)
    assert again.process.wait(PATIENCE) == 1
    assert eventually(lambda: not again.running(), 60)
    with socket.create_server(("127.0.0.1", again.port)):
        pass
