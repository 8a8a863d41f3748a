"""The guide's orchestrator: results by symbol, the status report, the health check of a symbol nobody has."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from trading_assets.errors import PrerequisiteError
from trading_assets.jobs import DataPipelineOrchestrator, DataValidation
from trading_assets.resources.instance import dagster_instance
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at, sent


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """AAPL, set up on a Monday after the close."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00")) as simulator:
        desk = Desk(tmp_path_factory.mktemp("lake"), simulator, SMALL, {"enforce_pacing": True})
        assert desk.setup("AAPL").success
        yield desk


def test_each_symbol_is_told_its_own_requests(desk: Desk) -> None:
    desk.forget()
    done = desk.setup("AAPL", "MSFT")
    assert [result.requests_sent for result in done.job_results("AAPL")] == [0, 0, 0, 0]
    assert (
        sum(result.requests_sent for result in done.job_results("MSFT")) == sent(done) == sum(desk.asked().values()) > 0
    )


def test_the_status_report_is_that_of_the_command(desk: Desk) -> None:
    status = DataPipelineOrchestrator(settings=desk.settings).generate_status_report()
    assert status["circuit_breaker_status"] == "closed"
    assert status["symbols"][0] == "AAPL"
    assert status["wrong"] == []


def test_a_symbol_of_which_nothing_is_stored_is_not_in_order(desk: Desk) -> None:
    validator = DataValidation(settings=desk.settings)
    validator.validate_data_integrity("AAPL")
    with pytest.raises(PrerequisiteError, match=r"Nothing of NOPE is in the lake\. Run .*setup_new_symbol\('NOPE'\)\."):
        validator.validate_data_integrity("NOPE")


@pytest.mark.slow
def test_a_symbol_outside_the_universe_is_told_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.command(monkeypatch, "update", "GOOGL", "--strikes", "1", "--max-days-to-expiry", "4")
    assert (
        "Not in the universe, so not kept up by itself: GOOGL. trading-assets universe add GOOGL keeps it up."
        in capsys.readouterr().err
    )
    results = DataPipelineOrchestrator(settings=desk.settings).daily_update(["GOOGL"])["GOOGL"]
    for result in results:
        assert result.note.startswith("GOOGL is not in the universe: it is collected now, and not kept up by itself.")
    with dagster_instance(desk.settings) as instance:
        newest = instance.get_latest_materialization_event(dg.AssetKey("equity_bars"))
        assert "GOOGL is not in the universe" in newest.asset_materialization.metadata["notes"].value
