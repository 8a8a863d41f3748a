"""Rows that are not simply an answer say what they are; a request that is gone is never replaced by another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
import sqlalchemy as sa

from trading_assets.lineage import LineageQueryEngine
from trading_assets.lineage.lake_rows import CURRENT, Found
from trading_assets.lineage.origin import belongs
from trading_assets.lineage.records import Origin, RequestRecord
from trading_assets.repositories import EquityBarRepository, ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state, write_transaction
from trading_assets.state.tables import requests
from trading_assets_tests.lineage.collected import MONDAY, TUESDAY, engine_of, settings_of
from trading_assets_tests.quarantine.test_wire import bench_in, of_bar
from trading_assets_tests.rewriting import collect, settings_for
from trading_assets_tests.scenarios.desk import Desk, at
from trading_assets_tests.scenarios.test_requote import requoted, written

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once


def test_details_that_are_carried_forward_name_the_session_that_asked(engine: LineageQueryEngine) -> None:
    (monday,), (tuesday,) = (engine.rows("contracts", symbol="aapl", session=day) for day in (MONDAY, TUESDAY))
    assert (monday.origin, tuesday.origin) == (Origin.ANSWER, Origin.CARRIED)
    assert monday.request == tuesday.request
    assert f"in session {MONDAY}" in tuesday.explanation
    assert tuesday.recorded_by is not None and tuesday.recorded_by.partition == TUESDAY


def test_a_contract_that_was_not_quoted_is_carried_from_its_listing(engine: LineageQueryEngine) -> None:
    rows = [one for one in engine.rows("option_chains", session=TUESDAY) if one.row["quote_outcome"] is None]
    assert {one.origin for one in rows} == {Origin.CARRIED}
    assert {one.request.kind for one in rows if one.request is not None} == {"option_listing"}


def test_a_daily_bar_of_an_option_names_the_bars_it_is_made_of(engine: LineageQueryEngine) -> None:
    rows = {one.row["bar_size"]: one for one in engine.rows("option_bars", session=MONDAY)[:2]}
    assert rows["1 day"].origin is Origin.AGGREGATED
    assert rows["8 hours"].origin is Origin.ANSWER
    assert f"from 1 bar(s) of 8 hours of the session, of request(s) {rows['8 hours'].request_id}:" in (
        rows["1 day"].explanation
    )


def test_a_daily_bar_made_of_several_answers_is_found_from_each_of_them(lake: Path) -> None:
    """A later answer changed the daily bar, which names that one alone."""
    sql = "select * from option_bars where session = $session and con_id = $con_id and bar_size = $size"
    (any_bar,) = query(lake, "select con_id, request_id from option_bars order by con_id limit 1").to_pylist()
    of_contract = {"session": date.fromisoformat(MONDAY), "con_id": any_bar["con_id"]}
    daily, whole = (query(lake, sql, {**of_contract, "size": size}).to_pylist()[0] for size in ("1 day", "8 hours"))
    later = query(lake, "select max(request_id) as number from option_bars")["number"][0].as_py()
    changed = {"volume": 7.0, "collected_at": daily["collected_at"] + timedelta(seconds=1), "request_id": later}
    table = pa.Table.from_pylist([{**daily, **changed}], schema=OPTION_BARS.schema)
    ParquetStore(lake).upsert(OPTION_BARS, table)
    engine = engine_of(lake)
    rows = engine.rows("option_bars", session=MONDAY, contract=daily["con_id"])
    old = [one for one in rows if one.standing == "superseded"]
    assert [one.replaced_by for one in old] == [None], "that request is for another contract"
    found = engine.request(whole["request_id"])
    assert [(group.bar_size, group.rows, f"{group.first}") for group in found.aggregated] == [("1 day", 1, MONDAY)]


def test_rows_of_a_user_say_so_and_the_replaced_row_names_its_own_request(lake: Path) -> None:
    repository = EquityBarRepository(data_dir=lake)
    frame = repository.load_symbol_data("AAPL", MONDAY, MONDAY).drop(columns=["request_id", "collected_at"])
    frame["close"] = frame["high"]
    repository.save(frame, symbol="AAPL", bar_size="1 day")
    saved, replaced = engine_of(lake).rows("equity_bars", symbol="AAPL", session=MONDAY)
    assert (saved.standing, saved.origin, saved.request, saved.recorded_by) == ("current", Origin.SAVED, None, None)
    assert "Saved by a user" in saved.explanation
    assert (replaced.standing, replaced.origin) == ("superseded", Origin.ANSWER)
    assert replaced.request is not None and replaced.request.kind == "bars"
    assert "superseded" in replaced.notes[0] and "that no request brought" in replaced.notes[0]


def test_a_quote_that_was_taken_again_names_both_requests(lake: Path) -> None:
    morning = at("2025-11-26T10:00-05:00")
    with Simulator(GeneratedMarket(seed=42), now=morning, limits=False) as simulator:
        collect(settings_for(lake, simulator.port, morning), ["AAPL"], steps="ch")
        desk = Desk(lake, simulator)
        desk.move("2025-11-26T15:00-05:00")
        written(desk, requoted(desk))
    rows = engine_of(lake).rows("option_chains", symbol="AAPL", session="2025-11-26")
    old = {one.row["con_id"]: one for one in rows if one.row["quote_outcome"] and one.standing == "superseded"}
    new = {one.row["con_id"]: one for one in rows if one.standing == "current"}
    assert len(old) > 3
    for con_id, one in old.items():
        assert one.request is not None and one.request.con_id == con_id
        assert one.replaced_by is not None and one.replaced_by == new[con_id].request
        assert one.replaced_by.id > one.request.id
        assert "superseded" in one.notes[0]


def test_a_withdrawn_row_says_that_nothing_took_its_place(lake: Path) -> None:
    of_aapl = pads.field("symbol") == "AAPL"
    ParquetStore(lake).withdraw(EQUITY_BARS, where=of_aapl, at=datetime(2025, 11, 26, tzinfo=UTC))
    rows = engine_of(lake).rows("equity_bars", symbol="AAPL", session=MONDAY)
    assert [(one.standing, one.origin) for one in rows] == [("withdrawn", Origin.ANSWER)]
    assert "no other took its place" in rows[0].notes[0]
    assert rows[0].request is not None
    back = engine_of(lake).request(rows[0].request_id)
    assert {group.standing for group in back.groups if group.dataset == "equity_bars"} == {"withdrawn"}


def test_what_no_request_brought_is_concluded_or_measured(engine: LineageQueryEngine) -> None:
    rows = engine.rows("coverage", session=TUESDAY, about="contracts")
    assert [(one.origin, one.request) for one in rows] == [(Origin.DERIVED, None)]
    assert "without a request" in rows[0].explanation


def test_a_closed_series_leads_to_requests_under_its_former_symbol(lake: Path) -> None:
    ParquetStore(lake).relabel(EQUITY_BARS, "AAPL", "AAPL@265598")
    (row,) = engine_of(lake).rows("equity_bars", symbol="AAPL@265598", session=MONDAY)
    assert row.request is not None and row.request.symbol == "AAPL"
    assert "made for AAPL" in row.notes[0]


def test_a_quarantined_answer_is_named_by_the_rows_it_left_and_leads_to_its_entry(tmp_path: Path) -> None:
    with bench_in(tmp_path / "lake") as bench:
        bench.change = of_bar(4, "NaN")
        bench.collect("ce")
        engine = engine_of(bench.folder)
        (entry,) = bench.entries()
        found = engine.request(entry.request_id)
        assert found.request is not None and found.request.outcome == "quarantined"
        assert found.quarantine is not None and found.quarantine["state"] == "open"
        kept = [each for each in found.rows if each.dataset == "equity_bars"]
        assert len(kept) > 3, "the good bars of that answer are stored"
        (one,) = engine.trace(kept[:1])
        assert any(f"entry {entry.id}" in note for note in one.notes)


def test_a_lost_state_database_is_said_and_not_made(lake: Path) -> None:
    for file in lake.glob("state.db*"):
        file.unlink()
    engine = engine_of(lake)
    rows = engine.rows("option_bars", symbol="AAPL", session=MONDAY)
    assert {one.origin for one in rows} == {Origin.REQUEST_GONE}
    assert {one.request for one in rows} == {None}
    assert all("is not there" in one.explanation for one in rows)
    assert all(one.recorded_by is not None for one in rows), "Dagster still says which run wrote them"
    assert not (lake / "state.db").exists()
    assert engine.tracker.missing != []
    assert "is not there" in str(engine.partition("option_bars", MONDAY).notes)


def test_after_a_lost_state_database_new_requests_are_never_taken_for_old_ones(lake: Path) -> None:
    for file in lake.glob("state.db*"):
        file.unlink()
    before = {one.request_id for one in engine_of(lake).rows("equity_bars", symbol="AAPL")}
    with Simulator(GeneratedMarket(seed=42), now=settings_of(lake).now, limits=False) as simulator:
        collect(settings_for(lake, simulator.port, settings_of(lake).clock()), ["MSFT"], steps="ce")
    engine = engine_of(lake)
    rows = engine.rows("equity_bars", symbol="AAPL")
    assert {one.origin for one in rows} == {Origin.REQUEST_GONE}
    assert all("an earlier state database, which was lost" in one.explanation for one in rows)
    new = engine.rows("equity_bars", symbol="MSFT")
    assert {one.origin for one in new} == {Origin.ANSWER}
    assert not before & {one.request_id for one in new}
    gone = engine.request(min(before))
    assert gone.request is None and gone.rows and "lost" in gone.notes[0]


def test_a_number_that_another_request_has_now_is_not_taken_for_the_rows_own(lake: Path) -> None:
    """An older copy of the state database was put back, and went on counting."""
    (row, *_) = engine_of(lake).rows("option_bars", symbol="AAPL", session=MONDAY)
    url = settings_of(lake).state_url
    with write_transaction(connect_state(url)) as connection:
        other = connection.execute(
            sa.select(requests)
            .where(requests.c.dataset == "option_bars", requests.c.con_id != row.row["con_id"])
            .limit(1)
        ).one()
        same = {name: getattr(other, name) for name in ("key", "con_id", "record", "session", "symbol")}
        connection.execute(requests.update().where(requests.c.id == row.request_id).values(**same))
    engine = engine_of(lake)
    (again, *_) = engine.rows("option_bars", symbol="AAPL", session=MONDAY)
    assert (again.origin, again.request) == (Origin.REQUEST_GONE, None)
    assert "no record of that request" in again.explanation
    back = engine.request(row.request_id)
    assert "name the number" in " ".join(back.notes)
    assert all(each.row["con_id"] == same["con_id"] for each in back.rows)


ASKED = RequestRecord(
    id=7,
    kind="bars",
    key="bars|5|1 day",
    dataset="equity_bars",
    symbol="AAPL",
    con_id=5,
    contract="",
    last_trade="",
    bar_size="1 day",
    first_session=date(2025, 11, 3),
    session=date(2025, 11, 24),
    state="done",
    outcome="complete",
    code=None,
    text="",
    attempts=1,
    claimed_at=datetime(2025, 11, 24, 22, tzinfo=UTC),
    sent_at=datetime(2025, 11, 24, 22, tzinfo=UTC),
    finished_at=datetime(2025, 11, 24, 22, 0, 1, 5, tzinfo=UTC),
    duration=1.0,
    rows=20,
    answer_bytes=900,
    applied_at=None,
    run_id="",
)

ROW = {
    "session": date(2025, 11, 10),
    "symbol": "AAPL",
    "con_id": 5,
    "request_id": 7,
    "collected_at": datetime(2025, 11, 24, 22, 0, 1, 5, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "change",
    [
        {"collected_at": datetime(2025, 11, 24, 22, 0, 1, 9005, tzinfo=UTC)},
        {"symbol": "MSFT"},
        {"con_id": 6},
        {"session": date(2025, 10, 31)},
        {"session": date(2025, 11, 25)},
    ],
)
def test_a_request_fits_its_row_in_instant_symbol_contract_and_session(change: dict[str, object]) -> None:
    assert belongs(Found("equity_bars", CURRENT, ROW), ASKED, replayed=False, symbols=())
    assert not belongs(Found("equity_bars", CURRENT, {**ROW, **change}), ASKED, replayed=False, symbols=())


def test_a_pinned_clock_dates_the_rows_of_a_replay() -> None:
    row = {**ROW, "collected_at": datetime(2020, 1, 2, tzinfo=UTC)}
    assert belongs(Found("equity_bars", CURRENT, row), ASKED, replayed=True, symbols=())
    assert not belongs(Found("equity_bars", CURRENT, row), ASKED, replayed=False, symbols=())


def test_a_renamed_company_keeps_its_requests() -> None:
    row = {**ROW, "symbol": "META"}
    asked = replace(ASKED, symbol="FB")
    assert belongs(Found("equity_bars", CURRENT, row), asked, replayed=False, symbols=("FB",))
    assert not belongs(Found("equity_bars", CURRENT, row), asked, replayed=False, symbols=())
