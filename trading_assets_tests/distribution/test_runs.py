"""A lake made by parts is the lake that one run makes: row for row, request for request, finding for finding."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_assets.checks.rule_checks import evaluate_rules, run_scope
from trading_assets.distribution import DISTRIBUTION_TAG
from trading_assets.jobs import DataPipelineOrchestrator
from trading_assets.jobs.distribution import distribute_work, distribution_status, distributions
from trading_assets.jobs.runner import run_job
from trading_assets.monitoring.agenda import BARS, COMPUTED
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets.validation import Finding, Findings, Scope, known_rules, validate
from trading_assets_tests.distribution.parts import rows_of, run_part, run_parts, submitted
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.scenarios.desk import SMALL, Desk, at
from trading_assets_tests.validation.worlds import BAR_SESSIONS, SYMBOLS, world, write

FIRST, LAST = date(2023, 12, 20), date(2024, 1, 2)


def partitions(settings: Settings, asset: str) -> set[str]:
    with dagster_instance(settings) as instance:
        return instance.get_materialized_partitions(dg.AssetKey(asset))


def plain_lake(folder: Path) -> Settings:
    return Settings(data_dir=copy_of(PLAIN, folder), now=PLAIN_NOW, ib_port=1)  # no broker answers


@pytest.mark.slow
def test_greeks_by_parts_are_those_of_one_run(tmp_path: Path) -> None:
    whole, split = plain_lake(tmp_path / "whole"), plain_lake(tmp_path / "split")
    assert run_job(whole, "backfill_bars", [FIRST, LAST], {}, steps=COMPUTED).success
    status = distribute_work("greeks", None, FIRST, LAST, settings=split, symbols_per_part=1, sessions_per_part=5)
    assert status.counts["missing"] == len(status.parts) == 2 * 3
    assert all(result.success for result in run_parts(split))
    assert distribution_status(status.name, settings=split).done
    assert rows_of(split, "option_greeks").num_rows > 100
    assert rows_of(split, "option_greeks").equals(rows_of(whole, "option_greeks"))
    assert partitions(split, "option_greeks") == partitions(whole, "option_greeks") != set()


@pytest.mark.slow
def test_a_partition_is_recorded_by_the_part_that_completes_it(tmp_path: Path) -> None:
    settings = plain_lake(tmp_path / "lake")
    distribute_work("greeks", None, "2023-12-26", "2023-12-29", settings=settings, symbols_per_part=1)
    with dagster_instance(settings, captures=False) as instance:
        first, second = submitted(settings, instance)
        assert run_part(settings, instance, first).success
        assert partitions(settings, "option_greeks") == set(), "the other symbol has bars without rows"
        assert run_part(settings, instance, second).success
    assert len(partitions(settings, "option_greeks")) == 4


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Contracts and chains of three symbols, no bars."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00"), limits=False) as simulator:
        desk = Desk(tmp_path_factory.mktemp("desk") / "lake", simulator, SMALL)
        Universe(desk.settings.state_url).add(["AAPL", "MSFT", "SPY"])
        config = {"option_chains": SMALL["option_chains"]}
        assert desk.job("snapshot", [date(2025, 11, 17)], config, steps=["contracts", "option_chains"]).success
        connect_state(desk.settings.state_url).dispose()
        yield desk


@pytest.mark.slow
def test_a_backfill_by_parts_asks_for_the_same_and_stores_the_same(desk: Desk, tmp_path: Path) -> None:
    first, last = "2025-10-27", "2025-11-14"
    asked, lakes = [], []
    for name in ("whole", "split"):
        shutil.copytree(desk.folder, tmp_path / name)
        copy = Desk(tmp_path / name, desk.simulator, SMALL)
        copy.forget()
        if name == "whole":
            assert DataPipelineOrchestrator(settings=copy.settings).backfill(None, first, last).success
        else:
            status = distribute_work("backfill", None, first, last, settings=copy.settings, symbols_per_part=1)
            assert len(status.parts) == 3 and all(result.success for result in run_parts(copy.settings))
        asked.append(copy.asked())
        lakes.append(copy.settings)
        keys = query_state(copy.settings, "select key, count(*) from requests group by key having count(*) > 1")
        assert keys == []
    assert asked[0] == asked[1] and asked[0]["option bars"] > 3
    for dataset in (*BARS, *COMPUTED, "coverage"):
        whole, split = (rows_of(lake, dataset) for lake in lakes)
        assert whole.num_rows > 0 and split.equals(whole), dataset
        if dataset != "coverage":
            assert partitions(lakes[1], dataset) == partitions(lakes[0], dataset) != set()


def query_state(settings: Settings, sql: str) -> list[object]:
    with connect_state(settings.state_url).connect() as connection:
        return list(connection.exec_driver_sql(sql))


def faulty_lake(folder: Path) -> Settings:
    """Rows that fail for each symbol, one of a symbol that is not active, and one without a symbol."""
    rows = world()
    bars = [row for row in rows[EQUITY_BARS.name] if (row["symbol"], row["session"]) != ("IBM", BAR_SESSIONS[12])]
    for row in bars:
        if row["bar_size"] == "1 day" and row["session"] in BAR_SESSIONS[20:50:7]:
            row["volume"] = 0.0
        if row["bar_size"] == "1 day" and row["session"] == BAR_SESSIONS[45]:
            row["high"] = row["low"] - 1
    gone = [row | {"symbol": "gone.old"} for row in bars if row["symbol"] == SYMBOLS[0]]  # no symbol a user may write
    gone = [row for row in gone if row["session"] < BAR_SESSIONS[-5]]  # no gap, since it is not active
    rows[EQUITY_BARS.name] = [*bars, *gone, bars[0] | {"symbol": None}]
    return write(folder, rows)


def found(settings: Settings) -> list[tuple[Any, ...]]:
    return [(each.rule, each.symbol, each.session, each.failed, each.example) for each in
            Findings(settings.state_url).current()]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [(None, None), (BAR_SESSIONS[30], BAR_SESSIONS[48])], ids=["all", "some"])
def test_the_findings_of_the_parts_are_those_of_one_validation(
    tmp_path: Path, bounds: tuple[date | None, date | None]
) -> None:
    whole, split = faulty_lake(tmp_path / "whole"), faulty_lake(tmp_path / "split")
    validate(whole, Scope(None, *bounds))
    status = distribute_work("validation", None, *bounds, settings=split, symbols_per_part=1)
    assert [part.symbols for part in status.parts] == [(), ("AAPL",), ("IBM",), ("gone.old",)]
    assert all(result.success for result in run_parts(split))
    assert found(split) == found(whole)


def test_a_part_of_the_lake_is_judged_as_in_the_whole(tmp_path: Path) -> None:
    settings = faulty_lake(tmp_path)
    names = {"bar_named", "contract_present", "prices_consistent", "volume_present", "session_complete"}
    rules = [rule for rule in known_rules() if rule.name in names]
    validate(settings, rules=rules)
    whole = found(settings)
    assert {rule for rule, *_ in whole} == names - {"contract_present"}
    for of_now, symbols in ((True, None), (False, SYMBOLS), (False, ("gone.old",))):
        scope = Scope(symbols, part_of_lake=symbols is not None)
        validate(settings, scope, rules=[rule for rule in rules if rule.of_now is of_now])
    assert found(settings) == whole


def test_a_part_does_not_turn_the_check_of_the_others_green(tmp_path: Path) -> None:
    settings = plain_lake(tmp_path / "lake")
    rule = next(rule for rule in known_rules() if rule.name == "convex_in_strike")
    other = Finding(rule.name, rule.dataset, rule.severity, "SPY", LAST, 1, {}, PLAIN_NOW)
    Findings(settings.state_url).replace([(rule, 1, 1)], [other], symbols=None, first=None, last=None, now=PLAIN_NOW)
    run = dg.DagsterRun("backfill_bars", tags={DISTRIBUTION_TAG: "greeks"})
    scope = run_scope(run, ["AAPL"], [FIRST, LAST])
    result = evaluate_rules(settings, "option_greeks", scope)
    assert not result.passed and result.severity is dg.AssetCheckSeverity.WARN
    assert result.description == "Earlier findings for other symbols in these sessions: 1 in SPY."
    assert Findings(settings.state_url).current() == [other]
    assert evaluate_rules(settings, "option_greeks", run_scope(run, ["AAPL"], [FIRST, date(2023, 12, 29)])).passed
    assert run_scope(dg.DagsterRun("backfill_bars"), ["AAPL"], [FIRST, LAST]) == Scope(None, FIRST, LAST)


@pytest.mark.slow
def test_the_job_that_is_run_again_records_nothing_twice(tmp_path: Path) -> None:
    settings = plain_lake(tmp_path / "lake")
    config = {"split_work": {"work": "greeks", "first": FIRST.isoformat(), "last": LAST.isoformat(), "refresh": True}}
    for _ in range(2):
        assert run_job(settings, "distribute", [], config).success
    (status,) = distributions(settings=settings)
    same = distribute_work("greeks", None, FIRST, LAST, refresh=True, settings=settings)
    assert status.name == same.name and status.counts["missing"] == len(same.parts) == 1
    failed = run_job(settings, "distribute", [], {"split_work": {"work": "greeks"}})
    assert not failed.success and failed.error.startswith("first is None: name the first session of the greeks")
