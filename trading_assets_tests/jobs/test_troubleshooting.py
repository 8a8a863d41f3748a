"""Each problem of the guide's chapter Troubleshooting, provoked, and mended by the guide's own solution; and the single
operations that are these solutions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from trading_assets.broker.retries import Waits
from trading_assets.client import connect_broker
from trading_assets.errors import InvalidRequest, PrerequisiteError, RequestFailed
from trading_assets.jobs import (
    DataPipelineOrchestrator,
    DataValidation,
    calculate_missing_windows,
    cleanup_temp_files,
    refresh_contract_descriptions,
    run_option_backfill,
)
from trading_assets.jobs.backfill_contracts_us_rt import backfill_us_equity_contracts
from trading_assets.jobs.contracts_snapshot import refresh_option_chain
from trading_assets.reliability import BreakerOpen, CircuitBreaker, MemoryStore, RetryConfig
from trading_assets.repositories import EquityBarRepository
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import collect
from trading_assets_tests.scenarios.desk import Desk, at

NOW = "2025-11-17T16:40-05:00"
FIRST, LAST = date(2025, 11, 7), date(2025, 11, 17)
SELECTION = {"max_days_to_expiry": 5, "strikes_around_spot": 1}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulated TWS that enforces the broker's limits."""
    with Simulator(GeneratedMarket(seed=42), now=at(NOW)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def collected(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with ten days of AAPL, collected by the steps in process."""
    desk = Desk(tmp_path_factory.mktemp("collected"), simulator, None, {"enforce_pacing": True})
    assert all(report.complete for report in collect(desk.settings, ["AAPL"], rules=SELECTION).values())
    return desk.folder


@pytest.fixture
def desk(simulator: Simulator, collected: Path, tmp_path: Path) -> Iterator[Desk]:
    """A copy of that folder on that evening."""
    simulator.faults.clear()
    shutil.copytree(collected, tmp_path / "data")
    simulator.reset_counters()
    desk = Desk(tmp_path / "data", simulator, None, {"enforce_pacing": True, "selection": SELECTION})
    yield desk
    desk.move(NOW)


def lose(desk: Desk, dataset: str) -> None:
    """Delete the files of a dataset, as a full disk or a careless hand does."""
    shutil.rmtree(desk.folder / dataset)


def test_an_option_backfill_without_contract_descriptions(desk: Desk) -> None:
    lose(desk, "contracts")
    failed = run_option_backfill("AAPL", 10, settings=desk.settings)
    assert not failed.success
    assert failed.error_message == (
        "AAPL has no contracts in the lake, so nothing was requested for it."
        " Run backfill_us_equity_contracts(symbol='AAPL') first."
    )
    assert desk.asked() == {}

    mended = backfill_us_equity_contracts(symbol="aapl", settings=desk.settings)
    assert (mended.success, mended.symbol, mended.rows, mended.requests_sent) == (True, "AAPL", 1, 1)
    lose(desk, "option_bars")
    desk.forget()
    again = run_option_backfill("AAPL", 10, settings=desk.settings)
    assert again.success
    assert again.requests_sent == desk.asked()["option bars"] > 0
    assert set(desk.asked()) == {"option bars"}
    assert again.rows > 0


def test_a_stale_option_chain(desk: Desk) -> None:
    desk.move("2025-11-19T10:00-05:00")
    validator = DataValidation(settings=desk.settings)
    with pytest.raises(PrerequisiteError, match="chain_current"):
        validator.validate_option_chain_current("AAPL")

    desk.forget()
    assert refresh_option_chain("AAPL", settings=desk.settings).success
    assert desk.asked()["parameters"] == 1
    assert "contract" not in desk.asked(), "verified two days ago"
    validator.validate_option_chain_current("AAPL")
    desk.forget()
    again = refresh_option_chain("AAPL", settings=desk.settings)
    assert (again.success, again.requests_sent, desk.asked()) == (True, 0, {}), "the session has its chain"
    desk.move("2025-11-19T11:00-05:00")
    quoted = refresh_option_chain("AAPL", requote_after_minutes=30, settings=desk.settings)
    assert quoted.success
    assert desk.asked()["quote"] > 0
    assert "listing" not in desk.asked()


def test_missing_equity_data_for_option_analysis(desk: Desk) -> None:
    lose(desk, "equity_bars")
    equity_repo = EquityBarRepository(data_dir=desk.folder)
    validator = DataValidation(settings=desk.settings)
    with pytest.raises(PrerequisiteError, match="AAPL has no equity_bars"):
        validator.validate_equity_data_available("AAPL")

    present = equity_repo.present_dates("AAPL", "1 day", FIRST, LAST)
    assert present == set()
    windows = calculate_missing_windows(present, FIRST, LAST, settings=desk.settings)
    assert windows == [(FIRST, LAST)]
    for first, last in windows:
        assert DataPipelineOrchestrator(settings=desk.settings).backfill("AAPL", first, last).success
    assert desk.asked()["equity bars"] == 1
    validator.validate_equity_data_available("AAPL")
    present = equity_repo.present_dates("AAPL", "1 day", FIRST, LAST)
    assert calculate_missing_windows(present, FIRST, LAST, settings=desk.settings) == []


def test_rate_limiting_with_breaker_and_retry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = RetryConfig(attempts=3, wait_initial=0.02, wait_max=0.1)
    monkeypatch.setattr("trading_assets.broker.broker.Waits", lambda: Waits(soon, soon, soon))
    desk.changes["max_attempts"] = 1
    desk.simulator.faults.add(on="historical_data", do="pacing", times=3)
    breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=300, store=MemoryStore())
    with connect_broker(settings=desk.settings) as api_client:
        for _ in range(2):
            with pytest.raises(RequestFailed, match="pacing") as failure, breaker:
                api_client.get_equity_bars("AAPL", "2025-10-01", LAST)
            assert failure.value.retryable
        with pytest.raises(BreakerOpen), breaker:
            pytest.fail("the open breaker lets nothing through")
        data = soon.retrying(api_client.get_equity_bars, "AAPL", "2025-10-01", LAST)
    assert len(data) == 34, "the third failure was waited for, the fourth request answered"


def test_contract_descriptions_are_refreshed_once_a_session(desk: Desk) -> None:
    """Details that the session has verified already are not requested again; those of the session before are."""
    assert refresh_contract_descriptions("AAPL", settings=desk.settings).requests_sent == 0
    desk.move("2025-11-18T10:00-05:00")
    assert refresh_contract_descriptions("AAPL", settings=desk.settings).requests_sent == 1
    desk.forget()
    again = refresh_contract_descriptions("AAPL", settings=desk.settings)
    assert (again.success, again.requests_sent, desk.asked()) == (True, 0, {})


def test_temporary_files_go_and_data_stays(desk: Desk) -> None:
    (file,) = (desk.folder / "equity_bars").rglob("*.parquet")
    left = file.with_name(f".{file.name}.4242.tmp")
    left.write_bytes(b"half a file")
    assert cleanup_temp_files(desk.folder) == [left.relative_to(desk.folder).as_posix()]
    assert file.exists()
    assert cleanup_temp_files(settings=desk.settings) == []


def test_wrong_arguments_are_refused_before_a_run_begins(desk: Desk) -> None:
    for call in (
        lambda: backfill_us_equity_contracts(symbol=["AAPL"], settings=desk.settings),  # type: ignore[arg-type]
        lambda: refresh_option_chain("A,B", settings=desk.settings),
        lambda: refresh_option_chain("AAPL", requote_after_minutes=-1, settings=desk.settings),
        lambda: run_option_backfill("AAPL", -1, settings=desk.settings),
        lambda: refresh_contract_descriptions("", settings=desk.settings),
        lambda: cleanup_temp_files(desk.folder / "nothing"),
    ):
        with pytest.raises(InvalidRequest):
            call()
    assert desk.asked() == {}
