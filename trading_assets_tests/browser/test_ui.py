"""The Dagster UI in a real browser: `trading-assets up` as a user starts it, clicked as a user clicks."""

from __future__ import annotations

import http.server
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from trading_assets.repositories import query
from trading_assets.resources.run_config import ASSETS
from trading_assets.sessions import calendar
from trading_assets.universe import Universe
from trading_assets_tests.browser.running import BETWEEN_LOOKS, PATIENCE, Platform, launch
from trading_assets_tests.observing import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("browser")]


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
    stored = query(
        platform.settings.data_dir,
        "select session from equity_bars where symbol = 'AAPL' and bar_size = '1 day' order by session",
    )
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


def test_a_symbol_is_set_up_with_one_field(page: Page, platform: Platform) -> None:
    """A config typed here replaces that of the job: what it leaves out is as `trading-assets setup` would have it."""
    xnys = calendar()
    assert platform.settings.now is not None
    current = xnys.current(platform.settings.now)

    launch(page, platform, "setup_symbol", current.isoformat(), "ops: {contracts: {config: {symbols: [MSFT]}}}")
    # AAPL was set up by the command
    eventually(lambda: len(platform.finished("setup_symbol")) == 2, PATIENCE, BETWEEN_LOOKS)

    assert {run["status"] for run in platform.finished("setup_symbol")} == {"SUCCESS"}
    assert Universe(platform.settings.state_url).active() == ["AAPL", "MSFT"]
    history = query(
        platform.settings.data_dir, "select distinct session from equity_bars where symbol = 'MSFT' order by session"
    )
    assert history["session"].to_pylist() == xnys.sessions(current - timedelta(days=5), current)
    page.goto(f"{platform.url}/assets/equity_bars?view=checks")
    page.get_by_text("complete", exact=True).first.click()
    page.get_by_text(f"All that is wanted of session {current} is in the lake.").first.wait_for()
    nodes = platform.ask("{ assetNodes { assetKey { path } staleStatus } }")["assetNodes"]
    apart = {"quality_metrics", "position_snapshots", "position_changes"}
    apart |= {"live_stream", "live_quotes", "live_bars", "live_gaps"}
    assert {
        tuple(node["assetKey"]["path"]): node["staleStatus"]
        for node in nodes
        if node["assetKey"]["path"][0] not in apart
    } == {(name,): "FRESH" for name in (*ASSETS, "option_greeks")}


def test_the_timeline_shows_no_run_that_will_not_happen(page: Page, platform: Platform) -> None:
    """Future runs are those of schedules: the hourly check and the maintenance, which do run then. The times of a
    session are described with its sensors."""
    found = platform.ask(
        "{ repositoriesOrError { ... on RepositoryConnection { nodes { schedules { name } sensors { name description }"
        " } } } }"
    )
    (repository,) = found["repositoriesOrError"]["nodes"]
    schedules = sorted(schedule["name"] for schedule in repository["schedules"])
    assert schedules == ["monthly_maintenance", "quality_check", "weekly_maintenance"]
    told = {sensor["name"]: sensor["description"] for sensor in repository["sensors"]}
    assert told["daily_snapshot"].startswith("Every session at 15:45 New York, on half days at 12:45")
    assert told["daily_bars"].startswith("Every session at 16:30 New York, on half days at 13:30")
    page.goto(f"{platform.url}/automation")
    page.get_by_text("daily_snapshot").first.wait_for()


FOREIGN = """<!doctype html><title>foreign</title><script>
const ui = "UI", mutation = encodeURIComponent("mutation { reloadWorkspace { __typename } }");
new Image().src = ui + "/graphql?query=" + mutation;
fetch(ui + "/graphql?query=" + encodeURIComponent("{ version }"), {mode: "no-cors"});
fetch(ui + "/graphql?query=" + mutation, {method: "POST", mode: "no-cors", body: "x"});
fetch(ui + "/graphql", {method: "POST", mode: "no-cors", body: JSON.stringify({query: "{ version }"})});
const line = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
line.onopen = () => { document.title = "subscribed"; };
line.onerror = () => { document.title = "refused"; };
</script>"""
"""A page of another program of this machine, which is another origin of the same site; a page of the web is refused by
more headers."""


def test_a_page_of_another_program_cannot_use_the_ui(page: Page, platform: Platform) -> None:
    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(FOREIGN.replace("UI", platform.url).encode())

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    answers: list[int] = []
    page.on("response", lambda answer: answers.append(answer.status) if "/graphql" in answer.url else None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("document.title != 'foreign'")
        assert page.title() == "refused"
        while len(answers) < 4:
            page.wait_for_event("response")
        server.shutdown()
    assert answers == [403] * 4
    page.goto(f"{platform.url}/assets")
    page.get_by_text("option_chains").first.wait_for()
    assert set(answers[4:]) == {200}, "its own pages are answered"


def test_the_graph_shows_the_order_of_the_assets(platform: Platform) -> None:
    nodes = platform.ask("{ assetNodes { assetKey { path } dependencyKeys { path } groupName description } }")[
        "assetNodes"
    ]
    upstream = {node["assetKey"]["path"][0]: {key["path"][0] for key in node["dependencyKeys"]} for node in nodes}
    assert upstream == {
        "contracts": set(),
        "option_chains": {"contracts"},
        "equity_bars": {"contracts", "option_chains"},
        "option_bars": {"contracts", "option_chains", "equity_bars"},
        "option_greeks": {"option_chains", "equity_bars", "option_bars"},
        "quality_metrics": {"contracts", "option_chains", "equity_bars", "option_bars", "option_greeks"},
        "live_stream": set(),
        **{name: {"live_stream"} for name in ("live_quotes", "live_bars", "live_gaps")},
        "position_snapshots": set(),
        "position_changes": {"position_snapshots"},
    }
    assert all(node["description"] for node in nodes)
