"""The Dagster UI in a real browser: `trading-assets up` as a user starts it, clicked as a user clicks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from trading_assets.repositories import query
from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.observing import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("browser")]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 240.0
"""Seconds a service or run may take on a busy machine of two cores."""

RUNS = """{ runsOrError(limit: 20) { ... on Runs { results { runId jobName status tags { key value } } } } }"""


@dataclass
class Platform:
    """A running `trading-assets up` on a data folder of its own, its market's clock half an hour after the last close."""

    settings: Settings
    url: str

    def ask(self, graphql: str) -> Any:
        """The data of one GraphQL query."""
        body = json.dumps({"query": graphql}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def finished(self, job: str) -> list[dict[str, Any]]:
        """The runs of a job, once there are some and all of them have ended."""
        return eventually(lambda: _ended([run for run in self.ask(RUNS)["runsOrError"]["results"] if run["jobName"] == job]), PATIENCE)


def _ended(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return runs if runs and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs) else []


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A symbol set up by the command line, then the UI."""
    if CHROMIUM is None:
        leave_out("there is no chromium on the PATH (apt-get install chromium)")
    xnys = calendar()
    now = xnys.closes_at(xnys.last_closed(system_clock() - timedelta(minutes=30))) + timedelta(minutes=30)
    settings = Settings(data_dir=tmp_path_factory.mktemp("ui"), now=now)
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", "trading_assets.cli"]
    setup = ["setup", "AAPL", "--lookback-days", "5", "--strikes", "2", "--max-days-to-expiry", "10"]
    subprocess.run([*command, *setup], env=environment, check=True, timeout=PATIENCE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(settings.data_dir / "up.log", "wb") as log:
        process = subprocess.Popen([*command, "up", "--port", str(port)], env=environment, stdout=log, stderr=subprocess.STDOUT)
        running = Platform(settings, f"http://127.0.0.1:{port}")
        try:
            eventually(lambda: _serves(running.url), PATIENCE)
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A browser page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(PATIENCE * 1000)
        yield opened
        opened.screenshot(path=platform.settings.data_dir / "last_page.png")
        browser.close()


def launch(page: Page, platform: Platform, job: str, partitions: str) -> None:
    """Open a job, choose partitions, launch."""
    page.goto(f"{platform.url}/locations/trading_assets.definitions/jobs/{job}")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    everything = dialog.get_by_text("Show all partitions")
    everything.click()
    everything.wait_for(state="hidden")
    text = dialog.get_by_role("textbox").first
    text.fill(partitions)
    text.press("Enter")
    page.get_by_role("button", name="Launch").last.click()
    dialog.wait_for(state="hidden")


def test_a_year_of_bars_is_one_run_from_the_ui(page: Page, platform: Platform, tmp_path: Path) -> None:
    xnys = calendar()
    assert platform.settings.now is not None
    last = xnys.last_closed(platform.settings.now)
    sessions = xnys.sessions(last - timedelta(days=365), last)

    launch(page, platform, "backfill_bars", f"[{sessions[0]}...{sessions[-1]}]")
    runs = platform.finished("backfill_bars")

    assert [run["status"] for run in runs] == ["SUCCESS"]
    tags = {tag["key"]: tag["value"] for tag in runs[0]["tags"]}
    assert tags["dagster/asset_partition_range_start"] == sessions[0].isoformat()
    assert tags["dagster/asset_partition_range_end"] == sessions[-1].isoformat()
    stored = query(platform.settings.data_dir, "select session from equity_bars where symbol = 'AAPL' and bar_size = '1 day' order by session")
    assert stored["session"].to_pylist() == sessions

    page.goto(f"{platform.url}/assets/equity_bars?view=events")
    page.get_by_text("requests_sent").first.wait_for()
    page.get_by_text("rows_by_symbol").first.wait_for()
    picture = tmp_path / "equity_bars.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 10_000


def test_a_chain_of_the_past_is_refused_with_a_sentence(page: Page, platform: Platform) -> None:
    xnys = calendar()
    assert platform.settings.now is not None
    current = xnys.current(platform.settings.now)
    past = xnys.previous(current, 3)

    launch(page, platform, "snapshot", past.isoformat())
    runs = platform.finished("snapshot")

    assert [run["status"] for run in runs] == ["FAILURE"]  # and it was not started again: it would fail the same way
    page.goto(f"{platform.url}/runs/{runs[0]['runId']}")
    page.get_by_text(f"it can be collected for the current session {current} only, not for {past}").first.wait_for()


def test_the_graph_shows_the_order_of_the_four_assets(platform: Platform) -> None:
    nodes = platform.ask("{ assetNodes { assetKey { path } dependencyKeys { path } groupName description } }")["assetNodes"]
    upstream = {node["assetKey"]["path"][0]: {key["path"][0] for key in node["dependencyKeys"]} for node in nodes}
    assert upstream == {
        "contracts": set(),
        "option_chains": {"contracts"},
        "equity_bars": {"contracts", "option_chains"},
        "option_bars": {"contracts", "option_chains", "equity_bars"},
    }
    assert all(node["description"] for node in nodes)
