"""Collected lakes are clean; an error of one symbol costs it no request and is reported, the other symbols go on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.validation import validate
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

pytestmark = pytest.mark.xdist_group("blocking")  # what they look at is collected once


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    with Simulator(GeneratedMarket(), now=at("2024-06-04T15:45-04:00"), limits=False) as simulator:
        desk = Desk(tmp_path_factory.mktemp("desk") / "lake", simulator, SMALL)
        desk.setup("AAPL", "IBM", lookback_days=40)
        desk.move("2024-06-04T18:30-04:00")
        assert desk.update().success
        yield desk  # type: ignore[misc]


def test_a_collected_lake_violates_nothing(desk: Desk) -> None:
    report = validate(desk.settings)
    assert {result.rule.name: result.rows.to_pylist() for result in report.failing()} == {}
    assert sum(result.examined > 0 for result in report.results) > 25


def test_a_wrong_contract_blocks_its_symbol_only(desk: Desk) -> None:
    store = ParquetStore(Path(desk.folder))
    rows = store.read(CONTRACTS).to_pylist()
    session = max(row["session"] for row in rows)
    wrong = [{**row, "currency": "EUR"} for row in rows if row["symbol"] == "AAPL" and row["session"] == session]
    store.upsert(CONTRACTS, pa.Table.from_pylist(wrong, schema=CONTRACTS.schema))
    desk.forget()
    config = {"option_bars": {"symbols": ["AAPL", "IBM"], "refresh": True}}
    sessions = calendar().sessions(session, session)
    run = desk.job("backfill_bars", sessions, config, steps=["option_bars"])
    (report,) = run.reports
    assert [(problem.kind, problem.symbol) for problem in report.problems] == [("prerequisite_violation", "AAPL")]
    assert "contracts violates known_exchange_and_currency" in report.problems[0].sentence
    assert set(report.rows_by_symbol) == {"IBM"}
    assert not [entry for entry in desk.simulator.counters.log if "AAPL" in entry.subject]
