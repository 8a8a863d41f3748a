"""Checks in the UI: red where the data is wrong, with the rows; an alert is sent, and the repair turns it green and
ends the alert."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from playwright.sync_api import Page

from trading_assets.monitoring.alerts import Alerts, AlertType
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets_tests.browser.running import BETWEEN_LOOKS, PATIENCE, Platform
from trading_assets_tests.observing import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("browser")]

RULE = "bid_not_above_ask"

AUTOMATION = """{ repositoryOrError(
        repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "trading_assets"}) {
    ... on Repository {
        schedules { name scheduleState { status ticks(limit: 20) { status skipReason error { message } } } }
        sensors { name sensorState { status ticks(limit: 20) { status skipReason error { message } } } } } } }"""


class Quotes:
    """One stored quote of AAPL's chain, broken and mended through the store as a correction by hand would be."""

    def __init__(self, platform: Platform) -> None:
        self._store = ParquetStore(platform.settings.data_dir)
        chain = self._store.read(OPTION_CHAINS)
        quoted = chain.filter(pc.and_(pc.is_valid(chain["bid"]), pc.is_valid(chain["ask"])))
        self.row: dict[str, Any] = quoted.slice(0, 1).to_pylist()[0]

    def _write(self, seconds: int, **values: Any) -> None:
        """Write the row with other values, as collected some seconds after the first time: the later answer wins."""
        row = {**self.row, **values, "collected_at": self.row["collected_at"] + timedelta(seconds=seconds)}
        self._store.upsert(OPTION_CHAINS, pa.Table.from_pylist([row], schema=OPTION_CHAINS.schema))

    def cross(self) -> None:
        """The bid stands above the ask."""
        self._write(1, bid=self.row["ask"] + 1.0, ask=self.row["ask"])

    def mend(self) -> None:
        """As it was collected."""
        self._write(2)


def execute(page: Page, platform: Platform) -> None:
    """Execute the check in the UI and wait until its run has ended."""
    before = runs(platform)
    page.goto(f"{platform.url}/assets/option_chains?view=checks&checkDetail={RULE}")
    page.get_by_role("button").filter(has_text=re.compile("^Execute$")).click()
    eventually(lambda: runs(platform) > before, PATIENCE, BETWEEN_LOOKS)
    platform.finished("__ASSET_JOB")
    page.reload()


def runs(platform: Platform) -> int:
    """How many runs there are."""
    count: int = platform.ask("{ runsOrError(limit: 500) { ... on Runs { count } } }")["runsOrError"]["count"]
    return count


def alerts(platform: Platform) -> list[dict[str, Any]]:
    """Open alerts that say that stored data is wrong."""
    _, document = platform.command("alerts", "list")
    return [alert for alert in document if alert["alert_type"] == "data_integrity_failure"]


def await_alerts(platform: Platform, count: int) -> None:
    """Wait until so many alerts of that kind are open; the daemon looks twice a minute."""
    book = Alerts(platform.settings)

    def told() -> bool:
        return len([alert for alert in book.open() if alert.alert_type is AlertType.DATA_INTEGRITY_FAILURE]) == count

    eventually(told, PATIENCE, BETWEEN_LOOKS)


def test_a_wrong_row_is_red_and_alerted_until_it_is_mended(page: Page, platform: Platform, tmp_path: Path) -> None:
    quotes = Quotes(platform)
    assert alerts(platform) == []

    quotes.cross()
    execute(page, platform)
    page.get_by_text("first_rows").first.wait_for()
    page.get_by_role("cell", name=quotes.row["local_symbol"]).first.wait_for()
    page.get_by_text("Failed", exact=True).first.wait_for()
    page.screenshot(path=tmp_path / "red.png", full_page=True)

    await_alerts(platform, 1)
    (alert,) = alerts(platform)
    assert alert["subject"] == "AAPL"
    assert RULE in alert["reason"]
    assert alert["remedy"]

    quotes.mend()
    execute(page, platform)
    page.get_by_text("Passed", exact=True).first.wait_for()
    assert page.get_by_text("first_rows").count() == 0
    page.screenshot(path=tmp_path / "green.png", full_page=True)
    await_alerts(platform, 0)
    assert alerts(platform) == []
    _, history = platform.command("alerts", "list", "--all")
    assert [each["cleared_at"] is not None for each in history if each["alert_type"] == "data_integrity_failure"] == [
        True
    ]


def test_the_automation_page_says_why_nothing_is_to_be_done(page: Page, platform: Platform, tmp_path: Path) -> None:
    def states() -> dict[str, dict[str, Any]]:
        found = platform.ask(AUTOMATION)["repositoryOrError"]
        every = {each["name"]: each["scheduleState"] for each in found["schedules"]} | {
            each["name"]: each["sensorState"] for each in found["sensors"]
        }
        return every if all(every[name]["ticks"] for name in ("stale_chains", "gaps", "new_symbols", "alerts")) else {}

    every = eventually(states, PATIENCE)
    assert set(every) == {
        "daily_snapshot",
        "daily_bars",
        "daily_positions",
        "last_chance",
        "live_merge",
        "quality_check",
        "weekly_maintenance",
        "monthly_maintenance",
        "stale_chains",
        "gaps",
        "new_symbols",
        "parts",
        "alerts",
    }
    assert {state["status"] for state in every.values()} == {"RUNNING"}
    ticks = [tick for state in every.values() for tick in state["ticks"]]
    assert [tick["error"]["message"] for tick in ticks if tick["status"] == "FAILURE"] == []
    reasons = {tick["skipReason"] for tick in ticks if tick["status"] == "SKIPPED"}
    assert reasons
    assert [reason for reason in reasons if not re.match(r"[A-Z0-9].* .*\.$", reason)] == [], (
        "every reason is a sentence"
    )

    page.goto(f"{platform.url}/automation")
    for name in every:
        page.get_by_role("link", name=name).first.wait_for()
    page.get_by_text("Every hour").first.wait_for()
    page.get_by_text("Standard sensor").nth(3).wait_for()
    page.screenshot(path=tmp_path / "automation.png", full_page=True)
    page.goto(f"{platform.url}/locations/trading_assets/sensors/gaps")
    page.get_by_role("row").get_by_text("0 runs requested").first.hover()
    page.get_by_text("No closed session is missing that can be asked for now.").first.wait_for()
    page.screenshot(path=tmp_path / "gaps.png", full_page=True)
