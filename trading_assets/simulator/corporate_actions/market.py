"""The generated market, to whose stocks a list of corporate actions has happened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from math import prod
from typing import Any, TypeVar

from trading_assets.sessions import calendar
from trading_assets.simulator.corporate_actions.actions import ActionKind, CorporateAction, new_york_day
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract, MarketQuote, OptionParameters

CENT = 0.01
"""Prices are traded in cents, and the smallest is one."""

_PRICES = ("open", "high", "low", "close")


class MarketWithActions(GeneratedMarket):
    """A generated market with corporate actions of its own; implements `simulator.market.Market`.

    Until an action a stock trades as in the generated market, from its `session` on at prices times its ratio, in whole
    cents. History is answered as the broker has restated it at `now`, rounded from what was traded. A special dividend
    is a gap that only ADJUSTED_LAST restates. A renamed stock has its new symbol from the day of the rename on, its
    options have it in class and local symbol under the same contract ids, and it is unknown under the old one. After a
    merger or a delisting the stock is unknown. Options are those of the generated market, on its own prices.

    Raises `ValueError` for an action whose `session` is none.
    """

    def __init__(self, actions: Iterable[CorporateAction], seed: int = 42) -> None:
        super().__init__(seed)
        self.actions = tuple(sorted(actions, key=lambda action: action.session))
        self._calendar = calendar()
        for action in self.actions:
            if not self._calendar.is_session(action.session):
                raise ValueError(f"{action.session} is no session: an action begins with one.")

    @property
    def _renames(self) -> list[CorporateAction]:
        return [action for action in self.actions if action.kind is ActionKind.RENAME]

    def of(self, symbol: str) -> list[CorporateAction]:
        """The actions of the stock that had this symbol first, earliest first."""
        return [action for action in self.actions if action.symbol == symbol]

    def price_scale(self, symbol: str, day: date) -> float:
        """A price as traded on a New York day over the generated market's price of that day."""
        return prod(action.price_ratio for action in self.of(symbol) if action.has_happened(day))

    # Contracts

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """Contracts that fit the query, under the symbols of the day of `now`."""
        own = self._own_symbol(query.symbol, now) if query.symbol else ""
        if own is None:
            return []
        asked = replace(query, symbol=own)
        for rename in self._renames:
            if query.symbol == rename.new_symbol:
                asked = _under_root(asked, rename.new_symbol, rename.symbol)
        found = super().contracts(asked, now)
        return [self._shown(contract, now) for contract in found if not self._has_gone(contract, now)]

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """Expiries and strikes of the symbol of the day of `now`."""
        own = self._own_symbol(symbol, now)
        if own is None or self.has_ended(own, now):
            return []
        found = super().option_parameters(own, sec_type, con_id, now)
        names = {rename.new_symbol for rename in self._done_renames(now) if rename.symbol == own}
        return [
            replace(one, trading_class=renamed_class(one.trading_class, own, name))
            for one in found
            for name in names or {own}
        ]

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        """Underlyings as in the generated market, under their symbols of the day of `now`."""
        return [self._shown(found, now) for found in super().search(pattern, now) if not self._has_gone(found, now)]

    def has_ended(self, symbol: str, now: datetime) -> bool:
        """Whether the stock that had this symbol first is traded no more on the day of `now`."""
        today = new_york_day(now)
        return any(action.kind.ends_trading and action.has_happened(today) for action in self.of(symbol))

    def _has_gone(self, contract: ListedContract, now: datetime) -> bool:
        return contract.sec_type == "STK" and self.has_ended(contract.symbol, now)

    def _own_symbol(self, symbol: str, now: datetime) -> str | None:
        """The symbol in the generated market; None when nobody has it any more."""
        done = self._done_renames(now)
        for rename in done:
            if rename.new_symbol == symbol:
                return rename.symbol
        return None if any(rename.symbol == symbol and not rename.old_symbol_answers for rename in done) else symbol

    def _done_renames(self, now: datetime) -> list[CorporateAction]:
        today = new_york_day(now)
        return [rename for rename in self._renames if rename.has_happened(today)]

    def _shown(self, contract: ListedContract, now: datetime) -> ListedContract:
        for rename in self._done_renames(now):
            if rename.symbol == contract.symbol:
                return _under_root(replace(contract, symbol=rename.new_symbol), rename.symbol, rename.new_symbol)
        return contract

    def _own(self, contract: ListedContract) -> ListedContract:
        for rename in self._renames:
            if rename.new_symbol == contract.symbol:
                return _under_root(replace(contract, symbol=rename.symbol), rename.new_symbol, rename.symbol)
        return contract

    # Bars and quotes

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
        """Bars of a stock as traded and restated by `now`; see `simulator.market.Market.bars`."""
        own = self._own(contract)
        found = super().bars(own, bar_size, what_to_show, start, end, use_rth, now)
        actions = self.of(own.symbol)
        if own.sec_type != "STK" or not actions:
            return found
        today = new_york_day(now)
        scaled: dict[date, _Scale] = {}
        for bar in found:
            if bar.session not in scaled:
                scaled[bar.session] = self._scale(actions, bar.session, today, what_to_show == "ADJUSTED_LAST")
        return [scaled[bar.session].applied(bar) for bar in found]

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        """The start of the oldest bar."""
        return super().head_timestamp(self._own(contract), what_to_show, use_rth, now)

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states of several contracts at `now`; those of stocks at the prices of that day."""
        owned = [self._own(contract) for contract in contracts]
        today = new_york_day(now)
        return [
            self._quote(quote, own, today) if own.sec_type == "STK" else quote
            for own, quote in zip(owned, super().quotes(owned, now), strict=True)
        ]

    def _quote(self, quote: MarketQuote, stock: ListedContract, today: date) -> MarketQuote:
        day = self._calendar.on_or_before(today)
        scale = _Scale(self.price_scale(stock.symbol, day), _volume_scale(self.of(stock.symbol), day))
        known = [name for name in (*_PRICES, "bid", "ask", "last") if getattr(quote, name) is not None]
        changed: dict[str, Any] = {name: scale.traded(getattr(quote, name)) for name in known}
        if quote.volume is not None:
            changed["volume"] = scale.volume(quote.volume)
        if quote.dividends is not None:
            amounts = ("past_year", "next_year", "next_amount")
            paid = {name: round(scale.price * getattr(quote.dividends, name), 4) for name in amounts}
            changed["dividends"] = replace(quote.dividends, **paid)
        return replace(quote, **changed)

    def _scale(self, actions: Sequence[CorporateAction], session: date, today: date, dividends: bool) -> _Scale:
        """What the bars of a session are scaled with when they are asked for on a day."""
        restating = []
        for action in actions:
            until = action.restated_until(today, self._calendar)
            paid = dividends and action.kind is ActionKind.SPECIAL_DIVIDEND and action.has_happened(today)
            if not action.has_happened(session) and (paid or (until is not None and session < until)):
                restating.append(action)
        return _Scale(
            prod(action.price_ratio for action in actions if action.has_happened(session)),
            _volume_scale(actions, session),
            prod(action.price_ratio for action in restating),
            prod(action.volume_ratio for action in restating if action.restates_volume),
            max((action.digits for action in restating), default=2),
        )


def renamed_class(name: str, symbol: str, new_symbol: str) -> str:
    """A trading class of a symbol under another one: `ABC1` of ABC is `XYZ1` of XYZ."""
    root, new_root = (re.sub("[^A-Z0-9]", "", one) for one in (symbol, new_symbol))
    return f"{new_root}{name.removeprefix(root)}" if name.startswith(root) else name


_Named = TypeVar("_Named", ListedContract, ContractQuery)


def _under_root(named: _Named, symbol: str, new_symbol: str) -> _Named:
    """A contract of a renamed stock (or the question for one), with class and local symbol under the new symbol."""
    if named.sec_type != "OPT":
        return replace(named, local_symbol=new_symbol if named.local_symbol == symbol else named.local_symbol)
    local = named.local_symbol
    if local:
        local = f"{renamed_class(local[:6].strip(), symbol, new_symbol):<6}{local[6:]}"
    name = renamed_class(named.trading_class, symbol, new_symbol) if named.trading_class else ""
    changed = replace(named, trading_class=name, local_symbol=local)
    return replace(changed, market_name=name) if isinstance(changed, ListedContract) else changed


class _Scale:
    """From a bar of the generated market to the one that was traded (`price`, `shares`), and from there to the restated
    one (`later_price`, `later_shares`)."""

    def __init__(
        self, price: float, shares: float, later_price: float = 1.0, later_shares: float = 1.0, digits: int = 2
    ) -> None:
        self.price, self._shares = price, shares
        self._later_price, self._later_shares, self._digits = later_price, later_shares, digits

    def traded(self, price: float) -> float:
        """A price as traded, in cents."""
        return price if self.price == 1.0 else max(round(price * self.price, 2), CENT)

    def volume(self, volume: float) -> float:
        """A volume in whole shares; -1 (none) stays."""
        return volume if volume <= 0 else float(max(1, round(volume * self._shares * self._later_shares)))

    def applied(self, bar: Bar) -> Bar:
        """The bar as it is answered."""
        prices: dict[str, Any] = {name: self._restated(self.traded(getattr(bar, name))) for name in _PRICES}
        wap = bar.wap if bar.wap < 0 else round(bar.wap * self.price * self._later_price, 6)
        wap = wap if wap < 0 else min(max(wap, prices["low"]), prices["high"])
        return replace(bar, **prices, wap=wap, volume=self.volume(bar.volume))

    def _restated(self, price: float) -> float:
        if self._later_price == 1.0:
            return price
        return max(round(price * self._later_price, self._digits), 10**-self._digits)


def _volume_scale(actions: Iterable[CorporateAction], day: date) -> float:
    return prod(action.volume_ratio for action in actions if action.has_happened(day))
