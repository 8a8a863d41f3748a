"""From stored quotes and closes of options to rows of `option_greeks`: one valuation an expiry, session and source.

Here belong the choice of the instant, of the underlying's price and of the dividends of an expiry. What does not belong
here: formulas (`pricing`), and which rows are read (`steps.option_greeks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from trading_assets.instrument import PARITY_PAIRS, PRICE_JUMP
from trading_assets.pricing.dividends import ExpectedDividends, expected_dividends
from trading_assets.pricing.exercise import LATE_CLOSE, ExerciseStyle, exercise_style, settlement, years_until
from trading_assets.pricing.valuation import NullReason, Valuation, middle, value_prices, without_value
from trading_assets.repositories.schemas import OPTION_GREEKS
from trading_assets.sessions import SessionCalendar

CHAIN, BAR = "chain", "bar"
"""The sources of prices: quotes of chains, `1 day` bars."""

TOGETHER = timedelta(minutes=15)
"""A quote that came earlier than this before the last one of its expiry is `stale`: the underlying has moved since."""

MOVING = (1, 3)
"""The broker's market data types of quotes that are live or delayed; the others are frozen at the close."""

EXPIRY = ("session", "symbol", "source", "trading_class", "expiry", "multiplier")
"""The columns whose values the rows of one valuation share; rows are given in this order."""

_BASIS = {CHAIN: "mid", BAR: "close"}
_TEXTS = ("forward_source", "discount_source", "dividends", "model", "null_reason")
_NUMBERS = (
    "price", "underlying_price", "forward", "discount", "years", "implied_volatility",
    "delta", "gamma", "vega", "theta", "rho",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ValuedExpiry:
    """The rows `begin` to `end` (exclusive) of what was given, valued together.

    `dividends` are those expected and `schedule` the ones to come of what is delivered (years to the ex-date, dollars);
    `spot` is the price of a share, None where it is not known; `years` is the time to settlement. `scale`: shares
    delivered for a unit of the price, 1 but for adjusted classes. The forward is of what is delivered, delta and gamma
    are per dollar of the share.
    """

    begin: int
    end: int
    found: Valuation
    style: ExerciseStyle
    dividends: ExpectedDividends
    schedule: list[tuple[float, float]]
    spot: float | None
    years: float
    scale: float = 1.0


@dataclass
class GreeksMaker:
    """Computes rows with the rate (per 1.00 a year) and the dividends (by symbol) of the settings."""

    calendar: SessionCalendar
    rate: float
    dividends: Mapping[str, Sequence[tuple[date, float]]]
    _settled: dict[tuple[Any, ...], datetime] = field(default_factory=dict)

    def rows(self, given: pa.Table) -> pa.Table:
        """Rows of `option_greeks`, one a row of `given`, in its order.

        `given` is sorted by `EXPIRY` and has the columns of the key, of the contract's terms and of provenance, `at`
        (UTC; null of bars), `bid`, `ask`, `close`, `underlying_price`, `min_tick` (dollars), `last_trade` (YYYYMMDD or
        null), `scale` (see `repositories.option_classes`; null: unknown), `sec_type` of the underlying and the broker's
        `dividends` (or null), `broker_implied_volatility` and `broker_delta`; and `market_data_type` (the broker's
        number), where it is known which quotes were live.
        """
        count = given.num_rows
        at = self._instants(given)
        numbers = {name: np.full(count, np.nan) for name in _NUMBERS}
        texts = {name: np.full(count, None, dtype=object) for name in _TEXTS}
        for expiry in self.valued(given):
            part, found = slice(expiry.begin, expiry.end), expiry.found
            numbers["price"][part], numbers["implied_volatility"][part] = found.price, found.implied_volatility
            for name in ("delta", "gamma", "vega", "theta", "rho"):
                numbers[name][part] = getattr(found.greeks, name)
            numbers["years"][part] = expiry.years
            numbers["underlying_price"][part] = np.nan if expiry.spot is None else expiry.spot
            texts["null_reason"][part] = found.null_reason
            texts["model"][part], texts["dividends"][part] = found.model, expiry.dividends.source
            if found.forward is not None:
                numbers["forward"][part], numbers["discount"][part] = found.forward.forward, found.forward.discount
                texts["forward_source"][part] = found.forward.forward_source
                texts["discount_source"][part] = found.forward.discount_source
        made: dict[str, Any] = {
            name: pa.array(values, pa.float64(), from_pandas=True) for name, values in numbers.items()
        }
        made |= {name: pa.array([_text(value) for value in values], pa.string()) for name, values in texts.items()}
        made["at"] = pa.array(at, OPTION_GREEKS.column("at").type)
        made["price_basis"] = pa.array([_BASIS[source] for source in given["source"].to_pylist()], pa.string())
        arrays = [made[name] if name in made else given[name] for name in OPTION_GREEKS.schema.names]
        return pa.table(arrays, names=OPTION_GREEKS.schema.names).cast(OPTION_GREEKS.schema)

    def valued(self, given: pa.Table) -> Iterator[ValuedExpiry]:
        """The expiries of `given` (as `rows` takes it) in its order, each valued as a whole."""
        names = ("strike", "right", "bid", "ask", "close", "underlying_price", "min_tick")
        columns = {name: given[name].to_numpy() for name in names}
        at, live = self._instants(given), _are_live(given)
        terms = given.select([*EXPIRY, "last_trade", "scale", "sec_type", "dividends"])
        for begin, end in _expiries(given):
            part = slice(begin, end)
            shared = {name: value[0] for name, value in terms.slice(begin, 1).to_pydict().items()}
            yield self._valued(begin, end, shared, {k: v[part] for k, v in columns.items()}, at[part], live[part])

    def _instants(self, given: pa.Table) -> Any:
        pairs = zip(given["at"].to_pylist(), given["session"].to_pylist(), strict=True)
        return np.array([self._at(*each) for each in pairs], object)

    def _at(self, quoted: datetime | None, session: date) -> datetime:
        return self.calendar.closes_at(session).astimezone(UTC) if quoted is None else quoted

    def _valued(
        self, begin: int, end: int, shared: Mapping[str, Any], columns: Mapping[str, Any], at: Any, live: Any
    ) -> ValuedExpiry:
        symbol, session = shared["symbol"], shared["session"]
        ages = np.array([(max(at) - each).total_seconds() for each in at])
        together = ages <= TOGETHER.total_seconds()
        style = exercise_style(symbol, shared["sec_type"])
        moment = max(at) - timedelta(seconds=float(np.median(ages[together])))
        # Quotes that came after the close are of the close, but for options on indices, which trade all night.
        if style is not ExerciseStyle.EUROPEAN or not live[together].all():
            moment = min(moment, self.calendar.closes_at(session) + LATE_CLOSE)
        years = years_until(self._settlement(shared), moment)
        spots = columns["underlying_price"][together]
        spots = spots[np.isfinite(spots) & (spots > 0)]
        spot = float(np.median(spots)) if len(spots) else None
        ticks = columns["min_tick"][columns["min_tick"] > 0]
        dividends = expected_dividends(symbol, session, shared["dividends"], self.dividends)
        prices, reasons = columns["close"], None
        if shared["source"] == CHAIN:
            prices, reasons = middle(columns["bid"], columns["ask"])
        scale = shared["scale"]
        if scale is None:
            found = without_value(style, prices, NullReason.ADJUSTED_DELIVERABLE)
            return ValuedExpiry(begin, end, found, style, dividends, [], spot, years)
        if spot is not None:
            off = off_scale(columns["strike"], columns["right"], prices, spot * scale)
            reasons = np.full(len(prices), None, dtype=object) if reasons is None else reasons
            reasons[off], prices = NullReason.ADJUSTED_DELIVERABLE, np.where(off, np.nan, prices)
        schedule = [(t, amount * scale) for t, amount in dividends.schedule(moment, self.calendar)]
        terms: dict[str, Any] = {
            "spot": None if spot is None else spot * scale,
            "years": years,
            "rate": self.rate,
            "dividends": schedule,
            **({"min_tick": float(ticks.min())} if len(ticks) else {}),
        }
        if shared["source"] == CHAIN:
            terms |= {"age": ages, "max_age": TOGETHER.total_seconds()}
        # The closes of an expiry are trades of different times. The median over many strikes still gives the forward of
        # an index; the few pairs of American options do not.
        terms["parity"] = shared["source"] == CHAIN or style is ExerciseStyle.EUROPEAN
        found = value_prices(style, columns["strike"], columns["right"], prices, reasons=reasons, **terms)
        if scale != 1:
            greeks = found.greeks._replace(delta=found.greeks.delta * scale, gamma=found.greeks.gamma * scale**2)
            found = replace(found, greeks=greeks)
        return ValuedExpiry(begin, end, found, style, dividends, schedule, spot, years, scale)

    def _settlement(self, shared: Mapping[str, Any]) -> datetime:
        symbol, trading_class, expiry, last = (
            shared[name] for name in ("symbol", "trading_class", "expiry", "last_trade")
        )
        key = (symbol, trading_class, expiry, last)
        if key not in self._settled:
            self._settled[key] = settlement(symbol, trading_class, expiry, self.calendar, last_trade=_day(last))
        return self._settled[key]


def off_scale(strike: Any, right: Any, price: Any, spot: float) -> Any:
    """Which options of an expiry are of another scale than the price of what they are taken to deliver: those whose
    pair implies a price of it far off (`PRICE_JUMP`), where `PARITY_PAIRS` do. After a corporate action contracts with
    their terms of before can stand in the class of the new ones."""
    sides: dict[float, dict[str, float]] = {}
    for at, side, value in zip(strike, right, price, strict=True):
        sides.setdefault(at, {})[side] = value
    implied = {at: at + side["C"] - side["P"] for at, side in sides.items() if len(side) == 2}
    off = [at for at, value in implied.items() if value / spot >= PRICE_JUMP or value / spot <= 1 / PRICE_JUMP]
    return np.isin(strike, off if len(off) >= PARITY_PAIRS else [])


def _expiries(given: pa.Table) -> Iterator[tuple[int, int]]:
    """Begin and end of the runs of rows that share `EXPIRY`."""
    if not given.num_rows:
        return
    changes = np.zeros(given.num_rows, dtype=bool)
    for name in EXPIRY:
        codes = given[name].combine_chunks().dictionary_encode().indices.to_numpy()
        changes[1:] |= codes[1:] != codes[:-1]
    starts = [0, *np.flatnonzero(changes).tolist()]
    yield from zip(starts, [*starts[1:], given.num_rows], strict=True)


def _are_live(given: pa.Table) -> Any:
    """Which rows are quotes that were live (or delayed) when they came, and not the last ones of a closed market."""
    if "market_data_type" not in given.column_names:
        return np.zeros(given.num_rows, dtype=bool)
    return np.isin(given["market_data_type"].to_numpy(), MOVING)


def _day(text: str | None) -> date | None:
    """The day of a text YYYYMMDD; None where it is none."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
