"""Answers about the account: what `connect()` waits for, values, positions, orders (none), the time."""

from __future__ import annotations

from collections.abc import Iterator

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator import encoding
from trading_assets.simulator.calls import Answer, Call, World
from trading_assets.simulator.market import ListedContract
from trading_assets.simulator.positions import TRADED_TYPES, Book, Holding
from trading_assets.simulator.protocol import Out, frame, number
from trading_assets.simulator.request_checks import Refusal, invalid
from trading_assets.simulator.requests import ApiRequest, Words
from trading_assets.simulator.settlement import position_frame

NO_ORDERS = "Order rejected - reason:The simulator executes no orders."

FIRST_ORDER_ID = 1
"""What nextValidId says. The simulator takes no orders, so it never moves."""

SUMMARY_CURRENCY = "USD"


class AccountService:
    """Accounts, positions and orders of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ids(self, call: Call[ApiRequest]) -> Answer:
        """The next order id."""
        return Answer([encoding.next_valid_id(FIRST_ORDER_ID)])

    async def managed_accounts(self, call: Call[ApiRequest]) -> Answer:
        """All account names."""
        return Answer([encoding.managed_accounts(self._world.positions.books)])

    async def current_time(self, call: Call[ApiRequest]) -> Answer:
        """The simulator's time in epoch seconds."""
        return Answer([encoding.current_time(self._world.clock.now())])

    async def open_orders(self, call: Call[ApiRequest]) -> Answer:
        """There are none."""
        return Answer([frame(Out.OPEN_ORDER_END, 1)])

    async def completed_orders(self, call: Call[ApiRequest]) -> Answer:
        """There are none."""
        return Answer([frame(Out.COMPLETED_ORDERS_END)])

    async def executions(self, call: Call[ApiRequest]) -> Answer:
        """There are none."""
        return Answer([frame(Out.EXECUTION_DATA_END, 1, call.req_id)])

    async def place_order(self, call: Call[ApiRequest]) -> Answer:
        """Every order is rejected (201)."""
        raise Refusal(201, NO_ORDERS)

    async def silent(self, call: Call[ApiRequest]) -> Answer:
        """Requests that TWS answers with nothing, such as the log level."""
        return Answer()

    async def unknown(self, call: Call[Words]) -> Answer:
        """A message id the simulator does not know (505)."""
        raise Refusal(505, f"Fatal Error: Unknown message id.: {call.request.words[0]}")

    async def positions(self, call: Call[ApiRequest]) -> Answer:
        """All positions of all accounts; changes follow until they are cancelled."""
        frames = await self._world.ask(lambda: [*self._position_frames(), frame(Out.POSITION_END, 1)])
        call.client.follows_positions = True
        return Answer(frames)

    async def cancel_positions(self, call: Call[ApiRequest]) -> Answer:
        """No changes of positions any more."""
        call.client.follows_positions = False
        return Answer()

    def _position_frames(self) -> Iterator[bytes]:
        for book in self._world.positions.books.values():
            for holding, contract in self._holdings(book):
                yield position_frame(book.name, holding, contract)

    def _holdings(self, book: Book) -> Iterator[tuple[Holding, ListedContract]]:
        for holding in list(book.holdings):
            contract = holding.resolve(self._world.market, self._world.clock.now())
            if contract is not None:
                yield holding, contract

    @staticmethod
    def _contract_block(contract: ListedContract) -> tuple[str | float, ...]:
        return (
            contract.con_id,
            contract.symbol,
            contract.sec_type,
            contract.last_trade,
            contract.strike,
            contract.right,
            contract.multiplier,
        )

    async def account_updates(self, call: Call[Words]) -> Answer:
        """Values, portfolio and time of one account (the first when none is named), then the end."""
        subscribe, name = (*call.request.words, "", "")[:2]
        if subscribe not in ("1", "true"):
            return Answer()
        account = self._account(name)
        return Answer(await self._world.ask(self._update_frames, account))

    def _update_frames(self, account: Book) -> list[bytes]:
        frames, market_value = [], 0.0
        for position, contract in self._holdings(account):
            price = self._price(contract, position)
            value = price * position.quantity * float(contract.multiplier or 1)
            cost = position.average_cost * position.quantity
            market_value += value
            block = (
                *self._contract_block(contract),
                contract.primary_exchange,
                contract.currency,
                contract.local_symbol,
                contract.trading_class,
            )
            figures = (position.quantity, price, value, position.average_cost, value - cost, 0)
            frames.append(frame(Out.PORTFOLIO_VALUE, 8, *block, *figures, account.name))
        values = [
            frame(Out.ACCOUNT_VALUE, 2, tag, value, currency, account.name)
            for tag, value, currency in _values(account, market_value)
        ]
        now = self._world.clock.now().astimezone(NEW_YORK)
        return [
            *values,
            *frames,
            frame(Out.ACCOUNT_TIME, 1, f"{now:%H:%M}"),
            frame(Out.ACCOUNT_DOWNLOAD_END, 1, account.name),
        ]

    def _price(self, contract: ListedContract, holding: Holding) -> float:
        if contract.sec_type not in TRADED_TYPES:  # the market does not know it
            return holding.average_cost / float(contract.multiplier or 1)
        quote = self._world.market.quote(contract, self._world.clock.now())
        return quote.last or quote.close or quote.bid or 0.0

    async def account_updates_multi(self, call: Call[Words]) -> Answer:
        """Values of one account and model, then the end."""
        name, model = (*call.request.words, "", "")[:2]
        account = self._account(name)
        frames = [
            frame(Out.ACCOUNT_UPDATE_MULTI, 1, call.req_id, account.name, model, tag, value, currency)
            for tag, value, currency in _values(account)
        ]
        return Answer([*frames, frame(Out.ACCOUNT_UPDATE_MULTI_END, 1, call.req_id)])

    async def account_summary(self, call: Call[Words]) -> Answer:
        """The wanted tags of all accounts, then the end."""
        wanted = {tag.strip() for tag in call.request.words[1].split(",")}
        frames = [
            frame(Out.ACCOUNT_SUMMARY, 1, call.req_id, account.name, tag, value, currency)
            for account in self._world.positions.books.values()
            for tag, value, currency in _values(account)
            if tag in wanted
        ]
        return Answer([*frames, frame(Out.ACCOUNT_SUMMARY_END, 1, call.req_id)])

    def _account(self, name: str) -> Book:
        for account in self._world.positions.books.values():
            if not name or account.name == name:
                return account
        raise invalid("Invalid account code")


def _values(account: Book, market_value: float = 0.0) -> list[tuple[str, str, str]]:
    """Account values as (tag, value, currency)."""
    cash, net = number(account.cash), number(round(account.cash + market_value, 2))
    gross = number(round(market_value, 2))
    money = dict.fromkeys(("TotalCashValue", "SettledCash", "AvailableFunds", "BuyingPower", "ExcessLiquidity"), cash)
    money |= {"NetLiquidation": net, "EquityWithLoanValue": net, "GrossPositionValue": gross}
    return [
        ("AccountType", "INDIVIDUAL", ""),
        ("Cushion", "1", ""),
        *((tag, value, SUMMARY_CURRENCY) for tag, value in money.items()),
    ]
