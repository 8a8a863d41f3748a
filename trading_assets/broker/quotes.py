"""One moment's quote out of a stream of ticks: which ticks fill which field, and when the quote is complete.

Tick ids: IBKR "Tick Types". A subscription, not a snapshot: open interest (generic tick 101) is refused together with a
snapshot (error 321). It ends as soon as every awaited field has a value, when it has become quiet, or at its timeout
with what came.

A tick is not yet a value. The first ticks of a contract often hold placeholders: price -1, size 0, volatility or delta
-1 or -2. They mean "not yet" as often as "none": the value may come some 0.4 s later. So a placeholder keeps the quote
open until it is quiet, and never takes the place of a value.
"""

from __future__ import annotations

from typing import Any

from trading_assets.broker.codes import OutcomeKind, delayed_may_follow, lookup
from trading_assets.broker.collectors import COMPLETE, Collector
from trading_assets.broker.contact import DELAYED_NOTICE
from trading_assets.broker.numbers import number
from trading_assets.broker.outcomes import Outcome
from trading_assets.broker.payloads import QuoteRecord
from trading_assets.broker.requests import DIVIDENDS_TICK, Request
from trading_assets.sessions import Clock

_PRICES = {1: "bid", 2: "ask", 4: "last", 9: "close", 66: "bid", 67: "ask", 68: "last", 75: "close"}
_SIZE_OF_PRICE = {"bid": "bid_size", "ask": "ask_size", "last": "last_size"}
_SIZES = {
    0: "bid_size",
    3: "ask_size",
    5: "last_size",
    8: "volume",
    69: "bid_size",
    70: "ask_size",
    71: "last_size",
    74: "volume",
}
_KEPT_OVER_ZERO = frozenset((*_SIZE_OF_PRICE.values(), "open_interest"))
"""Fields whose 0 may be a placeholder: it never takes the place of a value."""

_OPEN_INTEREST = {27: "C", 28: "P"}
_MODEL = (13, 83)
_IMPLIED_VOLATILITY = 24
OPEN_INTEREST_TICK = "101"
"""Generic tick that asks for the open interest of an option."""

_DIVIDENDS = 59
"""Tick type of the text that `DIVIDENDS_TICK` brings: past twelve months, next twelve months, next ex-date, next
amount."""

GREEKS = frozenset({"implied_volatility", "delta", "gamma", "vega", "theta"})
"""What the broker's model computes of an option."""

GATHER = 0.05
"""Seconds to take along what comes in the same breath as the last awaited tick (close, volume)."""

_CHECK_INTERVAL = 0.1
"""Seconds between two looks whether a quote has become quiet."""

DELAYED_TYPES = (3, 4)
"""`marketDataType` of delayed and delayed-frozen data."""

_DELAYED_TICKS = frozenset((*range(66, 77), *range(80, 84), 88))
"""Ticks that carry delayed values."""


class QuoteCollector(Collector):
    """The ticks of one market-data subscription. `allow_delayed` is false for a lake of live data.

    After `quiet_time` seconds without news of an awaited field a quote whose prices were reported is taken as it is:
    far options never get greeks, and nobody may bid.
    """

    def __init__(
        self,
        request: Request,
        timeout: float,
        clock: Clock,
        in_reset_window: bool = False,
        *,
        generic_ticks: str,
        allow_delayed: bool,
        quiet_time: float,
    ) -> None:
        super().__init__(request, timeout, clock, in_reset_window)
        self._quiet_time = quiet_time
        self._allow_delayed = allow_delayed
        self._values: dict[str, float | str] = {}
        self._reported: set[str] = set()
        """Fields of which a tick came, be it a placeholder."""
        self._news = self._loop.time()
        """When a field was last reported, or got its value, for the first time."""
        self._market_data_type = 1
        self._reported_type = 0
        self._began = self._loop.time()
        self._settles = False
        self._gathers = False
        is_option = request.instrument.sec_type == "OPT"
        self._wanted = (
            {"bid", "ask"}
            if is_option
            else {"last"}
            if request.instrument.sec_type == "IND"
            else {"bid", "ask", "last"}
        )
        if is_option:
            self._wanted |= GREEKS
            if OPEN_INTEREST_TICK in generic_ticks.split(","):
                self._wanted.add("open_interest")
        elif DIVIDENDS_TICK in generic_ticks.split(","):
            self._wanted.add("dividends")

    def error(self, code: int, text: str) -> None:
        if self._allow_delayed and delayed_may_follow(code, text):
            self.warnings.append((code, text))  # only when no tick follows is it a refusal
        else:
            super().error(code, text)

    def price(self, tick_type: int, price: float, size: float) -> None:
        name = _PRICES.get(tick_type)
        if name is None or self._is_unwanted(tick_type):
            return
        if name in _SIZE_OF_PRICE:
            self._take(_SIZE_OF_PRICE[name], computed(size))
        real = price > 0 or (price == 0 and name == "bid" and size > 0)  # only a bid can be worth nothing
        self._take(name, number(price) if real else None)
        self._ticked()

    def size(self, tick_type: int, size: float) -> None:
        side = _OPEN_INTEREST.get(tick_type)
        if side is not None:
            # The other side of a single option is 0: a number there is this contract's, sent on one tick alone.
            if side == self.request.instrument.right or size > 0:
                self._take("open_interest", computed(size))
                self._ticked()
        elif tick_type in _SIZES and not self._is_unwanted(tick_type):
            self._take(_SIZES[tick_type], computed(size))
            self._ticked()

    def generic(self, tick_type: int, value: float) -> None:
        if tick_type == _IMPLIED_VOLATILITY and "implied_volatility" not in self._values:
            self._take("implied_volatility", computed(value))
            self._ticked()

    def text(self, tick_type: int, value: str) -> None:
        if tick_type == _DIVIDENDS:
            self._take("dividends", value)
            self._ticked()

    def greeks(
        self,
        tick_type: int,
        implied_volatility: float,
        delta: float,
        price: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying: float,
    ) -> None:
        if tick_type not in _MODEL or self._is_unwanted(tick_type):
            return
        volatility = computed(implied_volatility)
        model = {
            "implied_volatility": volatility,
            "model_price": computed(price),
            "underlying_price": computed(underlying) or None,
        }
        # Delta and theta may be -1 in earnest, but not where not even a volatility was computed.
        model |= {
            name: computed(value, -2.0, *(() if volatility else (-1.0,)))
            for name, value in {"delta": delta, "theta": theta}.items()
        }
        model |= {"gamma": computed(gamma), "vega": computed(vega)}
        for name, value in model.items():
            self._take(name, value)
        self._ticked()

    def market_data_type(self, kind: int) -> None:
        self.touch()
        self._market_data_type = self._reported_type = kind
        if kind in DELAYED_TYPES and not self._allow_delayed:
            self._refuse_delayed()

    def reported_market_data(self) -> tuple[int, frozenset[int]]:
        """The market data type (0 while none was reported) and the codes that the broker sent with this quote."""
        ended = self.answer.result()[0].code if self.answer.done() else None
        codes = frozenset(code for code, _ in self.warnings) | ({ended} if ended is not None else frozenset())
        return self._reported_type, codes

    def _is_unwanted(self, tick_type: int) -> bool:
        """Delayed values never enter a lake of live data: the first one ends the request."""
        if tick_type not in _DELAYED_TICKS or self._allow_delayed:
            return False
        self._refuse_delayed()
        return True

    def _refuse_delayed(self) -> None:
        self.end(
            Outcome(
                OutcomeKind.NOT_PERMITTED, 10167, "The broker gives delayed data only, and this lake holds live data."
            )
        )

    def snapshot_end(self) -> None:
        """The broker says that nothing more comes. Without a tick before it, what came got lost: the timeout says
        so."""
        if self._settles:
            self._deliver()

    def _take(self, name: str, value: float | str | None) -> None:
        """Note that a field was reported, and its value unless it is a placeholder; a 0 that may be one never takes the
        place of a value."""
        known = self._values.get(name)
        if name not in self._reported or (known is None and value is not None):
            self._news = self._loop.time()
        self._reported.add(name)
        if value is not None and not (value == 0 and known is not None and name in _KEPT_OVER_ZERO):
            self._values[name] = value

    def _ticked(self) -> None:
        self.touch()
        if not self._gathers and all(self._has(name) for name in self._wanted):
            self._gathers = True
            self._loop.call_later(GATHER, self._deliver)
        elif not self._settles:
            self._settles = True
            self._loop.call_later(_CHECK_INTERVAL, self._look)

    def _has(self, name: str) -> bool:
        """Whether a field's value is there. An open interest of 0 may be a placeholder: it counts when the quote is
        quiet."""
        return bool(self._values.get(name)) if name == "open_interest" else name in self._values

    def _look(self) -> None:
        if self.answer.done():
            return
        priced = {"bid", "ask"} <= self._reported or "last" in self._reported
        refused = self._refusal() is not None  # delayed values may follow until the timeout
        if priced and not refused and self._loop.time() - self._news >= self._quiet_time:
            self._deliver()
        else:
            self._loop.call_later(_CHECK_INTERVAL, self._look)

    def _refusal(self) -> tuple[int, str] | None:
        """The last warning that says why there is no value; None when there is one. That delayed data is displayed does
        not say it where delayed data is wanted and ticks came."""
        if any(value for name, value in self._values.items() if name != "dividends"):  # a size of 0 is none
            return None
        displayed = DELAYED_NOTICE if self._allow_delayed and self._reported else None
        return next(
            (warning for warning in reversed(self.warnings) if _refuses(*warning) and warning[0] != displayed), None
        )

    def _check(self) -> None:
        """At the timeout: what came is the quote. Nothing at all is a refusal if a warning said so, else a timeout,
        never "no data"."""
        due = self._began + self.timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check)
        elif (refusal := self._refusal()) is not None:
            self.end(Outcome(OutcomeKind.NOT_PERMITTED, *refusal))
        elif self._reported:
            self._deliver()
        else:
            self.give_up(Outcome(OutcomeKind.TIMEOUT, None, f"No tick within {self.timeout:g} s."))

    def _deliver(self) -> None:
        get = self._values.get
        names = QuoteRecord.__annotations__.keys() - {"market_data_type", "time"}
        record: dict[str, Any] = {name: get(name) for name in sorted(names)}
        self.end(COMPLETE, {**record, "market_data_type": self._market_data_type, "time": self.clock().timestamp()})


def _refuses(code: int, text: str) -> bool:
    row = lookup(code, text)
    return row is not None and row.kind is OutcomeKind.NOT_PERMITTED


def computed(value: float, *placeholders: float) -> float | None:
    """A value that a tick carries; None for the broker's "not computed" and "unset".

    `placeholders` are those of a value that may be negative; without them every negative number is one.
    """
    absent = value in placeholders if placeholders else value < 0
    return None if absent else number(value)
