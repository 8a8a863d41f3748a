"""Sources, partitions, what depends on what, what is out of date; and what is refused."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.errors import InvalidRequest
from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.lineage.graph import Asset
from trading_assets.lineage.snapshots import dependent_sessions, used_snapshots
from trading_assets.repositories import EquityBarRepository, OptionChainSnapshotRepository, query
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import DATASETS, OPTION_BARS
from trading_assets.resources.instance import dagster_instance
from trading_assets_tests.lineage.collected import MONDAY, TUESDAY, collected, engine_of, settings_of

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once

COLLECTED = ["contracts", "option_chains", "equity_bars", "option_bars"]


def test_the_repositories_are_the_datasets_with_their_rows(engine: LineageQueryEngine) -> None:
    found = engine.find_data_sources(source_type="repository")
    assert [source.name for source in found] == list(DATASETS)
    for source in found:
        stored = query(collected(), f'select count(*) as n, max(session) as last from "{source.name}"').to_pylist()[0]
        assert (source.count, source.details["last"]) == (stored["n"], stored["last"])
    assert {source.name: source.feeds for source in found}["option_chains"] == (
        "option_bars",
        "option_greeks",
    )


def test_the_broker_is_found_by_kinds_of_requests(engine: LineageQueryEngine) -> None:
    found = {source.name: source for source in engine.find_data_sources(source_type="broker")}
    assert list(found) == ["contract_details", "option_parameters", "option_listing", "quote", "bars"]
    assert found["contract_details"].count == 1
    assert found["bars"].count == len(engine.run(_runs(engine)[0]).requests[-1].ids) + len(
        engine.run(_runs(engine)[1]).requests[-1].ids
    )
    assert found["bars"].feeds == ("equity_bars", "option_bars")


def test_the_assets_are_found_with_their_partitions(engine: LineageQueryEngine) -> None:
    found = {source.name: source for source in engine.find_data_sources(source_type="asset")}
    assert [name for name in found if name in COLLECTED] == COLLECTED, "upstream ones first"
    assert found["contracts"].count == 2
    assert found["contracts"].details["last"] == date.fromisoformat(TUESDAY)
    assert found["option_bars"].details["upstream"] == ["contracts", "equity_bars", "option_chains"]


def test_all_types_together(engine: LineageQueryEngine) -> None:
    assert {source.source_type for source in engine.find_data_sources()} == {"repository", "broker", "asset"}


def test_a_partition_names_its_runs_requests_and_rows(engine: LineageQueryEngine) -> None:
    made = engine.partition("option_chains", TUESDAY)
    assert made.rows == query(collected(), f"select 1 from option_chains where session = date '{TUESDAY}'").num_rows
    assert sum(made.origins.values()) == made.rows and set(made.origins) == {"carried", "answer"}
    assert [(event.partition, event.code_version) for event in made.materializations] == [(TUESDAY, "1")]
    assert {group.kind for group in made.requests} == {"option_listing", "option_parameters", "quote"}
    assert {run.job for run in made.runs} == {"setup_symbol", "daily_update"}
    assert made.gone == [] and made.notes == []
    assert engine.partition("option_chains", TUESDAY, symbol="aapl").rows == made.rows


def test_a_partition_without_rows_says_so(engine: LineageQueryEngine) -> None:
    made = engine.partition("option_bars", "2025-06-02")
    assert (made.rows, made.requests, made.materializations) == (0, [], [])
    assert made.notes == ["The lake has no row of option_bars 2025-06-02: nothing is recorded of it."]


def test_upstream_and_downstream_of_an_asset_follow_the_graph(engine: LineageQueryEngine) -> None:
    assert [one.asset for one in engine.upstream("option_bars")] == ["contracts", "option_chains", "equity_bars"]
    assert [one.asset for one in engine.downstream("option_chains")] == [
        "equity_bars",
        "option_bars",
        "option_greeks",
        "quality_metrics",
    ]
    assert engine.upstream("contracts") == []


def test_upstream_of_a_partition_are_the_snapshots_that_answer_for_it(engine: LineageQueryEngine) -> None:
    october = [(one.asset, f"{one.partition}", one.symbols) for one in engine.upstream("option_bars", "2025-10-20")]
    assert october == [("contracts", MONDAY, ("AAPL",)), ("option_chains", MONDAY, ("AAPL",))]
    tuesday = [(one.asset, f"{one.partition}") for one in engine.upstream("option_bars", TUESDAY)]
    assert tuesday == [("contracts", TUESDAY), ("option_chains", TUESDAY)]


def test_a_changed_snapshot_touches_the_bars_of_its_contracts(engine: LineageQueryEngine) -> None:
    sql = "select distinct session from option_bars where session <= $monday order by 1"
    until_monday = query(collected(), sql, {"monday": date.fromisoformat(MONDAY)})["session"].to_pylist()
    touched = engine.downstream("option_chains", MONDAY, symbol="AAPL")
    assert [one.partition for one in touched if one.asset == "option_bars"] == until_monday
    made = {"option_bars", "option_greeks", "quality_metrics"}
    assert {one.asset for one in touched} == made, "equity bars only come later in a run"
    of_tuesday = engine.downstream("option_chains", TUESDAY)
    assert [f"{one.partition}" for one in of_tuesday if one.asset == "option_bars"] == [TUESDAY]


def test_a_symbol_has_its_partitions_downstream(engine: LineageQueryEngine) -> None:
    found = engine.downstream("contracts", symbol="AAPL")
    chains = [one for one in found if one.asset == "option_chains"]
    assert [(f"{one.partition}", one.materialized) for one in chains] == [(MONDAY, True), (TUESDAY, True)]
    assert {one.asset for one in engine.downstream("contracts", symbol="MSFT")} == {"quality_metrics"}


def test_the_snapshots_of_a_session_are_those_that_the_lake_wants_its_bars_of() -> None:
    lake = Lake.of(settings_of(collected()))
    stored = [date.fromisoformat(MONDAY), date.fromisoformat(TUESDAY)]
    sessions = lake.calendar.sessions(date(2025, 10, 1), stored[-1])
    wanted = lake.wanted(OPTION_BARS, "8 hours", ["AAPL"], sessions)
    assert wanted.num_rows > 100
    for row in wanted.select(["session", "snapshot"]).to_pylist():
        assert row["snapshot"] in used_snapshots("option_chains", "option_bars", stored, row["session"])


MON, WED, FRI = date(2025, 11, 17), date(2025, 11, 19), date(2025, 11, 21)


@pytest.mark.parametrize(
    ("downstream", "session", "used"),
    [
        ("option_bars", date(2025, 11, 14), [MON]),
        ("option_bars", MON, [MON]),
        ("option_bars", date(2025, 11, 18), [MON, WED]),
        ("option_bars", date(2025, 11, 24), [FRI]),
        ("equity_bars", date(2025, 11, 18), [WED]),
    ],
)
def test_the_snapshots_that_a_session_uses(downstream: str, session: date, used: list[date]) -> None:
    assert used_snapshots("option_chains", downstream, [MON, WED, FRI], session) == used
    for snapshot in (MON, WED, FRI):
        touched = dependent_sessions("option_chains", downstream, [MON, WED, FRI], snapshot, [session])
        assert touched == ([session] if snapshot in used else [])


def test_nothing_is_out_of_date_until_the_code_changes(
    engine: LineageQueryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.out_of_date() == []
    assets = dict(engine.tracker.graph.assets)
    old = assets["equity_bars"]
    values = {name: getattr(old, name) for name in Asset.__slots__}
    assets["equity_bars"] = Asset(**{**values, "code_version": "2"})
    monkeypatch.setattr(engine.tracker.graph, "assets", assets)
    found = engine.out_of_date()
    assert {(one.asset, one.reason, one.recorded, one.current) for one in found} == {
        ("equity_bars", "code_version", "1", "2")
    }
    stored = query(collected(), "select distinct session from equity_bars order by 1")["session"].to_pylist()
    assert [one.partition for one in found] == [f"{day}" for day in stored]
    assert found[0].sentence == f"equity_bars {stored[0]} was made by code version 1; the present one is 2."


def test_partitions_made_with_older_data_and_without_a_version_are_found(lake: Path) -> None:
    with dagster_instance(settings_of(lake)) as instance:
        for tags in ({"dagster/data_version": "2", "dagster/code_version": "2"}, {}):
            event = dg.AssetMaterialization("option_chains", partition=TUESDAY if tags else MONDAY, tags=tags)
            instance.report_runless_asset_event(event)
    engine = engine_of(lake)
    found = {(one.asset, one.partition, one.reason, one.upstream) for one in engine.out_of_date()}
    assert ("option_chains", TUESDAY, "code_version", "") in found
    assert ("option_bars", TUESDAY, "data_version", "option_chains") in found
    assert ("option_chains", MONDAY, "unrecorded", "") in found


REFUSED: dict[str, tuple[Callable[[LineageQueryEngine], object], str]] = {
    "source type": (lambda e: e.find_data_sources("table"), "repository, broker, asset"),
    "dataset": (lambda e: e.rows("bars", symbol="AAPL"), "contracts, option_chains, equity_bars"),
    "nothing": (lambda e: e.rows("option_bars"), "symbol=, session= or contract="),
    "weekend": (lambda e: e.rows("option_bars", session="2025-11-22"), "2025-11-21 and 2025-11-24"),
    "no date": (lambda e: e.partition("option_bars", "tomorrow"), "names no day"),
    "symbol": (lambda e: e.rows("option_bars", symbol="A@B"), "A@B"),
    "bar size": (lambda e: e.rows("option_bars", symbol="AAPL", bar_size="2 days"), "8 hours"),
    "contract": (lambda e: e.rows("option_bars", contract=" "), "contract is empty"),
    "no contract column": (lambda e: e.rows("quality_metrics", session=MONDAY, contract=5), "have no con_id"),
    "local symbol": (lambda e: e.rows("coverage", session=MONDAY, contract="AAPL 1"), "by contract id"),
    "asset": (lambda e: e.upstream("bars"), "one of contracts, "),
    "request": (lambda e: e.request(0), "must be from 1"),
    "run": (lambda e: e.run("no-such-run"), "no-such-run"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_exist_is_refused_with_what_there_is(engine: LineageQueryEngine, name: str) -> None:
    ask, said = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(said)):
        ask(engine)


def test_contracts_are_found_by_id_and_by_local_symbol(engine: LineageQueryEngine) -> None:
    first = engine.rows("option_bars", session=MONDAY, bar_size="1 day")[0]
    by_id = engine.rows("option_bars", session=MONDAY, bar_size="1 day", contract=first.row["con_id"])
    by_text = engine.rows(
        "option_bars", session=MONDAY, bar_size="1 day", contract=" ".join(first.row["local_symbol"].lower().split())
    )
    assert by_id == by_text == [first]


def test_a_folder_without_a_lake_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no lake"):
        LineageTracker(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_asking_writes_nothing(lake: Path) -> None:
    shutil.rmtree(lake / "dagster" / "schedules")
    with closing(sqlite3.connect(lake / "state.db")) as copied:
        copied.execute("pragma wal_checkpoint(truncate)")  # whoever closes a database last does this
    engine = engine_of(lake)
    before = _tree(lake)
    run_id = engine.rows("option_bars", session=MONDAY)[0].request
    assert run_id is not None
    engine.run(run_id.run_id)
    engine.partition("option_chains", MONDAY)
    engine.out_of_date()
    engine.find_data_sources()
    engine.downstream("contracts", MONDAY)
    engine.tracker.close()
    assert _tree(lake) == before


def _tree(folder: Path) -> dict[str, str]:
    """Files and what is in them; SQLite's two files beside a database come and go."""
    return {
        f"{path.relative_to(folder)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def _runs(engine: LineageQueryEngine) -> list[str]:
    traced = engine.rows("option_bars", symbol="AAPL")
    return sorted({one.request.run_id for one in traced if one.request is not None})


def test_a_row_is_taken_as_frames_give_it(engine: LineageQueryEngine) -> None:
    bars = EquityBarRepository(data_dir=collected()).load()
    stored = query(collected(), "select * from equity_bars order by symbol, start limit 1").to_pylist()[0]
    wanted = engine.row("equity_bars", stored)
    assert wanted.request is not None
    position = next(place for place, row in enumerate(bars.to_dict("records")) if row["start"] == stored["start"])
    for given in (bars.iloc[position], bars.to_dict("records")[position], list(bars.itertuples())[position]):
        assert engine.row("equity_bars", given) == wanted


def test_a_chain_row_without_a_quote_is_taken_as_frames_give_it(engine: LineageQueryEngine) -> None:
    chain = OptionChainSnapshotRepository(data_dir=collected()).load()
    place = int((~chain["selected"]).argmax())
    row = engine.row("option_chains", chain.iloc[place]).row
    assert row["bid"] is None and row["session"] == chain["session"].iloc[place].date()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"symbol": "AAPL"}, "The row has no session, con_id, "),
        (5, "give a row of a frame"),
        ("AAPL", "give a row of a frame"),
    ],
)
def test_what_is_no_row_is_refused(engine: LineageQueryEngine, row: object, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        engine.row("equity_bars", row)


def test_a_computed_row_names_the_request_of_its_quote_or_bar(engine: LineageQueryEngine) -> None:
    found = engine.rows("option_greeks", symbol="AAPL", session=TUESDAY)
    by_source = {one.row["source"]: one for one in found}
    assert set(by_source) == {"chain", "bar"}
    for source, kind in (("chain", "quote"), ("bar", "bars")):
        one = by_source[source]
        assert one.origin.value == "derived"
        assert one.request is not None and one.request.kind == kind and one.request.con_id == one.row["con_id"]
        assert f"the answer to request {one.request_id}" in one.explanation
        assert one.recorded_by is not None
