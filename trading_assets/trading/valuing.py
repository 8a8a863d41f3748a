"""Marks and greeks of positions.

The mark of a position is the newest fresh quote of the recorder (`live`), else the newest chain's (`chain`), else the
last daily close (`close`); a close of a later session than the chain's counts before it. Volatility and greeks belong
to the mark: they are those at its instant, with the underlying's price of that time. Options are valued a whole expiry
at a time, as in `option_greeks` (docs/pricing.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import chain
from typing import Any

import pyarrow as pa

from trading_assets.collecting.greeks import BAR, CHAIN, GreeksMaker, ValuedExpiry
from trading_assets.pricing.exercise import ExerciseStyle, settlement
from trading_assets.pricing.valuation import NullReason
from trading_assets.repositories.lake import Lake
from trading_assets.sessions import SessionCalendar
from trading_assets.settings import Settings
from trading_assets.trading.inputs import stored_expiries, stored_prices
from trading_assets.trading.live_quotes import LiveQuotes
from trading_assets.trading.positions import Position

GREEKS = ("delta", "gamma", "vega", "theta", "rho")


class MarkSource(StrEnum):
    """Where a mark comes from."""

    LIVE = "live"
    CHAIN = "chain"
    CLOSE = "close"


NO_MARK = "no_mark"
"""Null reason: neither a fresh live quote nor a stored chain or close of the contract."""
NO_MODEL = "no_model"
"""Null reason: what is neither a share nor an option on one or on an index is listed and not valued."""

_SOURCES = {CHAIN: MarkSource.CHAIN, BAR: MarkSource.CLOSE}


@dataclass(frozen=True, slots=True)
class Pricing:
    """What the model takes beside spot and volatility, at the instant of the mark. `scale`: shares delivered for a unit
    of the price (of adjusted classes not 1); the schedule is that of what is delivered."""

    style: ExerciseStyle
    years: float
    rate: float
    dividend_yield: float
    schedule: tuple[tuple[float, float], ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class PositionGreeks:
    """The value of one unit (share) of a position and how it moves; NaN where it is not known, with `null_reason`.

    `implied_volatility` per 1.00; `delta` and `gamma` per dollar of the underlying, `vega` per volatility point,
    `theta` per calendar day, `rho` per rate point, all a share: times multiplier and quantity they are those of the
    position. `mark` and `underlying_price` in dollars, `source` says where the mark is from (None: there is none),
    `at` (UTC) when it was, `age` how many seconds ago. `null_reason` is one of docs/pricing.md, `no_mark` or
    `no_model`.
    """

    position: Position
    mark: float = math.nan
    source: MarkSource | None = None
    at: datetime | None = None
    age: float = math.nan
    underlying_price: float = math.nan
    implied_volatility: float = math.nan
    delta: float = math.nan
    gamma: float = math.nan
    vega: float = math.nan
    theta: float = math.nan
    rho: float = math.nan
    model: str | None = None
    null_reason: str | None = None
    pricing: Pricing | None = field(default=None, repr=False)

    @property
    def units(self) -> float:
        """Shares (or units) that the position is of: quantity times multiplier."""
        return self.position.quantity * self.position.multiplier

    @property
    def unrealized_pnl(self) -> float:
        """Value at the mark less cost, dollars."""
        cost = self.position.average_cost
        return math.nan if cost is None else self.position.quantity * (self.mark * self.position.multiplier - cost)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record; null where it is not known."""
        numbers = ("mark", "age", "underlying_price", "implied_volatility", *GREEKS, "unrealized_pnl")
        return {
            **self.position.as_dict(),
            **{name: _known(getattr(self, name)) for name in numbers},
            "source": None if self.source is None else str(self.source),
            "mark_at": self.at.isoformat() if self.at else None,
            "model": self.model,
            "null_reason": self.null_reason,
        }


@dataclass(frozen=True)
class Valuer:
    """Values positions with the settings, from the lake and the recorder's quotes."""

    settings: Settings
    calendar: SessionCalendar

    def value(self, positions: Sequence[Position], now: datetime) -> list[PositionGreeks]:
        """The greeks of each position at `now` (UTC), in their order. Nothing is asked of a broker."""
        lake = Lake.of(self.settings, now)
        options = sorted({position.con_id for position in positions if position.is_option})
        stocks = sorted({position.con_id for position in positions if position.is_stock})
        found: dict[int, list[_Mark]] = {}
        today = self.calendar.current(now)
        live = LiveQuotes.of(self.settings, self.calendar, {one.symbol for one in positions}, now)
        if options:
            found |= self._options(lake, options, today, live)
        if stocks:
            found |= self._stocks(lake, stocks, today, live)
        return [self._of(position, found.get(position.con_id, []), now) for position in positions]

    def _options(self, lake: Lake, con_ids: Sequence[int], today: date, live: LiveQuotes) -> dict[int, list[_Mark]]:
        maker = GreeksMaker(self.calendar, self.settings.rate, self.settings.dividends)
        found: dict[int, list[_Mark]] = {}
        stored = _marks(maker, stored_expiries(lake, con_ids, today), set(con_ids), _SOURCES)
        fresh = _marks(maker, live.options(lake), set(con_ids), {CHAIN: MarkSource.LIVE})
        for con_id, mark in chain(fresh, stored):
            found.setdefault(con_id, []).append(mark)
        return found

    def _stocks(self, lake: Lake, con_ids: Sequence[int], today: date, live: LiveQuotes) -> dict[int, list[_Mark]]:
        found: dict[int, list[_Mark]] = {}
        for con_id in con_ids:
            if (now := live.price(con_id)) is not None:
                price, at = now
                found[con_id] = [_Mark(MarkSource.LIVE, live.session, at, price, {"underlying_price": price})]
        for row in stored_prices(lake, con_ids, today).to_pylist():
            at = row["at"] or self.calendar.closes_at(row["session"])
            source = _SOURCES[row["source"]]
            mark = _Mark(source, row["session"], at.astimezone(UTC), row["price"], {"underlying_price": row["price"]})
            found.setdefault(row["con_id"], []).append(mark)
        return found

    def _of(self, position: Position, marks: Sequence[_Mark], now: datetime) -> PositionGreeks:
        still: dict[str, Any] = dict.fromkeys(GREEKS, 0.0) | {"delta": 1.0} if position.is_stock else {}
        if not (position.is_stock or position.is_option):
            return PositionGreeks(position, null_reason=NO_MODEL)
        usable = [mark for mark in marks if mark.price > 0]
        if not usable:
            reason = next((mark.values["null_reason"] for mark in marks), NO_MARK)
            return PositionGreeks(position, null_reason=reason, **still)
        mark = max(usable, key=_preference)
        values = mark.values | still
        if position.is_option and self._settled(position, now):
            values = {"underlying_price": mark.values["underlying_price"], "null_reason": NullReason.EXPIRED.value}
        age = max((now - mark.at).total_seconds(), 0.0)
        return PositionGreeks(position, mark=mark.price, source=mark.source, at=mark.at, age=age, **values)

    def _settled(self, position: Position, now: datetime) -> bool:
        """Whether an option's value is fixed by now."""
        return settled_at(position, self.calendar) <= now


def settled_at(position: Position, calendar: SessionCalendar) -> datetime:
    """When the value of an option position is fixed (UTC)."""
    assert position.expiry is not None
    try:
        last_trade = date.fromisoformat(position.last_trade[:8])
    except ValueError:  # none is given, or no day
        last_trade = None
    return settlement(position.symbol, position.trading_class, position.expiry, calendar, last_trade=last_trade)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One candidate: a price with what follows from it (fields of `PositionGreeks`)."""

    source: MarkSource
    session: date
    at: datetime
    price: float
    values: dict[str, Any]


def _preference(mark: _Mark) -> tuple[bool, date, bool, datetime]:
    """Of several marks the one with the largest counts."""
    return mark.source is MarkSource.LIVE, mark.session, mark.source is not MarkSource.CLOSE, mark.at


def _marks(
    maker: GreeksMaker, given: pa.Table, wanted: set[int], sources: Mapping[str, MarkSource]
) -> Iterator[tuple[int, _Mark]]:
    """The marks of the wanted contracts among rows that `GreeksMaker` takes, by their `source`."""
    rows = given.select(["con_id", "session", "source", "at"]).to_pylist()
    for expiry in maker.valued(given):
        for place in range(expiry.begin, expiry.end):
            row = rows[place]
            if row["con_id"] in wanted:
                at = row["at"] or maker.calendar.closes_at(row["session"])
                price, values = _unit(expiry, place - expiry.begin)
                yield row["con_id"], _Mark(sources[row["source"]], row["session"], at.astimezone(UTC), price, values)


def _unit(expiry: ValuedExpiry, place: int) -> tuple[float, dict[str, Any]]:
    """Price and greeks of one contract of a valued expiry."""
    found = expiry.found
    reason = found.null_reason[place]
    values: dict[str, Any] = {name: float(getattr(found.greeks, name)[place]) for name in GREEKS}
    values["implied_volatility"] = float(found.implied_volatility[place])
    values["underlying_price"] = math.nan if expiry.spot is None else expiry.spot
    values["model"] = found.model.value
    values["null_reason"] = None if reason is None else str(reason)
    if found.forward is not None:
        forward = found.forward
        values["pricing"] = Pricing(
            expiry.style, expiry.years, forward.rate, forward.dividend_yield, tuple(expiry.schedule), expiry.scale
        )
        if expiry.spot is None:  # the spot that the greeks belong to
            values["underlying_price"] = forward.forward * forward.discount / expiry.scale
    return float(found.price[place]), values


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
