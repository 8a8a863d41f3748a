"""A stream of quotes: the ticks of one market-data subscription as updates of the contract's whole quote.

One update a message that changed something. A message that repeats what is known (the size that TWS sends once with its
price and once alone) is no update. Placeholders are null, as in `broker.quotes`.

What a subscription has not brought is not known: a new one, and a new session, begin with nulls. A value that comes
again as it was is no update; one that does not come again is null in the next update, which is made after
`image_seconds` where no other one comes before.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from trading_assets.broker.contact import DELAYED_NOTICE
from trading_assets.broker.numbers import number
from trading_assets.broker.quotes import DELAYED_TYPES, computed
from trading_assets.streaming.context import Context
from trading_assets.streaming.health import StreamState
from trading_assets.streaming.stream import Stream
from trading_assets.streaming.subjects import INDEX, Subject
from trading_assets.streaming.updates import QuoteUpdate

_AT = {name: place for place, name in enumerate(QuoteUpdate._fields)}
_SESSION, _RECEIVED, _SEQ = _AT["session"], _AT["received_at"], _AT["seq"]
_HALTED, _TYPE, _LAST_TRADE_AT = _AT["halted"], _AT["market_data_type"], _AT["last_trade_at"]
_BID, _LAST = _AT["bid"], _AT["last"]
_OPEN_INTEREST = _AT["open_interest"]

_PRICES = {1: _BID, 2: _AT["ask"], 4: _LAST}
_PRICE_SIZES = {1: _AT["bid_size"], 2: _AT["ask_size"], 4: _AT["last_size"]}
_SIZES = {0: _AT["bid_size"], 3: _AT["ask_size"], 5: _AT["last_size"], 8: _AT["volume"]}
_OPEN_INTEREST_TICKS = {27: "C", 28: "P"}
_DELAYED_PRICES = {66: 1, 67: 2, 68: 4}
_DELAYED_SIZES = {69: 0, 70: 3, 71: 5, 74: 8}
_DELAYED_TICKS = frozenset((*range(66, 77), *range(80, 84), 88))
_LAST_TIMESTAMP, _DELAYED_LAST_TIMESTAMP = 45, 88
_SECONDS_DIGITS = 10
_HALTED_TICK = 49
_MODEL, _DELAYED_MODEL = 13, 83

_GREEKS = slice(_AT["broker_implied_volatility"], _AT["underlying_price"] + 1)
_GREEKS_AT = _AT["greeks_at"]

_SETTLE_SECONDS = 0.5
"""After the begin of a session, until quotes are asked for again: where the machine was suspended over night, that is
seen first."""

_FIXED = ("session", "con_id", "received_at", "seq", "symbol", "market_data_type", "stream_id")
_MARKET = tuple(place for name, place in _AT.items() if name not in _FIXED)
"""What is the market's: known once it was received."""


class Quotes(Stream):
    """The stream of one contract's quote; a `broker.streams.QuoteStream`."""

    def __init__(self, subject: Subject, stream_id: str, context: Context) -> None:
        super().__init__(subject, stream_id, context)
        self._values: list[Any] = [None] * len(QuoteUpdate._fields)
        self._values[_AT["con_id"]] = self.con_id
        self._values[_AT["symbol"]] = subject.symbol
        self._values[_AT["stream_id"]] = stream_id
        self._told: list[Any] | None = None
        """The quote of the last update, while what is known is another one: since it was forgotten."""
        self._forgotten_at = -math.inf

    @property
    def price_now(self) -> float | None:
        """The middle of bid and ask, of an index its last value; None where it is not seen now."""
        if self.state not in (StreamState.LIVE, StreamState.DELAYED):
            return None
        bid, ask, last = (self._values[place] for place in _PRICES.values())
        if self.subject.instrument.sec_type == INDEX:
            return float(last) if last else None
        return 0.5 * (bid + ask) if bid and ask and bid <= ask else None

    @property
    def halted(self) -> bool:
        """Whether the exchange has halted the contract."""
        return bool(self._values[_HALTED])

    # ticks

    def price(self, tick_type: int, price: float, size: float) -> None:
        """A price with its size."""
        place = _PRICES.get(tick_type)
        if place is None:
            if tick_type not in _DELAYED_TICKS or self._refuses_delayed():
                return
            tick_type = _DELAYED_PRICES.get(tick_type, 0)
            place = _PRICES.get(tick_type)
            if place is None:
                return
        self._heard()
        values = self._values
        # only a bid can be worth nothing
        value = number(price) if price > 0 or (price == 0 and place == _BID and size > 0) else None
        beside = _PRICE_SIZES[tick_type]
        amount = computed(size) if size == size else values[beside]
        if value != values[place] or amount != values[beside]:
            values[place], values[beside] = value, amount
            self._changed(place, beside)

    def size(self, tick_type: int, size: float) -> None:
        """A size alone, the volume, or the open interest: of an option on the tick of its right alone."""
        if (right := _OPEN_INTEREST_TICKS.get(tick_type)) is not None:
            self._heard()
            if right == self.subject.instrument.right and computed(size):
                self._set(_OPEN_INTEREST, size)
            return
        place = _SIZES.get(tick_type)
        if place is None:
            if tick_type not in _DELAYED_TICKS or self._refuses_delayed():
                return
            place = _SIZES.get(_DELAYED_SIZES.get(tick_type, -1))
            if place is None:
                return
        self._heard()
        self._set(place, computed(size))

    def generic(self, tick_type: int, value: float) -> None:
        """Whether the contract is halted."""
        if tick_type == _HALTED_TICK:
            self._heard()
            known = computed(value)
            self._set(_HALTED, None if known is None else int(known))

    def text(self, tick_type: int, value: str) -> None:
        """When the last trade happened, epoch seconds."""
        if tick_type == _DELAYED_LAST_TIMESTAMP:
            if self._refuses_delayed():
                return
        elif tick_type != _LAST_TIMESTAMP:
            return
        if not value.isdecimal() or len(value) > _SECONDS_DIGITS:
            self.unreadable(f"the time of the last trade is {value[:40]!r}")
            return
        self._heard()
        traded_at = datetime.fromtimestamp(int(value), UTC) if int(value) else None
        if traded_at is not None and self._context.replay is not None:
            self._context.replay.has_passed(traded_at)
        if self._values[_LAST] is None:
            self._values[_LAST_TRADE_AT] = traded_at  # of a trade whose price is not known (yet)
        else:
            self._set(_LAST_TRADE_AT, traded_at)

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
        """The broker's model."""
        if tick_type == _DELAYED_MODEL:
            if self._refuses_delayed():
                return
        elif tick_type in _DELAYED_TICKS:
            self._refuses_delayed()
            return
        elif tick_type != _MODEL:
            return
        self._heard()
        volatility = computed(implied_volatility)
        # delta and theta may be -1 in earnest, but not where not even a volatility was computed
        absent = (-2.0,) if volatility else (-2.0, -1.0)
        model = [
            volatility,
            computed(delta, *absent),
            computed(gamma),
            computed(vega),
            computed(theta, *absent),
            computed(price),
            computed(underlying) or None,
        ]
        values = self._values
        if model != values[_GREEKS]:
            values[_GREEKS] = model
            values[_GREEKS_AT] = self._clock()
            self._changed(*range(*_GREEKS.indices(len(values))))

    def market_data_type(self, kind: int) -> None:
        """The broker says what kind of data follows."""
        if kind in DELAYED_TYPES and self._refuses_delayed():
            return
        self.data_type = kind
        if not self._unsettled:
            self._settle()

    # what they become

    def _heard(self) -> None:
        self.heard_at = self._time()
        if self._days.session(now := self._clock()) != self._session:
            self.begin_session(self._days.begins(now))
        if self._unsettled:
            self._settle()

    def _set(self, place: int, value: Any) -> None:
        if value != self._values[place]:
            self._values[place] = value
            self._changed(place)

    def begin_session(self, at: datetime) -> None:
        """As of every stream; asked for again, since TWS repeats nothing by itself."""
        before = self._session
        super().begin_session(at)
        if self._session != before and self.req_id is not None and self.due == math.inf:
            self.ask_again(self._time() + _SETTLE_SECONDS)

    def _forget(self) -> None:
        if self._told is None:
            self._told = self._values.copy()
        self._forgotten_at = self._time()
        for place in _MARKET:
            self._values[place] = None

    def look_for_lapsed(self) -> None:
        """Once a subscription has brought what it brings: an update where something did not come again."""
        told, image = self._told, self._context.image_seconds
        if told is None or self._unsettled or self._time() < max(self._forgotten_at, self.asked_at) + image:
            return
        if any(self._values[place] != told[place] for place in _MARKET if place != _GREEKS_AT):
            self._update()
        self._told = None

    def _changed(self, *places: int) -> None:
        """Something was received that was not known. It is no update where the last one had it already."""
        told = self._told
        if told is None or any(self._values[place] != told[place] for place in places):
            self._told = None
            self._update()

    def _update(self) -> None:
        values, outlet = self._values, self._outlet
        now = self._clock()
        outlet.seq += 1
        values[_SESSION], values[_RECEIVED], values[_SEQ], values[_TYPE] = (
            self._days.session(now), now, outlet.seq, self.data_type,
        )  # fmt: skip
        self.last_update = now
        self.updates += 1
        self._quiet = 0
        update = QuoteUpdate._make(values)
        outlet.quote(update if update.last is not None else update._replace(last_trade_at=None))

    def _refuses_delayed(self) -> bool:
        """Delayed values never enter a lake of live data: the first one ends the stream."""
        if self._context.allow_delayed:
            return False
        self._not_permitted(DELAYED_NOTICE, "The broker gives delayed data only, and this lake holds live data.")
        return True
