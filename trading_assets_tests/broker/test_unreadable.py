"""Messages of TWS that cannot be read, over the wire with the real client library.

A proxy spoils frames between the simulator and the broker. Whatever is spoilt: the request ends as `unreadable` or,
asked again, with its data; never as complete without it, as empty or as "no such contract"; the other requests do not
notice; the library logs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker.broker import Broker
from trading_assets.broker.codes import remedy_of
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.payloads import pack as packed
from trading_assets.broker.requests import ContractDetailsRequest, Request
from trading_assets.instrument import Instrument
from trading_assets.reliability import Phase
from trading_assets.settings import Settings
from trading_assets.simulator import Faults, Simulator
from trading_assets.state import read_transaction
from trading_assets.state.tables import requests
from trading_assets_tests.broker.conftest import (
    DETAILS,
    LISTING,
    OPTION_QUOTE,
    PARAMETERS,
    SESSION,
    STOCK_BARS,
    STOCK_QUOTE,
    option_bars,
    wall_clock,
)
from trading_assets_tests.observing import eventually
from trading_assets_tests.rewriting import Fields, Link, Rewriting, pack

pytestmark = pytest.mark.timeout(300)

SettingsFor = Callable[..., Settings]
BrokerFor = Callable[..., Broker]

Spoil = Callable[[Fields], Any]
"""What becomes of a frame's fields: other fields, the bytes of a frame, or `[]` for a frame that never comes."""

NO_STATEMENT = "This is not a statement that there is no data."


def at(place: int, value: str) -> Spoil:
    """Another value in one field."""
    return lambda fields: [*fields[:place], value, *fields[place + 1 :]]


def cut(length: int) -> Spoil:
    """Fewer fields."""
    return lambda fields: fields[:length]


def one_more(fields: Fields) -> Fields:
    """A field too many at the end."""
    return [*fields, "1"]


def unfinished(fields: Fields) -> bytes:
    """A frame whose last field lacks its end."""
    body = pack(fields)[4:-1]
    return len(body).to_bytes(4, "big") + body


def not_text(place: int) -> Spoil:
    """Bytes that are no UTF-8 in one field."""
    return lambda fields: [*fields[:place], fields[place] + "\udcff\udcfe", *fields[place + 1 :]]


SPOILT: dict[str, tuple[int, Request, Spoil]] = {
    "contract: fields are missing": (10, DETAILS, cut(20)),
    "contract: the last fields are missing": (10, DETAILS, cut(-1)),
    "contract: con_id is a word": (10, DETAILS, at(12, "one")),
    "contract: more security ids promised than come": (10, DETAILS, at(30, "1")),
    "contract: fewer than no security ids": (10, DETAILS, at(30, "-1")),
    "contract: security ids that nobody promised": (10, DETAILS, lambda f: [*f[:31], "ISIN", "US0378331005", *f[31:]]),
    "contract: the symbol is no text": (10, DETAILS, not_text(2)),
    "contract: a backslash in the symbol": (10, DETAILS, at(2, "A\\A")),
    "contract: the end comes alone": (10, DETAILS, lambda _: b""),
    "contract: the frame is not finished": (10, DETAILS, unfinished),
    "listing: fields are missing": (10, LISTING, cut(20)),
    "listing: the strike is a word": (10, LISTING, at(5, "hundred")),
    "listing: the end has a field too many": (52, LISTING, one_more),
    "parameters: no number of expiries": (75, PARAMETERS, at(6, "x")),
    "parameters: an expiry too many promised": (75, PARAMETERS, at(6, "3")),
    "parameters: a strike too many promised": (75, PARAMETERS, lambda f: at(7 + int(f[6]), "4")(f)),
    "parameters: a strike too few promised": (75, PARAMETERS, lambda f: at(7 + int(f[6]), "2")(f)),
    "parameters: a field too many": (75, PARAMETERS, one_more),
    "parameters: a strike is a word": (75, PARAMETERS, lambda f: [*f[:-1], "hundred"]),
    "parameters: the underlying is a word": (75, PARAMETERS, at(3, "AAA")),
    "parameters: the end has a field too many": (76, PARAMETERS, one_more),
    "bars: no bars promised, bars come": (17, STOCK_BARS, at(4, "0")),
    "bars: fewer than no bars promised": (17, STOCK_BARS, at(4, "-1")),
    "bars: one less promised": (17, STOCK_BARS, lambda f: at(4, str(int(f[4]) - 1))(f)),
    "bars: one more promised": (17, STOCK_BARS, lambda f: at(4, str(int(f[4]) + 1))(f)),
    "bars: the last is cut": (17, STOCK_BARS, cut(-3)),
    "bars: a field too many": (17, STOCK_BARS, one_more),
    "bars: an empty price": (17, STOCK_BARS, at(6, "")),
    "bars: a price that only Python reads": (17, STOCK_BARS, at(9, "1_0")),
    "bars: a price in other digits": (17, STOCK_BARS, at(9, "１２")),
    "bars: a price is a word": (17, STOCK_BARS, at(9, "high")),
    "bars: a count with a fraction": (17, STOCK_BARS, at(12, "1.5")),
    "bars: a time of day where a date must stand": (17, STOCK_BARS, at(5, "1717421400")),
    "bars: bytes that are no text": (17, STOCK_BARS, not_text(5)),
    "bars: the time carries a zone": (17, option_bars(6), at(5, "20240603 09:30:00 US/Eastern")),
    "bars: a date where an instant must stand": (17, option_bars(6), at(5, "20240603")),
    "bars: the frame is not finished": (17, option_bars(6), unfinished),
    "price: a field too few": (1, OPTION_QUOTE, cut(-1)),
    "price: a field too many": (1, OPTION_QUOTE, one_more),
    "price: a word": (1, OPTION_QUOTE, at(4, "high")),
    "price: its kind is missing": (1, OPTION_QUOTE, at(3, "")),
    "size: a field too few": (2, OPTION_QUOTE, cut(-1)),
    "size: a word": (2, OPTION_QUOTE, at(4, "many")),
    "greeks: a field too few": (21, OPTION_QUOTE, cut(-1)),
    "greeks: a word": (21, OPTION_QUOTE, at(5, "delta")),
    "greeks: an empty value": (21, OPTION_QUOTE, at(5, "")),
    "the kind of market data is a word": (58, OPTION_QUOTE, at(3, "live")),
    "the kind of market data is missing": (58, OPTION_QUOTE, cut(-1)),
}
"""By name: the message that is spoilt, the request that it answers, and how."""

ALL: list[Request] = [
    DETAILS,
    PARAMETERS,
    LISTING,
    STOCK_BARS,
    option_bars(6),
    option_bars(7),
    STOCK_QUOTE,
    OPTION_QUOTE,
]

ASKING = {9: 2, 20: 1, 1: 2, 78: 1}
"""Messages of the client that ask something, with the index of their request id."""


class Wire:
    """A simulator behind a proxy that spoils answers to one request: always, or the first so many `times`."""

    def __init__(
        self,
        stack: ExitStack,
        simulator: Simulator,
        message: int,
        request: Request,
        spoil: Spoil,
        times: int | None = None,
    ) -> None:
        self.message, self.request, self.spoil, self.left = message, request, spoil, times
        self.spoilt = 0
        self._theirs: set[str] = set()
        self.proxy = stack.enter_context(
            Rewriting(simulator.port, on_server=self._on_server, on_client=self._on_client)
        )

    def _on_client(self, fields: Fields, _link: Link) -> None:
        place = ASKING.get(int(fields[0]))
        if place is not None and self._asks_it(int(fields[0]), fields[place + 1 :]):
            self._theirs.add(fields[place])

    def _asks_it(self, kind: int, contract: Fields) -> bool:
        instrument, asked = self.request.instrument, type(self.request).kind
        kinds = {"contract_details": 9, "option_listing": 9, "bars": 20, "quote": 1, "option_parameters": 78}
        if kinds[asked] != kind:
            return False
        if kind == 78:
            return contract[0] == instrument.symbol
        if instrument.con_id:
            return contract[0] == str(instrument.con_id)
        return (contract[1], contract[2]) == (instrument.symbol, instrument.sec_type)

    def _on_server(self, fields: Fields, _link: Link) -> Any:
        ours = fields[0] == str(self.message) and any(field in self._theirs for field in fields[1:3])
        if not ours or self.left == 0:
            return None
        self.left = None if self.left is None else self.left - 1
        self.spoilt += 1
        return [self.spoil(fields)]


@pytest.fixture
def spoiling(
    simulate: Callable[..., Simulator],
    settings_for: SettingsFor,
    broker_for: BrokerFor,
    journal_for: Callable[[Settings], Journal],
) -> Any:
    """Makes a wire and a broker on it: `spoiling(message, request, spoil, times=None)`."""
    with ExitStack() as stack:

        def make(
            message: int, request: Request, spoil: Spoil, times: int | None = None, version: int = 176, **changes: Any
        ) -> tuple[Wire, Broker, Journal]:
            # a head time stamp may be requested again after 15 s only
            simulator = simulate(server_version=version, limits=False)
            wire = Wire(stack, simulator, message, request, spoil, times)
            # nothing ends by its time where a machine is slow
            patient = {"quote_timeout": 20.0, "contract_timeout": 20.0, "history_timeout": 20.0}
            settings = settings_for(
                simulator, ib_port=wire.proxy.port, max_attempts=2, identical_interval=0.0, **{**patient, **changes}
            )
            journal = journal_for(settings)
            return wire, broker_for(settings, journal), journal

        yield make


def outcomes(results: list[Result]) -> dict[str, OutcomeKind]:
    return {result.request.key: result.outcome.kind for result in results}


@pytest.mark.parametrize(("message", "request_", "spoil"), SPOILT.values(), ids=SPOILT.keys())
def test_what_cannot_be_read_is_unreadable_and_harms_only_itself(
    message: int, request_: Request, spoil: Spoil, spoiling: Any
) -> None:
    wire, broker, journal = spoiling(message, request_, spoil)

    results = broker.run(ALL, planned_at=wall_clock())

    ends = outcomes(results)
    assert ends.pop(request_.key) is OutcomeKind.UNREADABLE
    assert set(ends.values()) == {OutcomeKind.COMPLETE}
    assert broker.sent == len(ALL) + 1, "asked again once, as max_attempts says; nothing else is"
    result = next(result for result in results if result.request == request_)
    assert result.payload is None
    assert (str(wire.message) in result.outcome.text or "(52)" in result.outcome.text) and "AAA" in result.outcome.text
    assert result.outcome.text.endswith(NO_STATEMENT)
    assert remedy_of(result.outcome)
    assert broker.breaker.state.phase is Phase.CLOSED
    assert broker.breaker.state.failures == 0, "TWS is there and answers"
    with read_transaction(journal.engine) as connection:
        recorded = (
            connection.execute(sa.select(requests.c.outcome).where(requests.c.key == request_.key)).scalars().all()
        )
    assert set(recorded) == {"unreadable"}

    wire.left, sent = 1, broker.sent
    [healed] = broker.run([request_], planned_at=wall_clock())
    assert healed.outcome.kind is OutcomeKind.COMPLETE
    assert broker.sent == sent + 2, "spoilt once, it is requested again in the same run"


OLD_FORM = {
    "fields are missing": cut(20),
    "no number of security ids": at(32, "x"),
    "security ids that do not come": at(32, "1"),
    "the symbol is no text": not_text(3),
}


@pytest.mark.parametrize("spoil", OLD_FORM.values(), ids=OLD_FORM.keys())
def test_contracts_of_an_old_tws_have_another_form(spoil: Spoil, spoiling: Any) -> None:
    _, broker, _ = spoiling(10, DETAILS, spoil, version=157)
    details, listing = broker.run([DETAILS, LISTING], planned_at=wall_clock())
    assert details.outcome.kind is OutcomeKind.UNREADABLE
    assert listing.outcome.kind is OutcomeKind.COMPLETE


ASTRAY: dict[str, tuple[int, Request, Spoil]] = {
    "a contract without a request id": (10, DETAILS, at(1, "")),
    "a contract with a request id that nobody gave": (10, DETAILS, at(1, "7")),
    "a contract of an unreadable kind": (10, DETAILS, at(0, "1O")),
    "a contract of a kind that does not exist": (10, DETAILS, at(0, "999")),
    "an end of contracts without a request id": (52, LISTING, at(2, "x")),
    "parameters without a request id": (75, PARAMETERS, at(1, "x")),
    "an end of parameters without a request id": (76, PARAMETERS, at(1, "")),
    "bars without a request id": (17, STOCK_BARS, at(1, "")),
    "bars of an unreadable kind": (17, STOCK_BARS, at(0, "")),
    "a price without a request id": (1, STOCK_QUOTE, at(2, "")),
    "greeks without a request id": (21, OPTION_QUOTE, at(1, "x")),
    "an empty frame instead of bars": (17, STOCK_BARS, lambda _: []),
    "an empty frame instead of a contract": (10, LISTING, lambda _: []),
}


@pytest.mark.parametrize(("message", "request_", "spoil"), ASTRAY.values(), ids=ASTRAY.keys())
def test_what_cannot_be_attributed_is_asked_again(message: int, request_: Request, spoil: Spoil, spoiling: Any) -> None:
    """Long before the timeout of a minute: whoever can have lost his answer ends, and is requested again."""
    wire, broker, _ = spoiling(message, request_, spoil, times=1, history_timeout=50.0, contract_timeout=50.0)
    results = broker.run(ALL, planned_at=wall_clock())
    assert wire.spoilt == 1
    assert set(outcomes(results).values()) == {OutcomeKind.COMPLETE}
    listing = next(result for result in results if result.request == LISTING)
    assert len(listing.payload["contracts"]) == 6


def test_of_several_histories_only_the_one_without_its_answer_is_asked_again(spoiling: Any) -> None:
    wire, broker, _ = spoiling(17, option_bars(6), at(1, "x"), history_timeout=50.0)
    asked = [option_bars(index) for index in range(6, 12)]
    first, *others = broker.run(asked, planned_at=wall_clock())
    assert first.outcome.kind is OutcomeKind.UNREADABLE
    assert {other.outcome.kind for other in others} == {OutcomeKind.COMPLETE}
    assert broker.sent == len(asked) + 1
    assert wire.spoilt == 2


NO_SUCH = ContractDetailsRequest(Instrument("NONE"), SESSION)

ERRORS: dict[str, Spoil] = {
    "the code is a word": at(3, "2x0"),
    "a field is missing": cut(-1),
    "a field too many": one_more,
    "the request id is a word": at(2, "x"),
    "the request id is missing": at(2, ""),
    "the request id is nobody's": at(2, "5"),
    "the frame is not finished": unfinished,
}


@pytest.mark.parametrize("spoil", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_that_cannot_be_read_is_told_with_what_it_holds(spoil: Spoil, spoiling: Any) -> None:
    _, broker, _ = spoiling(4, NO_SUCH, spoil, contract_timeout=50.0)
    unknown, details = broker.run([NO_SUCH, DETAILS], planned_at=wall_clock())
    assert details.outcome.kind is OutcomeKind.COMPLETE
    assert unknown.outcome.kind is OutcomeKind.UNREADABLE, "not `no_contract`"
    assert "error (4)" in unknown.outcome.text
    assert "No security definition" in unknown.outcome.text
    assert "NONE" in unknown.outcome.text


NAMES = {
    "plain": ("AAA Corp", "AAA Corp"),
    "a character as TWS escapes it": ("Caf\\u00e9 AG", "Café AG"),
    "a character in UTF-8": ("Café AG", "Café AG"),
    "a byte of another encoding": ("Caf\udce9 AG", "Café AG"),
    "a byte of no encoding": ("Caf\udc81 AG", "Caf\ufffd AG"),
    "a pair of escapes": ("A \\ud83d\\ude00", "A \U0001f600"),
    "half of a pair": ("A \\ud83d", "A \ufffd"),
    "a NUL": ("A\\u0000B", "A\ufffdB"),
    "a backslash at the end": ("AAA\\", "AAA\\"),
    "a backslash before a word": ("AAA\\next\\Ubuntu\\Name\\x", "AAA\\next\\Ubuntu\\Name\\x"),
    "two backslashes": ("AAA\\\\B", "AAA\\B"),
    "an escape too large": ("A\\Uffffffff", "A\ufffd"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("version", [157, 176])
@pytest.mark.parametrize(("sent", "read"), NAMES.values(), ids=NAMES.keys())
def test_no_name_keeps_a_contract_out(sent: str, read: str, version: int, spoiling: Any) -> None:
    wire, broker, _ = spoiling(10, DETAILS, at(19 if version >= 164 else 21, sent), version=version)
    [result] = broker.run([DETAILS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert [(c["con_id"], c["long_name"]) for c in result.payload["contracts"]] == [(1, read)]
    assert packed(result.payload), "the journal can keep it"
    assert wire.spoilt == 1


@pytest.mark.parametrize(
    ("place", "name"), [(10, "market_name"), (22, "industry"), (23, "category"), (24, "subcategory")]
)
def test_other_texts_of_a_contract_are_read_as_well(place: int, name: str, spoiling: Any) -> None:
    _, broker, _ = spoiling(10, DETAILS, at(place, "Caf\\u00e9 \\ Nestl\udce9"))
    [result] = broker.run([DETAILS], planned_at=wall_clock())
    assert [contract[name] for contract in result.payload["contracts"]] == ["Café \\ Nestlé"]


def test_an_error_about_something_else_costs_no_answer(spoiling: Any) -> None:
    """One about an order, just before the only answer that is waited for."""
    _, broker, _ = spoiling(
        17, STOCK_BARS, lambda fields: pack(["4", "2", "7", "202", "Order Canceled - reason:", ""]) + pack(fields)
    )
    [result] = broker.run([STOCK_BARS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert broker.sent == 1


def test_fields_after_a_contract_are_of_a_newer_tws(spoiling: Any) -> None:
    _, broker, _ = spoiling(10, DETAILS, lambda fields: [*fields, "0", "", "0"])
    [result] = broker.run([DETAILS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE


def test_an_empty_size_is_no_size(spoiling: Any) -> None:
    """Neither unreadable nor 0."""
    _, broker, _ = spoiling(2, OPTION_QUOTE, lambda fields: at(4, "")(fields) if fields[3] == "0" else fields)
    [result] = broker.run([OPTION_QUOTE], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert result.payload["ask_size"] == 12.0
    assert result.payload["bid_size"] != 0


def test_an_end_of_ticks_before_the_first_is_no_quote(spoiling: Any) -> None:
    wire, broker, _ = spoiling(58, STOCK_QUOTE, lambda fields: pack(["57", "1", fields[2]]) + pack(fields))
    [result] = broker.run([STOCK_QUOTE], planned_at=wall_clock())
    assert wire.spoilt == 1
    assert result.payload["bid"] == 99.99


def test_messages_about_nothing_asked_are_no_concern(spoiling: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Account and order messages, and kinds of a newer TWS, whatever their form: no warning, nothing is requested
    again."""
    wire, broker, _ = spoiling(10, DETAILS, lambda fields: fields)
    for noise in (
        ["6", "2", "tag"],
        ["7", "x"],
        ["5"],
        ["11", "1"],
        ["46", "6", "1000"],
        ["999", "1", "2", "3"],
        ["59"],
    ):
        wire.spoil = lambda fields, noise=noise: pack(noise) + pack(fields)
        [result] = broker.run([DETAILS], planned_at=wall_clock())
        assert result.outcome.kind is OutcomeKind.COMPLETE
    told = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    # connections of other tests, closed late
    assert not [record for record in told if not record.name.startswith("sqlalchemy.pool")]


def test_a_frame_of_an_impossible_length_breaks_the_connection_only(spoiling: Any) -> None:
    _, broker, _ = spoiling(17, STOCK_BARS, lambda fields: b"\xff\xff\xff\xf0" + pack(fields)[4:], times=1)
    results = broker.run(ALL, planned_at=wall_clock())
    assert set(outcomes(results).values()) == {OutcomeKind.COMPLETE}


def test_a_clock_that_cannot_be_read_is_a_sign_of_life(
    simulate: Any, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    """A request times out; TWS answers the question about the time, though not readably: the connection stays."""
    simulator = simulate(faults=Faults([{"on": "historical_data", "nth": 1, "do": "hang"}]))

    def spoil(fields: Fields, _link: Link) -> list[Fields] | None:
        return [["49", "1", "soon"]] if fields[0] == "49" else None

    with Rewriting(simulator.port, on_server=spoil) as wire:
        broker = broker_for(settings_for(simulator, ib_port=wire.port, history_timeout=0.5))
        [result] = broker.run([STOCK_BARS], planned_at=wall_clock())
        assert result.outcome.kind is OutcomeKind.COMPLETE
        assert len(wire.asked(49)) == 1
        eventually(lambda: simulator.counters.open_now.get("history", 0) == 0)
        assert len(wire.asked(71)) == 1, "one session"
