"""The daily snapshot beside a recorder that uses every line the account has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.limits import Limits
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.registry import LiveRegistry
from trading_assets_tests.observing import eventually
from trading_assets_tests.rewriting import collect, rows, settings_for
from trading_assets_tests.streaming.test_process import recorder

OPEN = datetime(2024, 6, 4, 15, 0, tzinfo=UTC)
LINES = 10
"""Those of AAPL's quotes and bars, and of the eight options that the first snapshot selects."""

pytestmark = pytest.mark.timeout(600)


def test_it_completes_and_does_not_ask_for_what_is_streamed(tmp_path: Path) -> None:
    """The recorder gives lines back; no limit is violated; what it streams is taken from the store."""
    lines = {"market_data_lines": LINES, "live_lines": LINES}
    with Simulator(GeneratedMarket(), now=OPEN - timedelta(days=1), limits=Limits(market_data_lines=LINES)) as tws:
        collect(settings_for(tmp_path, tws.port, OPEN - timedelta(days=1), **lines), ["AAPL"], steps="ch")
        tws.clock.set(OPEN)
        settings = settings_for(tmp_path, tws.port, OPEN, **lines)
        wanting = LiveRegistry(settings.state_url)
        wanting.want([Subscription("AAPL", LINES - 2)])
        with recorder(settings):
            eventually(
                lambda: [one.state for one in wanting.state().streams] == [StreamState.LIVE] * LINES,
                between_looks=0.05,
            )
            streamed = {one.con_id for one in wanting.state().streams}
            assert tws.counters.open_now["lines"] == LINES
            before = len(tws.counters.log)
            report = collect(settings, ["AAPL"], steps="h", rules={"strikes_around_spot": 6})["h"]
            asked = tws.counters.log[before:]
        wanting.close()
        counters = tws.counters
    assert report.complete, report
    quotes = rows(settings, f"select * from option_chains where selected and session = '{OPEN.date()}'")
    taken = {row["con_id"] for row in quotes if row["request_id"] == 0}
    assert len(quotes) > LINES and len(taken) == LINES - 2 and taken <= streamed
    (snapshot,) = [one.client_id for one in asked if one.kind == "start_api"]
    requested = {
        int(one.subject.partition(":")[0]) for one in asked if (one.kind, one.client_id) == ("market_data", snapshot)
    }
    assert requested == {row["con_id"] for row in quotes} - taken
    assert counters.open_max["lines"] == LINES and not counters.violations and not counters.internal_errors
