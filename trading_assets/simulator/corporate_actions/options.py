"""What corporate actions do to the options of a stock: strikes, classes, multipliers and prices.

| action | contracts listed before it | beside them |
| --- | --- | --- |
| split n:1 | same con_id and class, strike / n | - |
| special dividend | same con_id and class, strike x ratio in cents: at the money less by the dividend | - |
| split 3:2, stock dividend | same con_id, class `ABC1`, strike x ratio, multiplier 100 / ratio | a new class `ABC` |
| reverse split, spin-off | same con_id, strike and price, class `ABC1`: new shares, or the basket | a new class `ABC` |

A second action of the last two kinds makes `ABC2` of `ABC` and leaves `ABC1` (its strikes follow a split). After a
rename both are classes of the new symbol (`XYZ`, `XYZ1`), with the same con_ids and terms. For mergers see `mergers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from trading_assets.simulator.corporate_actions.actions import ActionKind, CorporateAction, new_york_day
from trading_assets.simulator.corporate_actions.market import CENT, MarketWithActions
from trading_assets.simulator.generated.matching import fits
from trading_assets.simulator.market import Bar, ContractQuery, Greeks, ListedContract, MarketQuote, OptionParameters

_SMALL_IDS = 1 << 29
"""Ids under it are of no option of the generated market: those of new classes are made there."""
_SPREAD = 0x2C1B3
_PRICES = ("open", "high", "low", "close")


def _is_whole(action: CorporateAction) -> bool:
    return action.kind is ActionKind.SPLIT and abs(1 / action.price_ratio - round(1 / action.price_ratio)) < 1e-9


def renames_class(action: CorporateAction) -> bool:
    """Whether the contracts of before get a class of their own, and a new usual class begins."""
    return action.kind.changes_prices and not _is_whole(action) and action.kind is not ActionKind.SPECIAL_DIVIDEND


@dataclass(frozen=True, slots=True)
class Terms:
    """A generated contract after some actions: the `number` of its class (0: usual), strike and price over the
    generated ones, multiplier."""

    number: int = 0
    strike: float = 1.0
    price: float = 1.0
    multiplier: float = 100.0

    def after(self, action: CorporateAction, number: int) -> Terms:
        """The terms after one more action, whose class, if it makes one, has that number."""
        ratio = action.price_ratio
        number = number if renames_class(action) and not self.number else self.number
        if action.kind in (ActionKind.REVERSE_SPLIT, ActionKind.SPIN_OFF) or not action.kind.changes_prices:
            return replace(self, number=number)
        scaled = replace(self, number=number, strike=self.strike * ratio, price=self.price * ratio)
        return replace(scaled, multiplier=round(self.multiplier / ratio, 4)) if renames_class(action) else scaled


class MarketWithAdjustedOptions(MarketWithActions):
    """A generated market with corporate actions, whose options they adjust.

    Prices of options are those of the generated market times a ratio, so they stay free of arbitrage: put-call parity
    gives the price of what a contract delivers. History of contracts whose strikes were changed is restated with them.
    """

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """Contracts that fit the query, with their terms of the day of `now`."""
        if query.con_id and (found := self._origin(query.con_id)) is not None:
            base, made = found
            listed = super().contracts(ContractQuery(con_id=base.con_id, include_expired=query.include_expired), now)
            return [c for one in listed for c in self._variants(one, now) if c.con_id == made and fits(c, query)]
        if query.con_id or query.sec_type != "OPT":
            return super().contracts(query, now)
        wide = replace(query, trading_class="", local_symbol="", strike=0.0, multiplier="")
        if not wide.symbol:
            return super().contracts(query, now)
        terms = replace(query, symbol="")  # the broker may answer an old symbol too
        return [c for one in super().contracts(wide, now) for c in self._variants(one, now) if fits(c, terms)]

    def by_id(self, con_id: int) -> ListedContract | None:
        """The contract of an id, with the terms of the generated market."""
        found = self._origin(con_id)
        return found[0] if found else super().by_id(con_id)

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """Expiries and strikes of each class of the day of `now`."""
        found = super().option_parameters(symbol, sec_type, con_id, now)
        if not found or not self._options_of(symbol, now):
            return found
        days: dict[tuple[str, str], set[str]] = {}
        strikes: dict[tuple[str, str], set[float]] = {}
        for contract in self.contracts(ContractQuery(symbol=symbol, sec_type="OPT", right="C"), now):
            key = contract.trading_class, contract.multiplier
            days.setdefault(key, set()).add(contract.last_trade)
            strikes.setdefault(key, set()).add(contract.strike)
        return [
            OptionParameters(exchange, found[0].underlying_con_id, *key, tuple(sorted(days[key])), tuple(sorted(ks)))
            for key, ks in strikes.items()
            for exchange in dict.fromkeys(each.exchange for each in found)
        ]

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what_to_show: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        """Bars; those of an option on the basis of its present strike, and of a new class since it began."""
        found = self._origin(contract.con_id) if contract.sec_type == "OPT" else None
        base = found[0] if found else contract
        bars = super().bars(base, bar_size, what_to_show, start, end, use_rth, now)
        if found is None:
            return bars
        begun = self._begun(*found)
        ratio = self._terms(*found, new_york_day(now)).price
        return [scaled_bar(bar, ratio) for bar in bars if begun is None or bar.session >= begun]

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states of several contracts at `now`."""
        found = [self._origin(c.con_id) if c.sec_type == "OPT" else None for c in contracts]
        bases = [origin[0] if origin else contract for origin, contract in zip(found, contracts, strict=True)]
        return [
            quote if origin is None else self._adjusted(quote, *origin, new_york_day(now))
            for origin, quote in zip(found, super().quotes(bases, now), strict=True)
        ]

    def _adjusted(self, quote: MarketQuote, base: ListedContract, made: int, today: date) -> MarketQuote:
        return scaled_quote(quote, self._terms(base, made, today).price, self.price_scale(base.symbol, today))

    # Terms

    def _options_of(self, symbol: str, now: datetime) -> list[CorporateAction]:
        own = self._own_symbol(symbol, now)
        today = new_york_day(now)
        return [a for a in self.of(own or symbol) if a.kind.changes_prices and a.has_happened(today)]

    def _origin(self, con_id: int) -> tuple[ListedContract, int] | None:
        """The generated contract that an id of an adjusted stock stands for, and the id; None for others."""
        symbols = {action.symbol for action in self.actions if action.kind.changes_prices}
        for symbol in sorted(symbols):
            owner = self._underlying(symbol)
            for candidate in _bases(con_id, sum(map(renames_class, self.of(symbol)))):
                for base in self._meant(candidate, owner):
                    if base.sec_type == "OPT":
                        return base, con_id
        return None

    def _variants(self, shown: ListedContract, now: datetime) -> Iterator[ListedContract]:
        """The contracts that a generated one has become by now: the one of before, and one of each new class."""
        base = self._own(shown)
        today = new_york_day(now)
        done = [a for a in self.of(base.symbol) if a.has_happened(today) and a.kind.changes_prices]
        if not done:
            yield shown
            return
        _, ladder, rank = self._place(base)
        begins = self._sessions.dates[int(ladder.begins[rank])]
        renaming = [action.session for action in done if renames_class(action)]
        for generation in range(len(renaming) + 1):
            if generation == len(renaming) or begins < renaming[generation]:
                made = _made(base.con_id, generation)
                terms = self._terms(base, made, today)
                strike = round(base.strike * terms.strike, 3 if terms.strike == 1 else 2)
                name = f"{base.trading_class}{terms.number or ''}"
                local = f"{name:<6}{base.expiry:%y%m%d}{base.right}{round(strike * 1000):08d}"
                adjusted = replace(
                    base, con_id=made, strike=strike, trading_class=name, market_name=name,
                    local_symbol=local, multiplier=f"{terms.multiplier:g}",
                )  # fmt: skip
                yield self._shown(adjusted, now)

    def _terms(self, base: ListedContract, made: int, today: date) -> Terms:
        terms, number = Terms(), 0
        generation = _generation(base.con_id, made)
        for action in self.of(base.symbol):
            if not action.has_happened(today):
                break
            number += renames_class(action)
            begins = renames_class(action) and number == generation
            if number < generation or begins:  # the class that begins here is a usual one at the new prices
                ratio = terms.strike * action.price_ratio
                terms = Terms(strike=ratio, price=ratio)
            else:
                terms = terms.after(action, number)
        return terms

    def _begun(self, base: ListedContract, made: int) -> date | None:
        """The first session of a contract of a new class."""
        generation = _generation(base.con_id, made)
        renaming = [action.session for action in self.of(base.symbol) if renames_class(action)]
        return renaming[generation - 1] if generation else None


def _made(con_id: int, generation: int) -> int:
    """The id of a generated contract in the class that the action of that number began."""
    return con_id if not generation else con_id % _SMALL_IDS ^ generation * _SPREAD


def _bases(con_id: int, generations: int) -> Iterator[int]:
    """The ids of the generated contracts that an id may stand for."""
    yield con_id
    if con_id < _SMALL_IDS:
        for generation in range(1, generations + 1):
            for area in (1, 2, 3):
                yield area * _SMALL_IDS + (con_id ^ generation * _SPREAD)


def _generation(base: int, made: int) -> int:
    return 0 if base == made else (base % _SMALL_IDS ^ made) // _SPREAD


def scaled_bar(bar: Bar, ratio: float) -> Bar:
    """A bar at prices times a ratio, in whole cents."""
    prices: dict[str, Any] = {name: max(round(getattr(bar, name) * ratio, 2), CENT) for name in _PRICES}
    wap = bar.wap if bar.wap < 0 else min(max(round(bar.wap * ratio, 6), prices["low"]), prices["high"])
    return replace(bar, **prices, wap=wap)


def scaled_quote(quote: MarketQuote, ratio: float, stock: float = 1.0) -> MarketQuote:
    """The quote of an option at prices times a ratio, whose underlying is at its price times `stock`."""
    known = [name for name in (*_PRICES, "bid", "ask", "last") if getattr(quote, name) is not None]
    prices: dict[str, Any] = {name: max(round(getattr(quote, name) * ratio, 2), CENT) for name in known}
    greeks = {side: _scaled_greeks(values, ratio, stock) for side, values in quote.greeks.items()}
    return replace(quote, **prices, greeks=greeks)


def _scaled_greeks(values: Greeks, ratio: float, stock: float) -> Greeks:
    factors = {
        "price": ratio, "pv_dividend": ratio, "vega": ratio, "theta": ratio,
        "delta": ratio / stock, "gamma": ratio / stock**2, "underlying_price": stock,
    }  # fmt: skip
    known = {name: getattr(values, name) * by for name, by in factors.items() if getattr(values, name) is not None}
    return replace(values, **known)
