"""The way of README.md that a new user takes: demo, UI, an own symbol, a query."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.browser.conftest import CHROMIUM
from trading_assets_tests.browser.running import BETWEEN_LOOKS, PATIENCE, Platform, free_port, launch_opened, served
from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.observing import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("browser")]

README = Path(__file__).resolve().parents[2] / "README.md"

CONFIG = "ops: {contracts: {config: {symbols: [AAPL]}}}"
"""The one field that README.md has a user type; the symbol is the user's own."""


def test_from_the_demo_to_an_own_symbol(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if CHROMIUM is None:
        leave_out("there is no chromium on the PATH (apt-get install chromium)")
    context: BrowserContext = request.getfixturevalue("context")
    readme = README.read_text("utf-8")
    assert CONFIG in readme and "*Jobs → setup_symbol → Materialize all*" in readme
    xnys = calendar()
    now = xnys.closes_at(xnys.last_closed(system_clock() - timedelta(minutes=30))) + timedelta(minutes=30)
    few = {"selection": {"strikes_around_spot": 2, "max_days_to_expiry": 10}, "setup_lookback_days": 5}
    asked = Settings(data_dir=tmp_path / "data", now=now, **few)  # type: ignore[call-arg]
    installed = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    assert shutil.which("trading-assets", path=installed), "the command is installed beside this Python"
    environment = {**os.environ, **asked.environment(), "PATH": installed}

    def said(*arguments: str) -> str:
        done = subprocess.run(
            arguments, env=environment, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
        )
        return done.stdout

    demo = said("trading-assets", "demo", "--lookback-days", "5")
    assert "The same setup again: 0 requests" in demo
    (next_step,) = [line.strip() for line in demo.splitlines() if line.endswith(" up")]
    command = shlex.split(next_step)
    folder = Path(command[command.index("--data-dir") + 1])
    assert (folder / "report" / "AAPL_price.png").stat().st_size > 10_000
    port = free_port()
    lake = Settings(data_dir=folder, now=now, **few)  # type: ignore[call-arg]
    platform = Platform(lake, f"http://127.0.0.1:{port}")

    with served(platform, [*command, "--port", str(port)], environment):
        page = context.new_page()
        page.goto(f"{platform.url}/assets")
        page.get_by_text("option_chains").first.wait_for()
        page.screenshot(path=tmp_path / "1_assets.png")
        page.get_by_text("Jobs", exact=True).first.click()
        page.get_by_text("setup_symbol", exact=True).first.click()
        page.get_by_text("Materialize all").first.wait_for()
        page.screenshot(path=tmp_path / "2_job.png")
        of_the_demo = len(platform.finished("setup_symbol"))
        launch_opened(page, xnys.current(now).isoformat(), CONFIG.replace("AAPL", "MSFT"))
        eventually(lambda: len(platform.finished("setup_symbol")) > of_the_demo, PATIENCE, BETWEEN_LOOKS)
        newest = platform.finished("setup_symbol")[0]
        assert newest["status"] == "SUCCESS"
        page.goto(f"{platform.url}/runs/{newest['runId']}")
        page.get_by_text("RUN_SUCCESS").first.wait_for()
        page.screenshot(path=tmp_path / "3_run.png")
        page.goto(f"{platform.url}/assets/equity_bars?view=checks")
        page.get_by_text("complete", exact=True).first.click()
        page.get_by_text(f"All that is wanted of session {xnys.current(now)} is in the lake.").first.wait_for()
        page.screenshot(path=tmp_path / "4_checks.png")
        page.close()

        own = ("trading-assets", "--data-dir", str(folder))
        sql = "select session from equity_bars where symbol = 'MSFT' order by session desc limit 5"
        stored = said(*own, "query", sql, "--format", "csv").split()
        assert stored[1:] == [
            session.isoformat()
            for session in reversed(xnys.sessions(xnys.current(now) - timedelta(days=5), xnys.current(now)))
        ]
        assert said(*own, "status").startswith("Everything up to ")
