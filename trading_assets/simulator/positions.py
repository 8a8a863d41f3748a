"""The holdings of the simulated accounts: given at the start, changed by hand, settled at expiry.

`Positions` is the handle of programs and tests (`tws.positions`); `account_file` reads `--positions FILE`; what
clients are told of changes is in `settlement`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from trading_assets.simulator.calls import START_CASH, SimulatedAccount, SimulatedPosition
from trading_assets.simulator.market import ContractQuery, ListedContract, Market

STOCK, OPTION, INDEX = "STK", "OPT", "IND"
TRADED_TYPES = frozenset({STOCK, OPTION, INDEX})
"""Types of contracts that a market lists; others (futures, bonds) are shown as they were given."""


class PositionsError(ValueError):
    """A position, or a file of positions, cannot be used; the sentence says why."""


@dataclass(slots=True)
class Holding:
    """What an account holds of one contract. `contract` is None until the market was asked for it."""

    asked: ContractQuery | ListedContract
    quantity: float
    average_cost: float
    contract: ListedContract | None = None

    def resolve(self, market: Market, now: datetime) -> ListedContract | None:
        """The contract, None if the market lists none that fits. Asks the market: to be run in its worker."""
        if self.contract is None:
            if isinstance(self.asked, ListedContract):
                self.contract = self.asked
            elif len(rows := market.contracts(self.asked, now)) == 1:
                self.contract = rows[0]
        return self.contract


@dataclass(slots=True)
class Book:
    """One account: cash in dollars and holdings. A holding that came to nothing stays, with quantity 0, as in TWS."""

    name: str
    cash: float
    holdings: list[Holding]

    def of(self, con_id: int) -> Holding | None:
        """The holding of a contract, if there is one."""
        return next((held for held in self.holdings if held.contract and held.contract.con_id == con_id), None)

    def put(self, contract: ListedContract, quantity: float, average_cost: float) -> Holding:
        """Hold so much of a contract from now on."""
        holding = self.of(contract.con_id)
        if holding is None:
            holding = Holding(contract, 0.0, 0.0, contract)
            self.holdings.append(holding)
        holding.quantity, holding.average_cost = quantity, average_cost
        return holding

    def trade(self, contract: ListedContract, change: float, price: float) -> Holding:
        """Buy (or sell, negative) at a price a share: the average cost follows, cash is paid."""
        before = self.of(contract.con_id)
        held, cost = (before.quantity, before.average_cost) if before else (0.0, 0.0)
        after = held + change
        if held * change >= 0 and after:
            cost = (held * cost + change * price) / after
        elif held * after < 0:
            cost = price
        self.cash -= change * price
        return self.put(contract, after, cost if after else 0.0)


class Carrier(Protocol):
    """What carries changes out in the simulator's event loop; see `settlement.PositionService`."""

    async def set(
        self, book: Book, asked: ContractQuery | ListedContract, quantity: float, average_cost: float
    ) -> None:
        """Hold so much of a contract from now on."""

    async def assign(self, book: Book, asked: ContractQuery | ListedContract, quantity: float) -> None:
        """Exercise or assign so many of the contracts held."""


Work = Callable[[Carrier], Coroutine[Any, Any, None]]
"""A change, given who carries it out."""


class Positions:
    """The books of all accounts, and the handle that changes them. Changes reach clients that asked for positions
    before the method returns.

    >>> tws.positions.set("AAPL", 100, average_cost=185.2)
    >>> tws.positions.set("AAPL  240621C00190000", -2, average_cost=350.0, account="DU1")
    >>> tws.positions.assign("AAPL  240621C00190000", 1, account="DU1")
    """

    def __init__(self, accounts: Sequence[SimulatedAccount]) -> None:
        self.books = {
            account.name: Book(
                account.name,
                account.cash,
                [Holding(held.contract, held.quantity, held.average_cost) for held in account.positions],
            )
            for account in accounts
        }
        self._run: Callable[[Work], None] | None = None

    def attach(self, run: Callable[[Work], None]) -> None:
        """The simulator's: `run` runs a change in its event loop and waits."""
        self._run = run

    def detach(self) -> None:
        """The simulator's: it has stopped."""
        self._run = None

    def set(
        self,
        contract: str | ContractQuery | ListedContract,
        quantity: float,
        average_cost: float = 0.0,
        account: str | None = None,
    ) -> None:
        """Hold `quantity` shares or contracts from now on; 0 closes the position. `average_cost` in dollars as TWS
        shows it (an option's includes the multiplier). `contract` is a stock's symbol, an option's OSI symbol, or a
        query; a `ListedContract` stands for what the market does not list (a future). `account`: default the first.

        Raises `PositionsError` for an unknown account or contract, `RuntimeError` while the simulator does not run.
        """
        book = self._book(account)
        self._carry_out(lambda one: one.set(book, as_query(contract), float(quantity), float(average_cost)))

    def assign(self, contract: str | ContractQuery, quantity: float, account: str | None = None) -> None:
        """Exercise (of a long position) or assign (of a short one) so many contracts now: the option goes, the stock
        moves at the strike. Raises as `set`, and `PositionsError` where the account does not hold as many."""
        book = self._book(account)
        self._carry_out(lambda one: one.assign(book, as_query(contract), float(quantity)))

    def quantities(self, account: str | None = None) -> dict[str, float]:
        """What an account holds: quantity by local symbol, without those that came to nothing."""
        return {
            (held.contract or held.asked).local_symbol or held.asked.symbol: held.quantity
            for held in self._book(account).holdings
            if held.quantity
        }

    def _book(self, account: str | None) -> Book:
        name = account if account is not None else next(iter(self.books))
        if name not in self.books:
            raise PositionsError(f"There is no account {name!r}; there are {', '.join(self.books)}.")
        return self.books[name]

    def _carry_out(self, work: Work) -> None:
        if self._run is None:
            raise RuntimeError("The simulator is not running: give positions at the start in SimulatedAccount.")
        self._run(work)


def as_query(contract: str | ContractQuery | ListedContract) -> ContractQuery | ListedContract:
    """The query of a symbol: a stock's, or an option's OSI symbol of 21 characters."""
    if not isinstance(contract, str):
        return contract
    if len(contract) == 21 and contract[12] in "CP" and contract[13:].isdigit():
        return ContractQuery(symbol="", sec_type=OPTION, local_symbol=contract)
    return ContractQuery(symbol=contract, sec_type=STOCK, currency="USD")


_QUERY_FIELDS = {field.name for field in fields(ContractQuery)}
_LISTED_FIELDS = {field.name for field in fields(ListedContract)}


def account_file(path: Path, default_account: str) -> list[SimulatedAccount]:
    """The accounts of a JSON file.

    Either `{"accounts": [{"name": ..., "cash": ..., "positions": [...]}]}` or a list of positions of the default
    account. A position has `quantity`, `average_cost`, and says which contract: `symbol` for a stock, `local_symbol`
    for an option, or any fields of a contract query (`con_id`, `sec_type`, `last_trade`, `strike`, `right`, ...). A
    type that no market lists (`FUT`, `BOND`) needs a `con_id` and is shown as it is given.

    Raises `PositionsError` with a sentence that names the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, list):
            content = {"accounts": [{"name": default_account, "positions": content}]}
        if not isinstance(content, dict) or not isinstance(content.get("accounts"), list) or not content["accounts"]:
            raise PositionsError("it must hold a list of positions, or an object with a list 'accounts'")
        return [_account(account) for account in content["accounts"]]
    except OSError as error:
        raise PositionsError(f"The positions {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise PositionsError(f"The positions {path} are not usable: {error}") from error


def _account(row: Any) -> SimulatedAccount:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
        raise PositionsError(f"an account needs a 'name': {row!r:.80}")
    positions = tuple(_position(position) for position in row.get("positions", ()))
    return SimulatedAccount(row["name"], float(row.get("cash", START_CASH)), positions)


def _position(row: Any) -> SimulatedPosition:
    if not isinstance(row, Mapping) or "quantity" not in row:
        raise PositionsError(f"a position needs a 'quantity' and a contract: {row!r:.80}")
    terms = {name: value for name, value in row.items() if name not in ("quantity", "average_cost")}
    return SimulatedPosition(_contract(terms), float(row["quantity"]), float(row.get("average_cost", 0.0)))


def _contract(terms: dict[str, Any]) -> ContractQuery | ListedContract:
    local = terms.get("local_symbol")
    sec_type = terms.setdefault("sec_type", OPTION if local else "")
    known = _QUERY_FIELDS if sec_type in ("", *TRADED_TYPES) else _LISTED_FIELDS
    if unknown := set(terms) - known:
        raise PositionsError(f"a position has the unknown field {sorted(unknown)[0]!r}")
    if not (terms.get("symbol") or local or terms.get("con_id")):
        raise PositionsError("a position names no contract: give 'symbol', 'local_symbol' or 'con_id'")
    if known is _QUERY_FIELDS:
        return ContractQuery(**terms)
    if not terms.get("con_id"):
        raise PositionsError(f"a position in a contract of type {sec_type} needs a 'con_id'")
    last = str(terms.get("last_trade", ""))
    expiry = date.fromisoformat(last) if len(last) == 8 else None
    given = dict.fromkeys(("exchange", "primary_exchange", "local_symbol", "trading_class", "long_name"), "")
    return ListedContract(**{**given, "currency": "USD", "symbol": "", "expiry": expiry, **terms})
