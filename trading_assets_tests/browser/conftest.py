"""One `trading-assets up` for all tests in the browser, started as a user starts it, and browser pages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.browser.running import COMMAND, PATIENCE, Platform, free_port, served
from trading_assets_tests.leaving_out import leave_out

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A symbol set up by the command line, then the UI and the daemon."""
    if CHROMIUM is None:
        leave_out("there is no chromium on the PATH (apt-get install chromium)")
    xnys = calendar()
    now = xnys.closes_at(xnys.last_closed(system_clock() - timedelta(minutes=30))) + timedelta(minutes=30)
    port = free_port()
    few = {"selection": {"strikes_around_spot": 2, "max_days_to_expiry": 10}, "setup_lookback_days": 5}
    running = Platform(Settings(data_dir=tmp_path_factory.mktemp("ui"), now=now, **few), f"http://127.0.0.1:{port}")  # type: ignore[call-arg]
    subprocess.run([*COMMAND, "setup", "AAPL"], env=running.environment, check=True, timeout=PATIENCE)
    with served(running, [*COMMAND, "up", "--port", str(port)], running.environment):
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def context(browser: Browser) -> BrowserContext:
    """One context for all pages: the UI's scripts are loaded and compiled once."""
    opened = browser.new_context(viewport={"width": 1500, "height": 1000})
    opened.set_default_timeout(PATIENCE * 1000)
    return opened


@pytest.fixture
def page(platform: Platform, context: BrowserContext) -> Iterator[Page]:
    """A page of its own, without anything that pages before it stored."""
    opened = context.new_page()
    stored = {"origin": platform.url, "storageTypes": "all"}
    context.new_cdp_session(opened).send("Storage.clearDataForOrigin", stored)
    yield opened
    opened.screenshot(path=platform.settings.data_dir / "last_page.png")
    opened.close()
