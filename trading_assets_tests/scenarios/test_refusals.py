"""What cannot be collected is refused or reported, in a sentence, and costs no request."""

from __future__ import annotations

from datetime import date

import pytest

from trading_assets.jobs import DataPipelineOrchestrator
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import SMALL, Desk, at, settings_of

NOON = "2015-12-23T12:00-05:00"
YESTERDAY, TODAY, TOMORROW = date(2015, 12, 22), date(2015, 12, 23), date(2015, 12, 24)
GOOG, BOTH = {"symbols": ["GOOG"]}, {"symbols": ["GOOG", "IBM"]}


@pytest.fixture(scope="module")
def desk(open_desk: OpenDesk) -> Desk:
    """GOOG set up on an open session; IBM has a contract and bars, but its chain was never collected."""
    desk = open_desk(NOON, options=SMALL)
    run = desk.job("snapshot", [TODAY], {"contracts": BOTH}, steps=["contracts"])
    assert run.complete
    chain = {"option_chains": {**GOOG, **SMALL["option_chains"]}}
    assert desk.job("snapshot", [TODAY], chain, steps=["option_chains"]).complete
    assert desk.job("backfill_bars", [YESTERDAY], {"equity_bars": BOTH}, steps=["equity_bars"]).complete
    desk.forget()
    return desk


def test_a_symbol_without_a_chain_costs_no_request_and_the_others_go_on(desk: Desk) -> None:
    desk.forget()
    run = desk.job("backfill_bars", [YESTERDAY], {"option_bars": BOTH}, steps=["option_bars"])
    assert run.success
    (report,) = run.reports
    (problem,) = report.problems
    assert (problem.kind, problem.symbol) == ("prerequisite_violation", "IBM")
    assert (
        problem.sentence
        == "IBM has no selected option contracts in the lake, so nothing was requested for it. Materialize"
        " option_chains for IBM first."
    )
    assert set(desk.asked()) == {"option bars"}
    assert report.sent == desk.asked()["option bars"] > 0
    assert not [entry for entry in desk.simulator.counters.log if "IBM" in entry.subject]
    assert set(desk.rows("select distinct symbol from coverage where dataset = 'option_bars'")["symbol"]) == {"GOOG"}


@pytest.mark.parametrize("asset", ["contracts", "option_chains"])
def test_a_snapshot_of_another_session_is_refused(desk: Desk, asset: str) -> None:
    desk.forget()
    run = desk.job("snapshot", [YESTERDAY], {asset: GOOG}, steps=[asset])
    assert not run.success
    assert (
        run.error
        == f"{asset} is a snapshot: the broker answers only what is listed now, so it can be collected for the current"
        f" session 2015-12-23 only, not for {YESTERDAY}. Choose partition 2015-12-23."
    )
    assert not run.retryable
    assert desk.connections() == 0


def test_the_partition_that_dagster_lists_on_a_holiday_is_refused_with_its_reason(desk: Desk) -> None:
    """`Latest` in the UI (dagster-io/dagster#33551)."""
    run = desk.job("snapshot", [TOMORROW], {"contracts": GOOG}, steps=["contracts"])
    assert run.error is not None and run.error.endswith(
        "for the current session 2015-12-23 only, not for 2015-12-24. On a holiday Dagster lists the next session"
        " already. Choose partition 2015-12-23."
    )


@pytest.mark.parametrize("asset", ["equity_bars", "option_bars"])
def test_bars_of_a_session_that_has_not_begun_are_refused(desk: Desk, asset: str) -> None:
    desk.forget()
    run = desk.job("backfill_bars", [TOMORROW], {asset: GOOG}, steps=[asset])
    assert not run.success
    assert (
        run.error
        == "Session 2015-12-24 has not begun; the current session is 2015-12-23. Choose partitions up to 2015-12-23."
    )
    assert desk.connections() == 0


def test_the_open_session_is_pending_and_never_stored(desk: Desk) -> None:
    desk.forget()
    run = desk.job("backfill_bars", [TODAY], {"equity_bars": GOOG, "option_bars": GOOG})
    assert run.success
    assert [(p.kind, p.subject) for report in run.reports for p in report.problems] == [("pending", "2015-12-23")] * 2
    assert "closes at 16:00 New York; its bars are collected after that" in run.reports[0].problems[0].sentence
    assert desk.asked() == {}
    for dataset in ("equity_bars", "option_bars", "coverage"):
        where = "dataset in ('equity_bars', 'option_bars') and " if dataset == "coverage" else ""
        assert desk.rows(f"select count(*) as n from {dataset} where {where}session >= '2015-12-23'")["n"][0] == 0


def test_a_lake_of_one_market_refuses_another(desk: Desk) -> None:
    files = {path: path.read_bytes() for path in desk.folder.rglob("*.parquet")}
    with Simulator(GeneratedMarket(seed=7), now=at(NOON)) as other:
        operation = DataPipelineOrchestrator(settings=settings_of(desk.folder, other, enforce_pacing=True)).setup(
            ["AAPL"], 5
        )
        asked = other.counters.requests
    assert not operation.success
    error = operation.runs[0].error
    assert "simulated/recorded/" in error
    assert "simulated/generated/" in error
    assert "TRADING_ASSETS_DATA_DIR" in error
    assert not {"contract_details", "option_parameters", "market_data", "historical_data"} & set(asked)
    assert {path: path.read_bytes() for path in desk.folder.rglob("*.parquet")} == files
