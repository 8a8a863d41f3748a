"""The snapshot beside a recorder that uses all its lines: what is streamed is not asked for, no limit is violated."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories import query
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.store import latest_quotes
from trading_assets_tests.observing import eventually
from trading_assets_tests.rewriting import collect
from trading_assets_tests.scenarios.desk import at

NOW = at("2024-06-14T10:00-04:00")
RULES = SelectionRules(max_days_to_expiry=8, strikes_around_spot=2)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[tuple[Settings, Simulator]]:
    """A lake with a chain of 16 contracts, and a recorder that streams 8 of them in the 10 lines that it may use."""
    with Simulator(GeneratedMarket(seed=42), now=NOW, speed=1.0) as tws:
        settings = Settings(data_dir=tmp_path, ib_port=tws.port, now=NOW, live_lines=10)
        collect(settings, ["AAPL"], steps="ch")
        with LiveDataManager(settings) as manager:
            manager.start_streaming(["AAPL"], options=12)
            assert manager.monitor_stream_health().states == {"live": 10, "shed": 4}
            yield settings, tws
        if pid := LiveRegistry(settings.state_url).state().pid:
            os.kill(pid, signal.SIGTERM)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def test_streamed_contracts_are_not_asked_for_and_the_others_are(recording: tuple[Settings, Simulator]) -> None:
    settings, tws = recording
    whole = {"broker_delta", "open_interest", "bid"}
    eventually(
        lambda: (
            sum(
                all(getattr(quote, name) is not None for name in whole)
                for quote in latest_quotes(settings.data_dir).values()
            )
            >= 8
        )
    )
    newest = max(quote.received_at for quote in latest_quotes(settings.data_dir).values())
    later = settings.model_copy(update={"now": newest + timedelta(seconds=1)})
    with Archive(later) as archive:
        entries, contracts = archive.universe.resolve(["AAPL"]), archive.view(CONTRACTS)
        again = collect_option_chains(
            archive, entries, NOW.date(), contracts=contracts, rules=RULES, requote_after=timedelta(seconds=1)
        )
        archive.write(again)
    assert (
        again.report.complete and "AAPL: 8 quotes were taken from running streams, not requested." in again.report.notes
    )
    sql = "select count(*) filter (request_id = 0) as streamed, count(*) as rows from option_chains where selected"
    assert query(settings.data_dir, sql).to_pylist() == [{"streamed": 8, "rows": 16}]
    assert not tws.counters.violations and not tws.counters.internal_errors
