"""One moment's quote out of a stream of ticks: which ticks fill which field, and when the quote is complete.

Tick ids: IBKR "Tick Types". A subscription, not a snapshot: open interest (generic tick 101) is refused together with
a snapshot (error 321). It ends as soon as everything that can be expected has come, when it has become quiet, or at its
timeout with what came.
"""

from __future__ import annotations

from typing import Any

from trading_assets.broker.codes import OutcomeKind, lookup
from trading_assets.broker.collectors import COMPLETE, Collector, number
from trading_assets.broker.outcomes import Outcome
from trading_assets.broker.payloads import QuoteRecord
from trading_assets.broker.requests import Request
from trading_assets.sessions import Clock

_PRICES = {1: "bid", 2: "ask", 4: "last", 9: "close", 66: "bid", 67: "ask", 68: "last", 75: "close"}
_SIZE_OF_PRICE = {"bid": "bid_size", "ask": "ask_size", "last": "last_size"}
_SIZES = {0: "bid_size", 3: "ask_size", 5: "last_size", 8: "volume", 69: "bid_size", 70: "ask_size", 71: "last_size", 74: "volume"}
_OPEN_INTEREST = {27: "C", 28: "P"}
_MODEL = (13, 83)
_IMPLIED_VOLATILITY = 24
_OPEN_INTEREST_TICK = "101"

SETTLE = 2.0
"""Seconds without a new tick after which a quote that has its prices is taken as it is: far options never get greeks."""

GATHER = 0.05
"""Seconds to take along what comes in the same breath as the last awaited tick (close, volume)."""

_DONE = {"nothing more is awaited"}

_CHECK_INTERVAL = 0.1
"""Seconds between two looks whether a quote has become quiet."""

DELAYED_TYPES = (3, 4)
"""`marketDataType` of delayed and delayed-frozen data."""

_DELAYED_TICKS = frozenset((*range(66, 77), *range(80, 84), 88))
"""Ticks that carry delayed values."""


class QuoteCollector(Collector):
    """The ticks of one market-data subscription. `allow_delayed` is false for a lake of live data."""

    def __init__(self, request: Request, timeout: float, clock: Clock, *, generic_ticks: str, allow_delayed: bool) -> None:
        super().__init__(request, timeout, clock)
        self._allow_delayed = allow_delayed
        self._fields: dict[str, float | None] = {}
        self._market_data_type = 1
        self._told_type = 0
        self._began = self._loop.time()
        self._settles = False
        is_option = request.instrument.sec_type == "OPT"
        self._wanted = {"bid", "ask"} if is_option else {"last"} if request.instrument.sec_type == "IND" else {"bid", "ask", "last"}
        if is_option:
            self._wanted.add("model")
            if _OPEN_INTEREST_TICK in generic_ticks.split(","):
                self._wanted.add("open_interest")

    def price(self, tick_type: int, price: float, size: float) -> None:
        name = _PRICES.get(tick_type)
        if name is None or self._is_unwanted(tick_type):
            return
        absent = price < 0 or (price == 0 and name != "bid")  # -1: no such price; only a bid can be worth nothing
        self._fields[name] = None if absent else number(price)
        if name in _SIZE_OF_PRICE:
            self._fields[_SIZE_OF_PRICE[name]] = number(size)
        self._ticked()

    def size(self, tick_type: int, size: float) -> None:
        side = _OPEN_INTEREST.get(tick_type)
        if side is not None:
            if side == self.request.instrument.right:  # the other side of a single option is always 0
                self._fields["open_interest"] = number(size)
                self._ticked()
        elif tick_type in _SIZES and not self._is_unwanted(tick_type):
            self._fields[_SIZES[tick_type]] = number(size)
            self._ticked()

    def generic(self, tick_type: int, value: float) -> None:
        if tick_type == _IMPLIED_VOLATILITY:
            self._fields.setdefault("implied_volatility", number(value))
            self._ticked()

    def greeks(
        self, tick_type: int, implied_volatility: float, delta: float, price: float, gamma: float, vega: float, theta: float, underlying: float
    ) -> None:
        if tick_type not in _MODEL or self._is_unwanted(tick_type):
            return
        positive = {"implied_volatility": implied_volatility, "model_price": price, "underlying_price": underlying}
        signed = {"delta": delta, "gamma": gamma, "vega": vega, "theta": theta}
        self._fields.update({name: computed(value, -1.0) for name, value in positive.items()})
        self._fields.update({name: computed(value, -2.0) for name, value in signed.items()})
        self._fields["model"] = 1.0
        self._ticked()

    def market_data_type(self, kind: int) -> None:
        self.touch()
        self._market_data_type = self._told_type = kind
        if kind in DELAYED_TYPES and not self._allow_delayed:
            self._refuse_delayed()

    def market_data_told(self) -> tuple[int, frozenset[int]]:
        """The market data type (0 while none was told) and the codes that the broker sent with this quote."""
        ended = self.answer.result()[0].code if self.answer.done() else None
        codes = frozenset(code for code, _ in self.warnings) | ({ended} if ended is not None else frozenset())
        return self._told_type, codes

    def _is_unwanted(self, tick_type: int) -> bool:
        """Delayed values never enter a lake of live data: the first one ends the request."""
        if tick_type not in _DELAYED_TICKS or self._allow_delayed:
            return False
        self._refuse_delayed()
        return True

    def _refuse_delayed(self) -> None:
        self.end(Outcome(OutcomeKind.NOT_PERMITTED, 10167, "The broker gives delayed data only, and this lake holds live data."))

    def snapshot_end(self) -> None:
        """The broker says that nothing more comes. Without a tick before it, what came got lost: the timeout says so."""
        if self._settles:
            self._deliver()

    def _ticked(self) -> None:
        self.touch()
        if all(name in self._fields for name in self._wanted):
            self._wanted = _DONE
            self._loop.call_later(GATHER, self._deliver)
        elif not self._settles:
            self._settles = True
            self._loop.call_later(_CHECK_INTERVAL, self._look)

    def _look(self) -> None:
        if self.answer.done():
            return
        prices = {"bid", "ask"} <= self._fields.keys() or "last" in self._fields
        if prices and self._loop.time() - self.touched >= SETTLE:
            self._deliver()
        else:
            self._loop.call_later(_CHECK_INTERVAL, self._look)

    def _check(self) -> None:
        """At the timeout: what came is the quote. Nothing at all is a refusal if a warning said so, else a timeout, never "no data"."""
        due = self._began + self.timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check)
        elif self._fields:
            self._deliver()
        else:
            refused = [(code, text) for code, text in self.warnings if _refuses(code, text)]
            if refused:
                self.end(Outcome(OutcomeKind.NOT_PERMITTED, *refused[-1]))
            else:
                self.give_up(Outcome(OutcomeKind.TIMEOUT, None, f"No tick within {self.timeout:g} s."))

    def _deliver(self) -> None:
        get = self._fields.get
        names = QuoteRecord.__annotations__.keys() - {"market_data_type", "time"}
        record: dict[str, Any] = {name: get(name) for name in sorted(names)}
        self.end(COMPLETE, {**record, "market_data_type": self._market_data_type, "time": self.clock().timestamp()})


def _refuses(code: int, text: str) -> bool:
    row = lookup(code, text)
    return row is not None and row.kind is OutcomeKind.NOT_PERMITTED


def computed(value: float | None, absent: float) -> float | None:
    """A value of an option computation, None where the broker writes `absent` for "not computed"."""
    return None if value == absent else number(value)
