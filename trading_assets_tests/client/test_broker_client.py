"""Direct requests: the fewest that bring what is missing, stored as the assets store them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from trading_assets.client import BrokerClient, connect_broker
from trading_assets.errors import (
    BreakerOpen,
    BrokerUnavailable,
    InvalidRequest,
    NotPermitted,
    PrerequisiteError,
    RequestTimedOut,
    UnknownContract,
)
from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.reliability import CircuitBreaker, MemoryStore, Phase
from trading_assets.repositories import (
    ContractRepository,
    EquityBarRepository,
    OptionBarRepository,
    OptionChainSnapshotRepository,
)
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS
from trading_assets.resources.instance import dagster_instance
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.client.conftest import NOW
from trading_assets_tests.scenarios.desk import Desk, at

FIRST, LAST = date(2025, 10, 1), date(2025, 11, 17)


def chain(desk: Desk) -> pd.DataFrame:
    return OptionChainSnapshotRepository(data_dir=desk.folder).load_chain_snapshot("AAPL", LAST)


def test_equity_bars_cost_one_request_and_none_the_second_time(desk: Desk, api_client: BrokerClient) -> None:
    bars = api_client.get_equity_bars("aapl", "2025-10-01", LAST)
    assert desk.asked() == {"equity bars": 1}, "the contract is known"
    assert list(bars.columns) == EQUITY_BARS.schema.names
    assert len(bars) == 34
    repository = EquityBarRepository(data_dir=desk.folder)
    assert_frame_equal(bars, repository.load_symbol_data("AAPL", FIRST, LAST))
    desk.forget()
    assert_frame_equal(api_client.get_equity_bars("AAPL", FIRST, pd.Timestamp(LAST)), bars)
    assert desk.asked() == {}
    counts = repository.save(bars, symbol="AAPL", bar_size="1 day")
    assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, 34)


def test_what_came_is_stored_as_an_asset_would_store_it(desk: Desk, api_client: BrokerClient) -> None:
    bars = api_client.get_equity_bars("AAPL", FIRST, date(2025, 10, 31))
    (request_id,) = set(bars["request_id"])
    covered = desk.rows(
        f"select condition, count(*) as n from coverage where request_id = {request_id} group by condition"
    )
    assert dict(zip(covered["condition"], covered["n"], strict=True)).keys() == {"complete"}
    (run_id,) = _query(desk, f"select run_id from requests where id = {request_id}")
    with dagster_instance(desk.settings) as instance:
        key = dg.AssetKey("equity_bars")
        materialized = instance.get_materialized_partitions(key)
        newest = instance.get_latest_materialization_event(key)
        run = instance.get_run_by_id(run_id)
    assert {f"{session:%Y-%m-%d}" for session in bars["session"]} <= materialized
    assert newest.run_id == run_id
    assert newest.asset_materialization.metadata["requests_sent"].value == 1
    assert (run.job_name, run.status) == ("direct_request", dg.DagsterRunStatus.SUCCESS)
    traced = LineageQueryEngine(LineageTracker(desk.folder)).run(run_id)
    assert traced.run.found
    assert set(traced.partitions["equity_bars"]) == {f"{session:%Y-%m-%d}" for session in bars["session"]}


def _query(desk: Desk, sql: str) -> list[Any]:
    """The first column of rows of the state database."""
    with sqlite3.connect(desk.folder / "state.db") as connection:
        return [row[0] for row in connection.execute(sql)]


def test_a_check_that_was_red_is_green_when_the_data_has_come(desk: Desk, api_client: BrokerClient) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("equity_bars"), "complete")

    def status() -> str:
        with dagster_instance(desk.settings) as instance:
            (found,) = instance.event_log_storage.get_asset_check_partition_info([key], partition_keys=["2025-10-31"])
        return found.latest_execution_status.value

    for _ in range(2):
        desk.simulator.faults.add(on="historical_data", do="not_permitted")
        with pytest.raises(NotPermitted):
            api_client.get_equity_bars("AAPL", FIRST, date(2025, 10, 31), refresh=True)
        if _ == 0:
            assert status() == "FAILED"
        api_client.get_equity_bars("AAPL", FIRST, date(2025, 10, 31), refresh=True)
        assert status() == "SUCCEEDED"


def test_a_symbol_that_the_lake_does_not_know_costs_its_contract_too(desk: Desk, api_client: BrokerClient) -> None:
    assert len(api_client.get_equity_bars("MSFT", FIRST, LAST)) == 34
    assert desk.asked() == {"contract": 1, "equity bars": 1}
    assert ContractRepository(data_dir=desk.folder).get("MSFT") is not None


def test_other_bar_sizes_and_sessions_that_are_not_closed(desk: Desk, api_client: BrokerClient) -> None:
    hours = api_client.get_equity_bars("AAPL", "2025-11-14", "2025-12-31", bar_size="1 hour")
    assert set(hours["bar_size"]) == {"1 hour"}
    assert {session.date() for session in hours["session"]} == {date(2025, 11, 14), LAST}, (
        "what has not closed is left out"
    )
    assert desk.asked() == {"equity bars": 1}


def test_descriptions_are_requested_together_and_only_where_they_are_missing(
    desk: Desk, api_client: BrokerClient
) -> None:
    found = api_client.get_contract_descriptions(["AAPL", "MSFT", "googl"])
    assert desk.asked() == {"contract": 2}
    assert desk.connections() == 1
    assert list(found.columns) == CONTRACTS.schema.names
    assert list(found["symbol"]) == ["AAPL", "GOOGL", "MSFT"]
    desk.forget()
    one = api_client.get_contract_description("MSFT")
    assert one == ContractRepository(data_dir=desk.folder).latest("MSFT")
    assert list(api_client.get_contract_descriptions("GOOGL")["symbol"]) == ["GOOGL"]
    assert desk.asked() == {}
    counts = ContractRepository(data_dir=desk.folder).save(found)
    assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, 3)


Naming = Callable[[pd.DataFrame], Any]


@pytest.mark.parametrize(
    "named",
    [
        lambda rows: rows,
        lambda rows: rows["con_id"],
        lambda rows: list(rows["local_symbol"]),
        lambda rows: [symbol.replace(" ", "") for symbol in rows["local_symbol"]],
    ],
    ids=["frame", "con_ids", "local symbols", "local symbols without padding"],
)
def test_option_bars_of_named_contracts_selected_or_not(desk: Desk, api_client: BrokerClient, named: Naming) -> None:
    listed = chain(desk)
    rows = pd.concat([listed[listed["selected"]].head(2), listed[listed["strike"].isin([165.0, 177.5])]])
    assert set(rows["selected"]) == {True, False}
    bars = api_client.get_option_bars(named(rows), "2025-11-10", LAST)
    assert desk.asked() == {"option bars": 6}
    assert list(bars.columns) == OPTION_BARS.schema.names
    assert set(bars["con_id"]) <= set(rows["con_id"])
    assert set(bars["con_id"]) & set(rows.loc[~rows["selected"], "con_id"]), "contracts that were not selected, too"
    assert set(bars["bar_size"]) == {"1 day"}
    desk.forget()
    assert_frame_equal(api_client.get_option_bars(named(rows), "2025-11-10", LAST), bars)
    assert desk.asked() == {}
    counts = OptionBarRepository(data_dir=desk.folder).save(bars)
    assert (counts.inserted, counts.updated) == (0, 0)
    assert counts.unchanged == len(bars) > 0


def test_one_contract_and_its_own_bars(desk: Desk, api_client: BrokerClient) -> None:
    (row,) = chain(desk).query("selected").head(1).to_dict("records")
    eight = api_client.get_option_bars(row["con_id"], LAST, LAST, bar_size="8 hours")
    assert desk.asked() == {"option bars": 1}
    desk.forget()
    day = api_client.get_option_bars(row["local_symbol"], LAST, LAST)
    assert desk.asked() == {}, "they are the sums of bars that are stored"
    assert float(day["volume"].sum()) == float(eight["volume"].sum())
    for named in (row, pd.Series(row), pa.scalar(row["con_id"]), pd.DataFrame({"con_id": [float(row["con_id"])]})):
        assert_frame_equal(api_client.get_option_bars(named, LAST, LAST), day)
    assert desk.asked() == {}


def test_contracts_that_have_expired_are_lost_and_cost_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.move("2025-12-15T16:40-05:00")
    try:
        with (
            connect_broker(settings=desk.settings) as client,
            pytest.warns(UserWarning, match=r"10 session\(s\) of 2 contract\(s\) are lost"),
        ):
            bars = client.get_option_bars(chain(desk).head(2), "2025-11-10", "2025-11-14")
        assert bars.empty
        assert desk.asked() == {}
    finally:
        desk.move(NOW)


def test_an_unknown_symbol_is_named_and_the_others_are_stored(desk: Desk, api_client: BrokerClient) -> None:
    for asked in ({"contract": 2}, {}):
        desk.forget()
        with pytest.raises(UnknownContract, match="ZZZZZZ") as failure:
            api_client.get_contract_descriptions(["ZZZZZZ", "MSFT"])
        assert list(failure.value.frame["symbol"]) == ["MSFT"]
        assert desk.asked() == asked
    assert "refresh=True" in str(failure.value)
    with pytest.raises(UnknownContract, match="ZZZZZZ"):
        api_client.get_equity_bars("ZZZZZZ", FIRST, LAST)


def test_no_permission_is_an_error_with_what_is_stored(desk: Desk, api_client: BrokerClient) -> None:
    desk.simulator.faults.add(on="historical_data", do="not_permitted")
    for asked in ({"equity bars": 1}, {}):
        desk.forget()
        with pytest.raises(NotPermitted, match=r"AAPL: .*Account Management") as failure:
            api_client.get_equity_bars("AAPL", FIRST, LAST)
        assert failure.value.outcome == "not_permitted"
        assert 0 < len(failure.value.frame) < 34
        assert desk.asked() == asked
    assert len(api_client.get_equity_bars("AAPL", FIRST, LAST, refresh=True)) == 34


def test_a_request_without_an_answer_in_time_counts_for_a_breaker(desk: Desk, api_client: BrokerClient) -> None:
    desk.simulator.faults.add(on="historical_data", do="timed_out")
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=300, store=MemoryStore())
    with pytest.raises(RequestTimedOut), breaker:
        api_client.get_equity_bars("AAPL", FIRST, LAST)
    assert breaker.state.phase is Phase.OPEN
    assert len(api_client.get_equity_bars("AAPL", FIRST, LAST)) == 34, "the next call asks again"


def test_an_open_breaker_ends_a_call_and_what_is_known_is_answered(desk: Desk) -> None:
    with Simulator(GeneratedMarket(seed=42), now=at(NOW)) as gone:
        port = gone.port
    desk.changes |= {"ib_port": port, "failure_threshold": 1, "reconnect_timeout": 0.2, "connect_timeout": 0.2}
    mine = CircuitBreaker(failure_threshold=2, recovery_timeout=300, store=MemoryStore())
    with connect_broker(settings=desk.settings) as client:
        with pytest.raises(BrokerUnavailable), mine:
            client.get_equity_bars("AAPL", FIRST, LAST)
        with pytest.raises(BreakerOpen, match="open after repeated failures"), mine:
            client.get_equity_bars("AAPL", FIRST, LAST)
        assert mine.state.failures == 1, "what the platform's breaker held back was no call"
        assert not client.get_equity_bars("AAPL", "2025-11-10", LAST).empty


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("contracts", r"AAPL has no contracts in the lake.* Run backfill_us_equity_contracts\(symbol='AAPL'\) first\."),
        ("equity_bars", r"AAPL has no equity_bars in the lake.* Run DataPipelineOrchestrator\(\)\.daily_update"),
        ("option_chains", r"No option chain in the lake lists contract .* run refresh_option_chain"),
    ],
)
def test_option_bars_without_a_prerequisite_cost_no_request(
    desk: Desk, api_client: BrokerClient, lost: str, sentence: str
) -> None:
    rows = chain(desk).head(2)
    shutil.rmtree(desk.folder / lost)
    shutil.rmtree(desk.folder / "coverage")
    with pytest.raises(PrerequisiteError, match=sentence):
        api_client.get_option_bars(rows, "2025-11-10", LAST)
    assert desk.asked() == {}


Call = Callable[[BrokerClient], Any]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda client: client.get_equity_bars("AAPL", LAST, FIRST), "exchange the two"),
        (lambda client: client.get_equity_bars("AAPL", "2025-11-15", "2025-11-16"), "no trading session"),
        (lambda client: client.get_equity_bars("AAPL", "2025-11-18", "2025-11-19"), "not closed yet"),
        (lambda client: client.get_equity_bars("AAPL", FIRST, LAST, bar_size="1 week"), "Bar sizes are"),
        (lambda client: client.get_equity_bars(["AAPL"], FIRST, LAST), "a text is wanted"),
        (lambda client: client.get_contract_descriptions([]), "symbols is empty"),
        (lambda client: client.get_contract_descriptions(), "universe is empty"),
        (lambda client: client.get_option_bars([], FIRST, LAST), "contracts is empty"),
        (lambda client: client.get_option_bars(None, FIRST, LAST), "give a chain frame"),
        (lambda client: client.get_option_bars([True], FIRST, LAST), "whole number"),
        (lambda client: client.get_option_bars(["AAPL"], FIRST, LAST), "is no local symbol"),
        (lambda client: client.get_option_bars(pd.DataFrame({"strike": [1.0]}), FIRST, LAST), "con_id or local_symbol"),
        (lambda client: client.get_option_bars([1], FIRST, LAST, bar_size="1 secs"), "choose longer ones"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_done(desk: Desk, call: Call, sentence: str) -> None:
    folder = desk.folder.parent / "nothing"
    with connect_broker(folder, settings=desk.settings) as client, pytest.raises(InvalidRequest, match=sentence):
        call(client)
    assert desk.asked() == {}
    assert not folder.exists()


def test_calls_from_two_threads_both_finish_and_ask_once(desk: Desk, api_client: BrokerClient) -> None:
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(api_client.get_equity_bars, "AAPL", FIRST, LAST) for _ in range(2)]
        first, second = (call.result(timeout=300) for call in calls)
    assert_frame_equal(first, second)
    assert desk.asked() == {"equity bars": 1}


def test_a_closed_client_connects_again(desk: Desk, api_client: BrokerClient) -> None:
    api_client.get_equity_bars("AAPL", FIRST, LAST)
    api_client.close()
    assert not api_client.connected
    assert len(api_client.get_equity_bars("AAPL", "2025-09-02", LAST)) == 55
    assert desk.connections() == 2


def test_a_connection_that_broke_meanwhile_is_made_anew(desk: Desk, api_client: BrokerClient) -> None:
    api_client.get_equity_bars("AAPL", FIRST, LAST)
    desk.simulator.drop_connections()
    assert len(api_client.get_equity_bars("AAPL", "2025-09-02", LAST)) == 55


SCRIPT = """
import sys
from trading_assets.client import connect_broker

api_client = connect_broker()
known = api_client.get_equity_bars("AAPL", "2025-11-10", "2025-11-17")
print(len(known), api_client.connected, "dagster" in sys.modules)
print(len(api_client.get_equity_bars("AAPL", "2025-11-03", "2025-11-17")), api_client.connected)
"""


@pytest.mark.slow
def test_a_script_that_closes_nothing_ends_well(desk: Desk) -> None:
    """What the lake answers needs neither broker nor Dagster; the end of the process is silent."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, **desk.settings.environment()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("6 False False\n11 True\n", "", 0)
