"""A running `trading-assets up` and how a person clicks in its UI. Not a test; the fixtures are in `conftest`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page

from trading_assets.automation.run_dedup import KEY_TAG
from trading_assets.settings import Settings
from trading_assets_tests.observing import eventually

COMMAND = [sys.executable, "-m", "trading_assets.cli"]

PATIENCE = 300.0
"""Seconds a service or run may take on a busy machine of two cores."""

BETWEEN_LOOKS = 1.0
"""Seconds between two looks: each is work for the services that are waited for."""

RUNS = """{ runsOrError(limit: 50) { ... on Runs { results { runId jobName status tags { key value } } } } }"""


@dataclass
class Platform:
    """A running `trading-assets up` on a data folder of its own, its market's clock half an hour after the last
    close."""

    settings: Settings
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return {**os.environ, **self.settings.environment()}

    def ask(self, graphql: str) -> Any:
        """The data of one GraphQL query."""
        body = json.dumps({"query": graphql}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["data"]

    def command(self, *arguments: str) -> tuple[int, Any]:
        """Run a command with `--json` beside it, as a user in another terminal; exit code and document."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)

    def finished(self, job: str) -> list[dict[str, Any]]:
        """The runs of a job that a person started, once there are some and all of them have ended; schedules and
        sensors start their own."""
        return eventually(
            lambda: _ended([run for run in self._runs() if run["jobName"] == job]), PATIENCE, BETWEEN_LOOKS
        )

    def _runs(self) -> list[dict[str, Any]]:
        runs = self.ask(RUNS)["runsOrError"]["results"]
        return [run for run in runs if KEY_TAG not in {tag["key"] for tag in run["tags"]}]

    def serves(self) -> bool:
        """Whether the UI answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(platform: Platform, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Within it the command, an `up`, serves the platform; Ctrl-C ends it.

    Raises an AssertionError where Ctrl-C leaves an exit code, a traceback or an open database.
    """
    written = platform.settings.data_dir / "up.log"
    with open(written, "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            eventually(platform.serves, PATIENCE)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(300)
    assert code == 0
    printed = written.read_text()
    assert "Traceback" not in printed and "Fatal" not in printed
    assert "\x1b" not in printed, "a file has no colours"
    assert not [file.name for file in (platform.settings.data_dir / "dagster").rglob("*.db-wal")], (
        "all databases are closed"
    )


def _ended(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return runs if runs and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs) else []


def _clicked_away(button: Locator) -> bool:
    """Click a button that hides itself; whether it is hidden. A click while the page still renders is lost."""
    if button.is_visible():
        button.click()
    return not button.is_visible()


def launch(page: Page, platform: Platform, job: str, partitions: str, config: str = "") -> None:
    """Open a job, choose partitions, type a config where one is given, launch."""
    page.goto(f"{platform.url}/locations/trading_assets/jobs/{job}")
    launch_opened(page, partitions, config)


def launch_opened(page: Page, partitions: str, config: str = "") -> None:
    """In the page of a job: choose partitions, type a config where one is given, launch."""
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    everything = dialog.get_by_text("Show all partitions")
    everything.wait_for()
    eventually(lambda: _clicked_away(everything), PATIENCE, BETWEEN_LOOKS)
    text = dialog.get_by_role("textbox").first
    text.fill(partitions)
    text.press("Enter")
    if config:
        dialog.get_by_text("Config", exact=True).click()
        page.get_by_role("button", name="Add config").click()
        editor = page.locator(".CodeMirror").last
        editor.click()
        page.keyboard.insert_text(config)
        page.get_by_text("No errors").wait_for()
        page.get_by_role("button", name="Save config").click()
        page.get_by_text("Config Editor").wait_for(state="hidden")
        page.get_by_text("Config saved").wait_for()
    page.get_by_role("button", name="Launch").last.click()
    dialog.wait_for(state="hidden")
