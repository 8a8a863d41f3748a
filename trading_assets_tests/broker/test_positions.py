"""Positions over the wire with the real client library, as they come and as they should not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.positions import AccountLook, UnreadablePositions, masked, without_account
from trading_assets.errors import BreakerOpen, BrokerUnavailable
from trading_assets.settings import Settings
from trading_assets.simulator import SimulatedAccount, SimulatedPosition, Simulator
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.rewriting import Fields, Link, Rewriting

pytestmark = pytest.mark.timeout(300)

FIRST, SECOND = "SIM-TINY-1", "SIM-TINY-2"
CALL, PUT = "AAA   240621C00095000", "AAA   240621P00095000"

OnServer = Callable[[Fields, Link], Any]


@pytest.fixture
def looking(
    simulate: Callable[..., Simulator], settings_for: Callable[..., Settings], broker_for: Callable[..., Broker]
) -> Any:
    """Makes a broker whose TWS holds three positions in two accounts, behind a wire that may be rewritten."""
    with ExitStack() as stack:

        def make(on_server: OnServer | None = None, **changes: Any) -> tuple[Broker, Simulator, Rewriting]:
            held = {FIRST: [(CALL, -2, 240.0), (PUT, 1, 80.0)], SECOND: [(CALL, 1, 250.0)]}
            accounts = [
                SimulatedAccount(
                    name,
                    positions=tuple(SimulatedPosition(ContractQuery(local_symbol=word), *rest) for word, *rest in rows),
                )
                for name, rows in held.items()
            ]
            tws = simulate(accounts=accounts)
            wire = stack.enter_context(Rewriting(tws.port, on_server=on_server))
            return broker_for(settings_for(tws, ib_port=wire.port, **changes)), tws, wire

        yield make


def told(look: AccountLook) -> dict[tuple[str, str], tuple[float, float | None]]:
    return {
        (holding.account, holding.instrument.local_symbol): (holding.quantity, holding.average_cost)
        for holding in look.holdings
    }


ALL = {(FIRST, CALL): (-2, 240.0), (FIRST, PUT): (1, 80.0), (SECOND, CALL): (1, 250.0)}


def only(kind: int, spoil: Callable[[Fields], Any], times: int = 10**6) -> OnServer:
    """Spoils the first `times` messages of a kind."""
    left = [times]

    def on_server(fields: Fields, _: Link) -> Any:
        if fields[0] != str(kind) or not left[0]:
            return None
        left[0] -= 1
        return [spoil(fields)]

    return on_server


def put(place: int, value: str) -> Callable[[Fields], Fields]:
    return lambda fields: [*fields[:place], value, *fields[place + 1 :]]


def test_all_accounts_are_listed_with_the_terms_of_their_contracts(looking: Any) -> None:
    broker, _, _ = looking()
    look = broker.positions()
    assert told(look) == ALL and look.accounts == (FIRST, SECOND)
    call = next(holding.instrument for holding in look.holdings if holding.instrument.local_symbol == CALL)
    assert (call.symbol, call.sec_type, call.right, call.strike, call.multiplier) == ("AAA", "OPT", "C", 95.0, "100")
    assert (call.last_trade, call.currency) == ("20240621", "USD") and call.con_id > 0


def test_what_changes_while_they_are_listed_has_its_new_state(looking: Any) -> None:
    def on_server(fields: Fields, link: Link) -> Any:
        if fields[0] == "61" and fields[2] == FIRST and fields[12] == CALL and not link.state.get("told"):
            link.state["told"] = True
            return [fields, put(14, "-1")(fields)]
        return None

    broker, _, _ = looking(on_server)
    assert told(broker.positions()) == ALL | {(FIRST, CALL): (-1, 240.0)}


@pytest.mark.parametrize("unset", ["", "1.7976931348623157E308", "NaN"])
def test_a_cost_that_is_not_given_is_none(looking: Any, unset: str) -> None:
    broker, _, _ = looking(only(61, put(15, unset)))
    assert {cost for _, cost in told(broker.positions()).values()} == {None}


SPOILT: dict[str, Callable[[Fields], Any]] = {
    "a field is missing": lambda fields: fields[:-1],
    "a field too many": lambda fields: [*fields, "1"],
    "no quantity": put(14, ""),
    "the quantity is unset": put(14, "1.7976931348623157E308"),
    "the quantity is a word": put(14, "many"),
    "con_id is a word": put(3, "one"),
    "the strike is a word": put(7, "high"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_position_that_cannot_be_read_fails_the_look_and_nothing_else(looking: Any, spoil: Any) -> None:
    broker, tws, _ = looking(only(61, spoil, times=2 * len(ALL)))
    with pytest.raises(UnreadablePositions, match=r"could not be read .* so the list is not whole"):
        broker.positions()
    assert tws.counters.requests["positions"] == 2, "asked again once"
    assert told(broker.positions()) == ALL
    assert tws.counters.connections["accepted"] == 1


def test_asked_again_it_may_come_right(looking: Any) -> None:
    broker, tws, _ = looking(only(61, put(14, ""), times=1))
    assert told(broker.positions()) == ALL and tws.counters.requests["positions"] == 2


def test_names_of_other_letters_are_read(looking: Any) -> None:
    broker, _, _ = looking(only(61, put(4, "M\\u00dcV")))
    assert {holding.instrument.symbol for holding in broker.positions().holdings} == {"MÜV"}


def test_a_list_without_an_end_fails_in_time_and_its_rest_is_no_answer_to_the_next_question(looking: Any) -> None:
    broker, tws, _ = looking(only(62, lambda _: b"", times=1), connect_timeout=0.5)
    with pytest.raises(BrokerUnavailable, match="did not list the positions within"):
        broker.positions()
    assert told(broker.positions()) == ALL
    assert tws.counters.connections["accepted"] == 2, "on a new connection"


def test_a_connection_that_breaks_ends_the_look(looking: Any) -> None:
    def on_server(fields: Fields, link: Link) -> Any:
        if fields[0] == "61":
            link.close()
            return []
        return None

    broker, _, _ = looking(on_server, failure_threshold=2)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="The positions were not listed; run it again"):
            broker.positions()
    with pytest.raises(BreakerOpen):
        broker.positions()


def test_nothing_logged_holds_an_account(looking: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broker, _, _ = looking(only(61, put(14, "many"), times=1))
    look = broker.positions()
    assert masked(FIRST) in caplog.text and "It holds: ['61', '3', 'SI***Y-1'" in caplog.text
    assert FIRST not in caplog.text + repr(look) + repr(look.holdings) and SECOND not in caplog.text


def test_accounts_are_masked_wherever_a_message_names_them() -> None:
    assert masked("U1234567") == "U1***567" and masked("U1") == "***"
    for fields in (
        ["61", "3", "U1234567", "1"],
        ["15", "1", "U1234567,U7654321"],
        ["6", "2", "Tag", "1", "USD", "U1234567"],
        ["63", "1", "9", "U1234567", "Tag"],
        ["54", "1", "U1234567"],
    ):
        assert "1234567" not in ",".join(without_account(fields))
    assert without_account(["1", "6", "1000"]) == ["1", "6", "1000"] and without_account([]) == []
