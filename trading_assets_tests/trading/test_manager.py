"""Positions of a simulated TWS: listed, valued, added up, repriced and stored."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.broker.positions import Holding
from trading_assets.errors import IdentityMismatch, InvalidFrame, InvalidRequest
from trading_assets.instrument import Instrument
from trading_assets.repositories import query
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.schemas import POSITION_SNAPSHOTS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.positions import account_file
from trading_assets.trading import Position, PositionManager
from trading_assets.trading.portfolio import scenario_frame
from trading_assets.trading.positions import position_of
from trading_assets.trading.snapshots import snapshot_rows
from trading_assets.trading.valuing import PositionGreeks
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.trading.desk import CALL, FIRST, MARKET, PUT, SECOND, SHARES, SPY_CALL, UNMARKED, desk

HELD = {
    FIRST: [(CALL, -5, 60.0), (SHARES, 300, 60.0), (SPY_CALL, 2, 700.0), (PUT, 0, 0.0)],
    SECOND: [(SHARES, 100, 70.0), (UNMARKED, 1, 3.0)],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(PLAIN, tmp_path_factory.mktemp("positions") / "lake")


@pytest.fixture(scope="module")
def settings(lake: Path) -> Iterator[tuple[Settings, Simulator]]:
    with desk(lake, HELD) as running:
        yield running


@pytest.fixture(scope="module")
def manager(settings: tuple[Settings, Simulator]) -> Iterator[PositionManager]:
    with PositionManager(settings[0]) as made:
        yield made


def test_the_guides_snippet(
    settings: tuple[Settings, Simulator], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(settings[0].data_dir))
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", str(settings[1].port))
    monkeypatch.setenv("TRADING_ASSETS_NOW", PLAIN_NOW.isoformat())
    guide = """
from trading_assets.trading import PositionManager

position_manager = PositionManager()

# Get current positions
positions = position_manager.get_active_positions()

for position in positions:
    # Get real-time Greeks
    greeks = position_manager.calculate_position_greeks(position)
    print(f"{position.symbol}: Delta={greeks.delta:.3f}, Gamma={greeks.gamma:.3f}")
"""
    names: dict[str, object] = {}
    exec(guide, names)  # in a script
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "AAPL: Delta=1.000, Gamma=0.000" and "SPY: Delta=nan, Gamma=nan" in said
    assert len(said) == 5

    async def in_a_notebook() -> None:
        exec(guide, names)

    names["position_manager"].close()  # type: ignore[attr-defined]
    run_coroutine(in_a_notebook())
    assert capsys.readouterr().out.splitlines() == said
    names["position_manager"].close()  # type: ignore[attr-defined]


def test_positions_of_all_accounts_or_of_one(manager: PositionManager) -> None:
    positions = manager.get_active_positions()
    assert [(one.symbol, one.con_id, one.quantity) for one in positions] == [
        ("AAPL", SHARES, 300),
        ("AAPL", SHARES, 100),
        ("AAPL", CALL, -5),
        ("SPY", SPY_CALL, 2),
        ("SPY", UNMARKED, 1),
    ], "a quantity of 0 is no position"
    (call,) = (one for one in positions if one.con_id == CALL)
    assert (call.expiry, call.strike, call.right, call.multiplier) == (call.expiry, 68.0, "C", 100.0)
    assert str(call.expiry) == "2024-01-05" and call.name == "AAPL 2024-01-05 68 C"
    assert {one.account for one in manager.get_active_positions(SECOND)} == {SECOND}
    with pytest.raises(
        InvalidRequest, match=r"^The login has no account U1\*\*\*567; it has SI\*\*\*-42, SI\*\*\*OND\. Give"
    ):
        manager.get_active_positions("U1234567")


def test_a_look_costs_two_messages(lake: Path) -> None:
    with desk(lake, HELD) as (settings, tws), PositionManager(settings) as manager:
        assert len([manager.greeks(manager.get_active_positions()) for _ in range(3)][-1]) == 5
        asked = tws.counters.requests
        assert asked["positions"] == 3 and asked["cancel_positions"] in (2, 3), "the last one may be on its way"
        assert set(asked) == {"start_api", "positions", "cancel_positions"}


def test_greeks_are_those_of_the_dataset(manager: PositionManager, lake: Path) -> None:
    from trading_assets.collecting.archive import Archive
    from trading_assets.collecting.steps.option_greeks import compute_option_greeks

    session = PLAIN_NOW.date()
    with Archive(Settings(data_dir=lake, now=PLAIN_NOW)) as archive:
        stored = compute_option_greeks(archive, ["AAPL", "SPY"], [session], refresh=True).table.to_pylist()
    by_id = {row["con_id"]: row for row in stored if row["source"] == "chain"}
    for position in manager.get_active_positions():
        found = manager.calculate_position_greeks(position)
        if position.con_id in (CALL, SPY_CALL):
            row = by_id[position.con_id]
            for name in ("implied_volatility", "delta", "gamma", "vega", "theta", "rho", "underlying_price"):
                assert getattr(found, name) == pytest.approx(row[name]), name
            assert (found.mark, found.source, found.at) == (pytest.approx(row["price"]), "chain", row["at"])
            assert found.age == (PLAIN_NOW - row["at"]).total_seconds() and found.null_reason is None
            value = position.quantity * (found.mark * 100 - (position.average_cost or 0))
            assert found.unrealized_pnl == pytest.approx(value)
        elif position.is_stock:
            assert (found.delta, found.gamma, found.mark, found.source) == (1.0, 0.0, 68.26, "chain")
        else:
            assert math.isnan(found.delta) and found.null_reason == "no_mark"


def test_later_the_mark_is_older_and_an_expired_option_has_no_greeks(lake: Path) -> None:
    later = PLAIN_NOW + timedelta(days=9)
    with desk(lake, {FIRST: [(SHARES, 1, 60.0)]}, later) as (settings, _), PositionManager(settings) as manager:
        (shares,) = manager.get_active_positions()
        assert manager.calculate_position_greeks(shares).age == pytest.approx(9 * 86_400 + 600)
    far = PLAIN_NOW + timedelta(days=120)
    with desk(lake, {FIRST: [(SHARES, 1, 60.0)]}, far) as (settings, _), PositionManager(settings) as manager:
        found = manager.greeks(manager.get_active_positions())[0]
        assert (found.delta, found.source, found.null_reason) == (1.0, None, "no_mark")
        row = manager.portfolio().iloc[0]
        assert math.isnan(row["dollar_delta"]) and (row["positions"], row["lacking"]) == (1, 1)


def test_what_no_model_prices_is_listed_with_its_reason(manager: PositionManager) -> None:
    future = Position(
        **{"account": "U1", "con_id": 7, "symbol": "ES", "sec_type": "FUT", "local_symbol": "ESH4", "expiry": None},
        **{"trading_class": "ES", "strike": None, "right": None, "multiplier": 50.0, "currency": "USD"},
        **{"quantity": 1.0, "average_cost": 240_000.0, "at": PLAIN_NOW},
    )
    found = manager.calculate_position_greeks(future)
    assert math.isnan(found.delta) and found.null_reason == "no_model" and f"{found.gamma:.3f}" == "nan"
    with pytest.raises(InvalidRequest, match="is no position"):
        manager.calculate_position_greeks("AAPL")  # type: ignore[arg-type]


def test_futures_and_bonds_are_listed_over_the_wire(tmp_path: Path) -> None:
    listed = [
        {"symbol": "ES", "sec_type": "FUT", "last_trade": "20240315", "local_symbol": "ESH4", "multiplier": "50"},
        {"symbol": "US-T", "sec_type": "BOND", "local_symbol": "US-T 4 1/8 11/15/32"},
        {"symbol": "AAPL"},
    ]
    held = [
        terms | {"con_id": 495512563 + n, "quantity": 2, "average_cost": 99.5} for n, terms in enumerate(listed[:2])
    ]
    file = tmp_path / "positions.json"
    file.write_text(json.dumps({"accounts": [{"name": FIRST, "positions": [*held, listed[2] | {"quantity": 3}]}]}))
    lake = copy_of(PLAIN, tmp_path / "lake")
    with (
        Simulator(MARKET, now=PLAIN_NOW, accounts=account_file(file, FIRST)) as tws,
        PositionManager(Settings(data_dir=lake, ib_port=tws.port, now=PLAIN_NOW)) as manager,
    ):
        taken = manager.snapshot()
        frame = manager.portfolio().set_index("symbol")
    assert {one.position.sec_type: one.null_reason for one in taken.positions} == {
        "STK": None,
        "FUT": "no_model",
        "BOND": "no_model",
    }
    rows = {row["sec_type"]: row for row in taken.rows.to_pylist()}
    assert (rows["FUT"]["multiplier"], rows["FUT"]["delta"], rows["FUT"]["null_reason"]) == (50, None, "no_model")
    assert rows["BOND"]["multiplier"] is None and frame["lacking"].to_dict() == {"AAPL": 0, "ES": 1, "US-T": 1}
    assert FIRST not in repr(taken)


def test_an_option_without_terms_is_listed_and_fails_no_look() -> None:
    terms = Instrument("AAPL", "OPT", con_id=7, last_trade="20240105", strike=0.0, right="", multiplier="100")
    odd = position_of(Holding("U1234567", terms, 1.0, 50.0), PLAIN_NOW)
    assert (odd.strike, odd.right, odd.is_option) == (None, None, False)
    rows = snapshot_rows(["U1234567"], [PositionGreeks(odd)], at=PLAIN_NOW, session=PLAIN_NOW.date())
    assert validated(POSITION_SNAPSHOTS, rows).num_rows == 1
    with pytest.raises(InvalidFrame) as refused:
        validated(POSITION_SNAPSHOTS, pa.concat_tables([rows, rows]))
    assert "con_id 7" in str(refused.value) and "U1234567" not in str(refused.value)


def test_the_portfolio_says_what_its_sums_lack(manager: PositionManager) -> None:
    frame = manager.portfolio().set_index(["symbol", "expiry"])
    assert frame.loc[("AAPL", None), "shares"] == 400
    greeks = {one.position.con_id: one for one in manager.greeks(manager.get_active_positions())}
    call = frame.loc[next(key for key in frame.index if key[0] == "AAPL" and isinstance(key[1], date))]
    assert call["shares"] == pytest.approx(-500 * greeks[CALL].delta)
    assert call["dollar_delta"] == pytest.approx(-500 * greeks[CALL].delta * 68.26)
    assert call["gamma_1pct"] == pytest.approx(-500 * greeks[CALL].gamma * 68.26**2 / 100)
    assert (call["vega"], call["theta"]) == pytest.approx((-500 * greeks[CALL].vega, -500 * greeks[CALL].theta))
    assert call["vega"] < 0 < call["theta"], "short: time is on its side"
    spy = frame.loc["SPY"]
    assert (spy["positions"].tolist(), spy["lacking"].tolist()) == ([2], [1])
    assert spy["shares"].tolist() == pytest.approx([200 * greeks[SPY_CALL].delta]), "of the one that has greeks"


def test_a_scenario_prices_anew(manager: PositionManager) -> None:
    frame = manager.scenario(spot=[-0.01, 0, 0.01], volatility=[0, 0.01], account=FIRST)
    assert len(frame) == 6 and set(frame["lacking"]) == {0} and set(frame["positions"]) == {3}
    still = frame[(frame["spot"] == 0) & (frame["volatility"] == 0)].iloc[0]
    held = manager.greeks(manager.get_active_positions(FIRST))
    assert still["pnl"] == 0 and still["value"] == pytest.approx(sum(one.units * one.mark for one in held), rel=1e-6)
    by_vega = sum(one.units * one.vega for one in held)
    raised = frame[(frame["spot"] == 0) & (frame["volatility"] == 0.01)].iloc[0]["pnl"]
    assert raised == pytest.approx(by_vega, rel=0.02)
    up, down = (frame[(frame["spot"] == move) & (frame["volatility"] == 0)].iloc[0]["pnl"] for move in (0.01, -0.01))
    by_delta = sum(one.units * one.delta * one.underlying_price * 0.01 for one in held)
    assert (up - down) / 2 == pytest.approx(by_delta, rel=0.1)
    (nothing,) = scenario_frame([], [0.1], [0.0]).to_dict("records")
    assert (nothing["value"], nothing["pnl"], nothing["positions"], nothing["lacking"]) == (0.0, 0.0, 0, 0)
    for wrong in ([], [-1.0], [math.nan], ["much"], 0.05):
        with pytest.raises(InvalidRequest, match=r"^spot is"):
            manager.scenario(spot=wrong)


def test_looks_and_changes_are_stored(tmp_path: Path) -> None:
    lake = copy_of(PLAIN, tmp_path / "lake")
    looks = [
        {FIRST: [], SECOND: [(SHARES, 100, 70.0)]},
        {FIRST: [(CALL, -5, 60.0), (PUT, -1, 50.0)], SECOND: [(SHARES, 100, 70.0)]},
        {FIRST: [(PUT, -1, 50.0)], SECOND: []},
    ]
    for minute, positions in enumerate(looks):
        now = PLAIN_NOW + timedelta(minutes=minute)
        with desk(lake, positions, now) as (settings, _), PositionManager(settings) as manager:
            taken = manager.snapshot()
            assert taken.accounts == 2 and taken.changes.num_rows == (0, 2, 2)[minute]
    stored = query(
        lake, 'select account, con_id, quantity, mark_source from position_snapshots order by "at", account, con_id'
    )
    assert [tuple(row.values()) for row in stored.to_pylist()] == [
        (FIRST, 0, 0.0, None),
        (SECOND, SHARES, 100.0, "chain"),
        (FIRST, CALL, -5.0, "chain"),
        (FIRST, PUT, -1.0, "chain"),
        (SECOND, SHARES, 100.0, "chain"),
        (FIRST, PUT, -1.0, "chain"),
        (SECOND, 0, 0.0, None),
    ]
    changes = query(lake, 'select account, con_id, change from position_changes order by "at", account, con_id')
    assert [tuple(row.values()) for row in changes.to_pylist()] == [
        (FIRST, CALL, "opened"),
        (FIRST, PUT, "opened"),
        (FIRST, CALL, "closed"),
        (SECOND, SHARES, "closed"),
    ]


def test_nothing_shows_an_account_number(
    settings: tuple[Settings, Simulator], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with PositionManager(settings[0]) as manager:
        positions = manager.get_active_positions()
        print(positions, manager.greeks(positions))
    assert "<<< 61,3,SI***" in caplog.text
    said = caplog.text + repr(positions) + repr(manager.greeks(positions))
    assert FIRST not in said and SECOND not in said


def test_a_lake_of_another_broker_is_refused(tmp_path: Path) -> None:
    LakeIdentity(tmp_path).pin("live")
    with desk(tmp_path, HELD) as (settings, tws), PositionManager(settings) as manager:
        with pytest.raises(IdentityMismatch):
            manager.get_active_positions()
        assert "positions" not in tws.counters.requests
