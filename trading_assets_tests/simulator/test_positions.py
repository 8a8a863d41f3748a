"""Positions: given in a file, changed by hand with pushes, assigned, expired."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.simulator import SimulatedAccount, SimulatedPosition, Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract
from trading_assets.simulator.positions import PositionsError, account_file
from trading_assets_tests.simulator.wire import RawClient, connected, library_until

CALL = "AAA   240621C00095000"
PUT = "AAA   240621P00095000"
CLOSE = datetime(2024, 6, 21, 20, 0, tzinfo=UTC)


def asked(client: RawClient) -> dict[tuple[str, str], tuple[float, float]]:
    """All positions as the simulator answers them: quantity and cost by account and local symbol."""
    client.send(61, 1)
    found: dict[tuple[str, str], tuple[float, float]] = {}
    while (fields := client.read())[0] != "62":
        if fields[0] == "61":
            found |= dict([held(fields)])
    return found


def held(fields: list[str]) -> tuple[tuple[str, str], tuple[float, float]]:
    """Account and local symbol, quantity and cost of a `position` message."""
    assert len(fields) == 16
    return (fields[2], fields[12]), (float(fields[14]), float(fields[15]))


def pushed(client: RawClient) -> tuple[tuple[str, str], tuple[float, float]]:
    """The next change of a position."""
    return held(client.read_message(61))


def test_changes_are_pushed_to_clients_that_asked(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(accounts=["DU1", "DU2"])
    with RawClient(tws.port, 1) as client, RawClient(tws.port, 2) as other:
        other.settle()
        assert asked(client) == {}
        tws.positions.set("AAA", 100, 90.5)
        assert pushed(client) == (("DU1", "AAA"), (100, 90.5))
        tws.positions.set(CALL, -2, 240, account="DU2")
        assert pushed(client) == (("DU2", CALL), (-2, 240))
        tws.positions.set("AAA", 0)
        assert pushed(client) == (("DU1", "AAA"), (0, 0))
        assert asked(other) == {("DU1", "AAA"): (0, 0), ("DU2", CALL): (-2, 240)}
        client.send(64, 1)
        client.send(49, 1)
        client.read_message(49)
        tws.positions.set("AAA", 7)
        assert pushed(other)[1] == (7, 0)
        client.send(49, 1)
        assert client.read_until(lambda fields: fields[0] in ("49", "61"))[0] == "49"
    assert tws.positions.quantities("DU2") == {CALL: -2}


def test_the_client_library_follows(tws: Simulator) -> None:
    with connected(tws) as ib:
        tws.positions.set("AAA", 5, 91.5)
        tws.positions.set(CALL, -1, 200)
        library_until(lambda: len(ib.positions()) == 2)
        assert {p.contract.localSymbol: (p.position, p.avgCost) for p in ib.positions()} == {
            "AAA": (5, 91.5),
            CALL: (-1, 200),
        }
        tws.clock.set(CLOSE)
        library_until(lambda: [p.position for p in ib.positions()] == [-95])


def test_what_is_no_position(tws: Simulator) -> None:
    with pytest.raises(PositionsError, match="lists no contract 'NOSUCH'"):
        tws.positions.set("NOSUCH", 1)
    with pytest.raises(PositionsError, match="no account 'DU9'"):
        tws.positions.set("AAA", 1, account="DU9")
    tws.positions.set(CALL, -1)
    with pytest.raises(PositionsError, match="cannot be assigned: the account holds -1"):
        tws.positions.assign(CALL, 2)
    tws.stop()
    with pytest.raises(RuntimeError, match="not running"):
        tws.positions.set("AAA", 1)


def test_assignment_by_hand_moves_the_stock_at_the_strike(tws: Simulator) -> None:
    tws.positions.set("AAA", 150, 90)
    tws.positions.set(CALL, -3, 250)
    with RawClient(tws.port) as client:
        asked(client)
        tws.positions.assign(CALL, 2)
        assert [pushed(client)[1] for _ in range(2)] == [(-1, 250), (-50, 95)]
        tws.positions.set(PUT, 2, 100)
        pushed(client)
        tws.positions.assign(PUT, 1)
        assert [pushed(client)[1] for _ in range(2)] == [(1, 100), (-150, 95)]


def test_expiry_settles_options_of_all_accounts(simulate: Callable[..., Simulator]) -> None:
    accounts = [
        SimulatedAccount("DU1", positions=(SimulatedPosition(ContractQuery(local_symbol=CALL), -2, 240.0),)),
        SimulatedAccount("DU2", positions=(SimulatedPosition(ContractQuery(local_symbol=PUT), 1, 80.0),)),
    ]
    tws = simulate(accounts=accounts)
    with RawClient(tws.port) as client:
        assert asked(client) == {("DU1", CALL): (-2, 240), ("DU2", PUT): (1, 80)}
        tws.clock.set(CLOSE)
        assert dict(pushed(client) for _ in range(3)) == {
            ("DU1", CALL): (0, 0),  # in the money: assigned
            ("DU1", "AAA"): (-200, 95),
            ("DU2", PUT): (0, 0),  # out of the money: expired
        }
        assert asked(client)[("DU1", CALL)] == (0, 0)
    assert tws.positions.quantities("DU1") == {"AAA": -200}
    assert tws.positions.quantities("DU2") == {}


def test_an_index_option_is_settled_in_cash_at_the_open() -> None:
    market = GeneratedMarket(seed=42)
    now = datetime(2024, 6, 20, 18, 0, tzinfo=UTC)
    monthly = next(p for p in market.option_parameters("SPX", "IND", 0, now) if p.trading_class == "SPX")
    query = ContractQuery(symbol="SPX", sec_type="OPT", trading_class="SPX", last_trade=monthly.expirations[0])
    index = market.contracts(ContractQuery(symbol="SPX"), now)[0]
    opened = market.quote(index, datetime(2024, 6, 21, 14, 0, tzinfo=UTC)).open
    assert opened is not None
    call = max(
        (row for row in market.contracts(query, now) if row.right == "C" and row.strike < opened),
        key=lambda row: row.strike,
    )
    assert call.last_trade == "20240620"
    account = SimulatedAccount("DU1", 1000.0, (SimulatedPosition(ContractQuery(con_id=call.con_id), 1, 0.0),))
    with Simulator(market, now=now, accounts=[account]) as tws, RawClient(tws.port) as client:
        asked(client)
        tws.clock.set(datetime(2024, 6, 21, 13, 31, tzinfo=UTC))
        assert pushed(client) == (("DU1", call.local_symbol), (0, 0))
        assert tws.positions.books["DU1"].cash == pytest.approx(1000 + 100 * (opened - call.strike))
        assert tws.counters.internal_errors == []


def test_a_contract_that_no_market_lists_is_shown_as_given(simulate: Callable[..., Simulator]) -> None:
    future = ListedContract(77, "ES", "FUT", "CME", "", "USD", "ESU4", "ES", "", multiplier="50", last_trade="20240920")
    tws = simulate()
    tws.positions.set(future, 1, 265000)
    with RawClient(tws.port) as client:
        client.send(61, 1)
        fields = client.read_message(61)
        assert fields[3:9] == ["77", "ES", "FUT", "20240920", "0", "0"] or fields[3:7] == [
            "77",
            "ES",
            "FUT",
            "20240920",
        ]
        client.send(6, 2, 1, "")
        assert client.read_message(7)[2] == "77"


def test_accounts_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    stock = {"symbol": "AAPL", "quantity": 100, "average_cost": 180.5}
    option = {"local_symbol": CALL, "quantity": -2, "average_cost": 350}
    bond = {"sec_type": "BOND", "con_id": 9, "symbol": "US-T", "quantity": 5}
    path.write_text(json.dumps([stock]), encoding="utf-8")
    (account,) = account_file(path, "SIM-A")
    assert (account.name, account.positions[0].quantity, account.positions[0].average_cost) == ("SIM-A", 100, 180.5)
    path.write_text(
        json.dumps({"accounts": [{"name": "DU1", "cash": 5, "positions": [stock, option]}, {"name": "DU2",
        "positions": [bond]}]}), encoding="utf-8",
    )  # fmt: skip
    first, second = account_file(path, "SIM-A")
    assert (first.name, first.cash, len(first.positions)) == ("DU1", 5, 2)
    assert first.positions[1].contract.local_symbol == CALL
    assert isinstance(second.positions[0].contract, ListedContract)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "must hold a list of positions"),
        ("no json", "not usable"),
        ('[{"symbol": "AAPL"}]', "needs a 'quantity'"),
        ('[{"quantity": 1}]', "names no contract"),
        ('[{"symbol": "AAPL", "amount": 3, "quantity": 1}]', "unknown field 'amount'"),
        ('[{"symbol": "ES", "sec_type": "FUT", "quantity": 1}]', "needs a 'con_id'"),
        ('{"accounts": [{"positions": []}]}', "needs a 'name'"),
    ],
)
def test_unusable_files_are_refused_with_a_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "positions.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PositionsError, match=said) as raised:
        account_file(path, "SIM-A")
    assert str(path) in str(raised.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PositionsError, match="cannot be read"):
        account_file(tmp_path / "none.json", "SIM-A")
