"""What happens to positions, and what clients are told of it: changes by hand, assignment, expiry.

Clients that asked for positions get a `position` message for each change until they cancel. An option is settled at
its settlement instant, at the underlying's price then: in the money by a cent or more it is exercised (of a stock: the
shares move at the strike; of an index: cash), else it expires. Its position stays with quantity 0, as in TWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from trading_assets.pricing.exercise import settlement
from trading_assets.sessions import calendar
from trading_assets.simulator.calls import ClientLink, Ticker, World
from trading_assets.simulator.market import ContractQuery, ListedContract
from trading_assets.simulator.positions import OPTION, STOCK, Book, Holding, PositionsError
from trading_assets.simulator.protocol import Out, frame
from trading_assets.simulator.request_checks import Refusal

LOOK_SECONDS = 0.5
"""Real seconds between two looks for options to settle while the clock runs."""

FIRST_PRICE = timedelta(minutes=1)
"""From the open to the moment at which the opening price is known."""

LEAST_EXERCISED = 0.01
"""Dollars in the money from which an option is exercised by itself (OCC, exercise by exception)."""


def position_frame(account: str, holding: Holding, contract: ListedContract) -> bytes:
    """The `position` message of a holding."""
    terms = (contract.con_id, contract.symbol, contract.sec_type, contract.last_trade, contract.strike, contract.right)
    names = (contract.multiplier, "", contract.currency, contract.local_symbol, contract.trading_class)
    return frame(Out.POSITION, 3, account, *terms, *names, holding.quantity, holding.average_cost)


class PositionService:
    """Changes the books of a world and tells `followers`. All of it runs in the server's event loop."""

    def __init__(self, world: World, followers: Callable[[], Iterable[ClientLink]]) -> None:
        self._world, self._followers = world, followers
        self._changed = asyncio.Event()

    async def set(
        self, book: Book, asked: ContractQuery | ListedContract, quantity: float, average_cost: float
    ) -> None:
        """Hold so much of a contract from now on. Raises `PositionsError` for a contract that is not listed."""
        contract = await self._find(book, asked)
        self._tell(book, book.put(contract, quantity, average_cost))
        self._changed.set()

    async def assign(self, book: Book, asked: ContractQuery | ListedContract, quantity: float) -> None:
        """Exercise or assign so many of the contracts held."""
        contract = await self._find(book, asked)
        holding = book.of(contract.con_id)
        if contract.sec_type != OPTION or holding is None or not 0 < quantity <= abs(holding.quantity):
            held = holding.quantity if holding else 0
            raise PositionsError(
                f"{quantity:g} of {contract.local_symbol or contract.symbol} cannot be assigned: the account holds"
                f" {held:g} of it."
            )
        price = await self._world.ask(self._underlying_price, contract, self._world.clock.now())
        await self._exercise(book, holding, contract, quantity, price)

    async def serve(self) -> None:
        """Settle options when their time comes. Runs until it is cancelled."""
        clock = self._world.clock
        with Ticker(clock, LOOK_SECONDS, clock.moves) as ticker:
            while True:
                await self._settle(clock.now())
                if not any(book.holdings for book in self._world.positions.books.values()):
                    self._changed.clear()
                    await self._changed.wait()
                await ticker.next()

    async def _settle(self, now: datetime) -> None:
        for book in self._world.positions.books.values():
            for holding in list(book.holdings):
                contract = holding.contract or await self._world.ask(holding.resolve, self._world.market, now)
                if contract is None or contract.sec_type != OPTION or not holding.quantity:
                    continue
                if (ended := _settled_at(contract)) is None or ended > now:
                    continue
                price = await self._world.ask(self._settlement_price, contract, ended)
                if _in_the_money(contract, price) >= LEAST_EXERCISED:
                    await self._exercise(book, holding, contract, abs(holding.quantity), price)
                else:
                    self._tell(book, book.put(contract, 0.0, 0.0))

    async def _exercise(
        self, book: Book, holding: Holding, contract: ListedContract, quantity: float, price: float | None
    ) -> None:
        """Take options out of a book and move the stock at the strike, or cash for an index."""
        signed = quantity if holding.quantity > 0 else -quantity
        multiplier = float(contract.multiplier or 100)
        underlying = await self._world.ask(self._world.market.by_id, contract.under_con_id)
        left = holding.quantity - signed
        self._tell(book, book.put(contract, left, holding.average_cost if left else 0.0))
        if underlying is not None and underlying.sec_type == STOCK:
            shares = signed * multiplier * (1 if contract.right == "C" else -1)
            self._tell(book, book.trade(underlying, shares, contract.strike))
        else:
            book.cash += signed * multiplier * max(_in_the_money(contract, price), 0.0)

    def _settlement_price(self, contract: ListedContract, ended: datetime) -> float | None:
        """The price that settles an option: the underlying's last one then, or its open. Runs in the worker."""
        underlying = self._world.market.by_id(contract.under_con_id)
        if underlying is None:
            return None
        quote, days = self._world.market.quote(underlying, ended), calendar()
        return quote.open if ended - FIRST_PRICE == days.opens_at(days.current(ended)) else quote.last

    def _underlying_price(self, contract: ListedContract, at: datetime) -> float | None:
        """The underlying's last price at an instant. Runs in the worker."""
        underlying = self._world.market.by_id(contract.under_con_id)
        return self._world.market.quote(underlying, at).last if underlying is not None else None

    async def _find(self, book: Book, asked: ContractQuery | ListedContract) -> ListedContract:
        for holding in book.holdings:  # those given at the start are known by then
            await self._world.ask(holding.resolve, self._world.market, self._world.clock.now())
        if isinstance(asked, ListedContract):
            return asked
        name = asked.local_symbol or asked.symbol or str(asked.con_id)
        known = [held.contract for held in book.holdings if held.contract and held.contract.local_symbol == name]
        if known:  # an expired one is listed no longer
            return known[0]
        try:
            return await self._world.ask(self._world.find, asked)
        except Refusal as refusal:
            raise PositionsError(f"The market lists no contract {name!r}: {refusal.text}.") from refusal

    def _tell(self, book: Book, holding: Holding) -> None:
        assert holding.contract is not None
        message = position_frame(book.name, holding, holding.contract)
        for client in self._followers():
            if client.follows_positions:
                client.send(message)


def _settled_at(contract: ListedContract) -> datetime | None:
    """When an option is settled: at its settlement instant, a moment after the open where that settles it."""
    if contract.expiry is None:
        return None
    days = calendar()
    settled = settlement(
        contract.symbol, contract.trading_class, contract.expiry, days, last_trade=_day(contract.last_trade)
    )
    return settled + FIRST_PRICE if settled == days.opens_at(days.on_or_before(contract.expiry)) else settled


def _day(words: str) -> date | None:
    return date.fromisoformat(words[:8]) if len(words) >= 8 else None


def _in_the_money(contract: ListedContract, price: float | None) -> float:
    """Dollars a share; negative out of the money. Without a price: nothing."""
    if price is None:
        return 0.0
    return price - contract.strike if contract.right == "C" else contract.strike - price
