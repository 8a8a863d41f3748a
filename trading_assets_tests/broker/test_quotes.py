"""Quotes over the wire: what counts as a value, how long one is waited for, and what is left when none comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from operator import itemgetter
from typing import Any

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.quotes import computed
from trading_assets.broker.requests import QuoteRequest, Request
from trading_assets.collecting.decode import lacks
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.broker.conftest import OPTION_QUOTE, SESSION, STOCK_QUOTE, option, wall_clock
from trading_assets_tests.rewriting import Fields, Link, Rewriting

pytestmark = pytest.mark.timeout(300)

Frame = Sequence[object]
Ticks = Sequence[tuple[float, Frame]]
"""Seconds after the request, and the frame with `REQ` in place of the request's id."""

QUIET = 2.0
"""The default of the setting `quote_quiet_time`, seconds."""

REQ = object()
UNSET = "1.7976931348623157E308"
PUT_QUOTE = QuoteRequest(option(7), SESSION, generic_ticks="100,101,106")


def price(tick: int, value: object, size: object = 0) -> Frame:
    return ("1", "6", REQ, tick, value, size, "0")


def size(tick: int, value: object) -> Frame:
    return ("2", "6", REQ, tick, value)


def model(
    volatility: object, delta: object, gamma: object = 0.03, vega: object = 0.1, theta: object = -0.02, tick: int = 13
) -> Frame:
    return ("21", REQ, tick, "1", volatility, delta, 2.5, 0, gamma, vega, theta, 100.0)


def refusal(code: int, text: str) -> Frame:
    return ("4", "2", REQ, code, text, "")


NOT_YET = (price(1, -1), price(2, -1), model(-1, -2, -2, -2, -2), size(27, 0))
PRICES = (price(1, 2.4, 11), price(2, 2.6, 12))
GREEKS = (model(0.25, 0.5),)
INTEREST = (size(27, 77),)

Ask = Callable[..., Result]


@pytest.fixture
def ask(
    simulate: Callable[..., Simulator], settings_for: Callable[..., Settings], broker_for: Callable[..., Broker]
) -> Iterator[Ask]:
    """Asks one quote; the given ticks are its answer in place of the simulator's."""
    with ExitStack() as stack:

        def run(ticks: Ticks, request: Request = OPTION_QUOTE, **changes: Any) -> Result:
            def answer(fields: Fields, link: Link) -> list[Fields] | None:
                if fields[0] != "1":
                    return None
                threading.Thread(target=send, args=(link, fields[2]), daemon=True).start()
                return []

            def send(link: Link, req_id: str) -> None:
                began = time.monotonic()
                for delay, frame in sorted(ticks, key=itemgetter(0)):
                    time.sleep(max(began + delay - time.monotonic(), 0.0))
                    link.to_client([req_id if field is REQ else field for field in frame])

            simulator = simulate()
            wire = stack.enter_context(Rewriting(simulator.port, on_client=answer))
            broker = broker_for(
                settings_for(simulator, ib_port=wire.port, max_attempts=1, **{"quote_timeout": 8.0, **changes})
            )
            [result] = broker.run([request], planned_at=wall_clock())
            return result

        yield run


def at(delay: float, *frames: Frame) -> list[tuple[float, Frame]]:
    """Frames sent one after the other."""
    return [(delay, frame) for frame in frames]


@pytest.mark.parametrize("delay", [0.05, 0.4, 1.0])
@pytest.mark.parametrize(
    ("first", "late"),
    [
        ((*NOT_YET,), (*PRICES, *GREEKS, *INTEREST)),
        ((*NOT_YET, *GREEKS, *INTEREST), PRICES),
        ((*NOT_YET, *PRICES, *INTEREST), GREEKS),
        ((*NOT_YET, *PRICES, *GREEKS), INTEREST),
        ((*GREEKS, *INTEREST, price(1, -1), price(2, 2.6, 12)), (price(1, 2.4, 11),)),
        ((size(0, 11), size(3, 12), size(8, 5)), (*PRICES, *GREEKS, *INTEREST)),
        ((price(9, 2.2),), (*INTEREST, *GREEKS, *PRICES)),
        ((*PRICES, *INTEREST, model(0.25, -2, -2, -2, -2)), GREEKS),
        ((*PRICES, *INTEREST, model(UNSET, UNSET, UNSET, UNSET, UNSET)), GREEKS),
    ],
    ids=[
        "all late",
        "prices late",
        "greeks late",
        "interest late",
        "bid late",
        "sizes first",
        "close first",
        "volatility first",
        "unset first",
    ],
)
def test_values_are_waited_for_after_their_placeholders(
    first: Sequence[Frame], late: Sequence[Frame], delay: float, ask: Ask
) -> None:
    result = ask(at(0, *first) + at(delay + 0.1, *late))
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert lacks(result.payload) == ()
    values = {
        name: result.payload[name]
        for name in ("bid", "ask", "bid_size", "ask_size", "delta", "theta", "implied_volatility", "open_interest")
    }
    assert values == {
        **{"bid": 2.4, "ask": 2.6, "bid_size": 11.0, "ask_size": 12.0},
        **{"delta": 0.5, "theta": -0.02, "implied_volatility": 0.25, "open_interest": 77.0},
    }


@pytest.mark.parametrize("told", ["0.83,0.92,20130219,0.23", ",,,", None])
def test_dividends_of_a_stock_are_waited_for(told: str | None, ask: Ask) -> None:
    ticks = at(0, price(1, 99.0, 3), price(2, 101.0, 2), price(4, 100.0, 1))
    late = at(0.3, ("46", "6", REQ, 59, told)) if told is not None else []
    result = ask(ticks + late, replace(STOCK_QUOTE, generic_ticks="456"), quote_quiet_time=1.0)
    assert (result.outcome.kind, result.payload["last"]) == (OutcomeKind.COMPLETE, 100.0)
    assert result.payload["dividends"] == told


def test_a_whole_quote_is_not_waited_for(ask: Ask) -> None:
    began = time.monotonic()
    result = ask(at(0, *PRICES, *GREEKS, *INTEREST), quote_quiet_time=60.0, quote_timeout=120.0)
    assert lacks(result.payload) == ()
    assert time.monotonic() - began < 60.0, "before its quiet time is over, on a busy machine as well"


@pytest.mark.parametrize(
    ("ticks", "lacking"),
    [
        ((price(1, -1), *PRICES[1:], *GREEKS, *INTEREST), ()),
        ((price(1, 0, 0), *PRICES[1:], *GREEKS, *INTEREST), ()),
        ((price(1, -1), price(2, -1), *GREEKS, *INTEREST), ("bid and ask",)),
        ((*PRICES, *INTEREST, model(-1, -1, -1, -1, -1)), ("greeks",)),
        ((*PRICES, *INTEREST), ("greeks",)),
        ((*PRICES, *GREEKS), ("open interest",)),
        ((*NOT_YET[:3],), ("bid and ask", "greeks", "open interest")),
    ],
    ids=["no bid", "a bid of 0 for 0", "no price", "no greeks", "no model tick", "no interest", "nothing"],
)
def test_when_it_is_quiet_the_quote_is_taken_as_it_is(
    ticks: Sequence[Frame], lacking: tuple[str, ...], ask: Ask
) -> None:
    began = time.monotonic()
    result = ask(at(0, *ticks), quote_timeout=60.0)
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert lacks(result.payload) == lacking
    assert QUIET <= time.monotonic() - began < 60.0
    assert not [value for name, value in result.payload.items() if value in (-1, -2)], "a placeholder is no number"


def test_the_quiet_time_is_a_setting(ask: Ask) -> None:
    began = time.monotonic()
    result = ask(at(0, *PRICES, *INTEREST), quote_quiet_time=QUIET + 1, quote_timeout=60.0)
    assert lacks(result.payload) == ("greeks",)
    assert QUIET + 1 <= time.monotonic() - began < 60.0


@pytest.mark.parametrize("ticks", [(price(9, 2.2),), (size(0, 11), size(3, 12))], ids=["close only", "sizes only"])
def test_without_a_price_a_quote_is_waited_for_until_its_timeout(ticks: Sequence[Frame], ask: Ask) -> None:
    began = time.monotonic()
    result = ask(at(0, *ticks), quote_timeout=QUIET + 1)
    assert time.monotonic() - began > QUIET + 1
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert lacks(result.payload) == ("bid and ask", "greeks", "open interest")


def test_without_a_tick_a_quote_times_out(ask: Ask) -> None:
    assert ask([], quote_timeout=0.5).outcome.kind is OutcomeKind.TIMEOUT


def test_a_placeholder_does_not_take_the_place_of_a_value(ask: Ask) -> None:
    result = ask(at(0, *PRICES, *GREEKS, *NOT_YET) + at(0.3, *INTEREST))
    assert lacks(result.payload) == ()
    assert (result.payload["bid"], result.payload["bid_size"], result.payload["delta"]) == (2.4, 11.0, 0.5)


def test_prices_that_go_on_changing_do_not_hold_a_quote_open(ask: Ask) -> None:
    stream = [
        frame for i in range(25) for frame in at(0.2 * i, price(1, 2.4 + i / 100, 11), price(2, 2.6 + i / 100, 12))
    ]
    began = time.monotonic()
    assert lacks(ask(stream).payload) == ("greeks", "open interest")
    assert time.monotonic() - began < 4.5


@pytest.mark.parametrize("tick", [27, 28])
@pytest.mark.parametrize("request_", [OPTION_QUOTE, PUT_QUOTE], ids=["call", "put"])
def test_open_interest_may_come_on_one_tick_alone(tick: int, request_: Request, ask: Ask) -> None:
    assert ask(at(0, *PRICES, *GREEKS, size(tick, 77)), request_).payload["open_interest"] == 77.0


def test_an_open_interest_is_not_replaced_by_a_placeholder_after_it(ask: Ask) -> None:
    assert ask(at(0, *PRICES, *INTEREST, size(27, 0)) + at(0.2, *GREEKS)).payload["open_interest"] == 77.0


def test_an_open_interest_of_0_is_kept_when_no_other_comes(ask: Ask) -> None:
    assert ask(at(0, *PRICES, *GREEKS, size(27, 0), size(28, 0))).payload["open_interest"] == 0.0


def test_the_deltas_of_a_put_may_be_minus_1(ask: Ask) -> None:
    result = ask(at(0, *PRICES, model(0.25, -1, 0.0, 0.0, -1), size(28, 78)), PUT_QUOTE)
    assert (result.payload["delta"], result.payload["theta"], result.payload["gamma"]) == (-1.0, -1.0, 0.0)


def test_the_last_price_of_a_stock_is_waited_for(ask: Ask) -> None:
    result = ask(
        at(0, price(1, 99.99, 3), price(2, 100.01, 2), price(4, -1)) + at(0.5, price(4, 100.0, 1)), STOCK_QUOTE
    )
    assert (result.payload["bid"], result.payload["ask"], result.payload["last"]) == (99.99, 100.01, 100.0)


AVAILABLE = "Requested market data is not subscribed. Delayed market data is available.AAA NASDAQ.NMS/TOP/ALL"
ADDITIONAL = (
    "Requested market data requires additional subscription for API. See link in 'Market Data Connections' dialog for"
    " more details.Delayed market data is available.AAA NASDAQ.NMS/TOP/ALL"
)
DISPLAYED = "Requested market data is not subscribed. Displaying delayed market data."
NOTICES = [
    (10089, ADDITIONAL),
    (354, AVAILABLE),
    (10167, DISPLAYED),
    (10168, "No está suscrito a los datos de mercado solicitados."),
]
DELAYED = (price(66, 99.9, 3), price(67, 100.1, 2), price(68, 100.0, 1))


@pytest.mark.parametrize(("code", "text"), NOTICES)
@pytest.mark.parametrize("delay", [0.05, 1.0, 3.0])
def test_delayed_ticks_that_follow_a_refusal_are_the_quote(code: int, text: str, delay: float, ask: Ask) -> None:
    placeholders = () if code == 10167 else (price(66, -1), price(67, -1))
    result = ask(at(0, refusal(code, text), *placeholders) + at(delay, *DELAYED), STOCK_QUOTE, market_data="delayed")
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert (result.payload["bid"], result.payload["ask"], result.payload["last"]) == (99.9, 100.1, 100.0)


@pytest.mark.parametrize(("code", "text"), NOTICES)
def test_silence_after_such_a_refusal_is_no_permission(code: int, text: str, ask: Ask) -> None:
    result = ask(at(0, refusal(code, text)), STOCK_QUOTE, market_data="delayed", quote_timeout=0.7)
    assert (result.outcome.kind, result.outcome.code, result.outcome.text) == (OutcomeKind.NOT_PERMITTED, code, text)


@pytest.mark.parametrize(
    ("code", "text", "market_data"),
    [
        (354, AVAILABLE, "live"),
        (10089, ADDITIONAL, "live"),
        (10168, "Requested market data is not subscribed. Delayed market data is not enabled.", "live"),
        (354, "Requested market data is not subscribed. Delayed market data is not available.AAA", "delayed"),
        (10186, "Requested market data is not subscribed. Delayed market data is not available.", "delayed"),
    ],
)
def test_a_refusal_ends_the_request_at_once_where_nothing_can_follow(
    code: int, text: str, market_data: str, ask: Ask
) -> None:
    began = time.monotonic()
    result = ask(at(0, refusal(code, text)), STOCK_QUOTE, market_data=market_data)
    assert (result.outcome.kind, result.outcome.code) == (OutcomeKind.NOT_PERMITTED, code)
    assert time.monotonic() - began < 4


def test_placeholders_and_unset_numbers_are_no_values() -> None:
    assert [
        computed(value) for value in (-1.0, -2.0, 1.7976931348623157e308, float("nan"), float("inf"), 0.0, 2.5)
    ] == [None] * 5 + [0.0, 2.5]
    assert [computed(value, -2.0) for value in (-2.0, -1.0, -0.5)] == [None, -1.0, -0.5]
