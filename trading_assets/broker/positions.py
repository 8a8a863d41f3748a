"""Positions of the account: one message asks for them, one a position and an end answer, one withdraws the question.

They carry no request id, are no market data and stand in no journal: a look is made again, not recovered. Between the
answer and the withdrawal TWS sends each change as a further message; the last one of a contract counts. Facts:
`tws/protocol.md`, messages 61 and 62.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trading_assets.broker.numbers import number
from trading_assets.errors import BrokerError, BrokerUnavailable
from trading_assets.instrument import Instrument

if TYPE_CHECKING:
    from trading_assets.broker.client import TwsClient
    from trading_assets.broker.pacing import Pacer


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as TWS reports it. `quantity` in shares or contracts, negative when short; `average_cost` in dollars,
    of options a whole contract (multiplier included), None where TWS gives none. `account` is not for logs."""

    account: str
    instrument: Instrument
    quantity: float
    average_cost: float | None

    def __repr__(self) -> str:
        return f"Holding({masked(self.account)}, {self.instrument.key}, {self.quantity:g})"


@dataclass(frozen=True, slots=True)
class AccountLook:
    """All positions at one moment, and the accounts the login manages, also those without a position."""

    accounts: tuple[str, ...]
    holdings: tuple[Holding, ...]

    def __repr__(self) -> str:
        return f"AccountLook({', '.join(map(masked, self.accounts))}: {len(self.holdings)} holdings)"


def holding_of(account: str, contract: Any, quantity: float, average_cost: float) -> Holding:
    """A holding of a library's contract object."""
    instrument = Instrument(
        symbol=contract.symbol,
        sec_type=contract.secType,
        exchange=contract.exchange,
        currency=contract.currency,
        con_id=contract.conId,
        last_trade=contract.lastTradeDateOrContractMonth,
        strike=contract.strike,
        right={"CALL": "C", "PUT": "P", "0": "", "?": ""}.get(contract.right, contract.right),
        multiplier=contract.multiplier,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
    )
    return Holding(account, instrument, quantity, number(average_cost))


ATTEMPTS = 2
"""How often positions are asked for while a message of them cannot be read."""


async def look(client: TwsClient, pacer: Pacer, timeout: float) -> AccountLook:
    """The positions of all accounts now: two messages. Raises `BrokerError`, among others when TWS does not complete
    the list within `timeout` seconds or a message of it cannot be read, twice: an incomplete list would look like
    sales."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _look(client, pacer, timeout)
        except UnreadablePositions:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _look(client: TwsClient, pacer: Pacer, timeout: float) -> AccountLook:
    await client.ready()
    await pacer.message()
    session = client.session
    if session is None or not session.alive:
        raise BrokerUnavailable("The connection to TWS broke before the positions were asked for. Run it again.")
    gathering = session.inbox.gather_positions()
    session.wire.reqPositions()
    try:
        found = await asyncio.wait_for(asyncio.shield(gathering.answer), timeout)
    except BaseException as error:
        if not gathering.ended:  # what is still to come would be taken for the answer to the next question
            client.abandon()
        if isinstance(error, TimeoutError):
            raise BrokerUnavailable(
                f"TWS did not list the positions within {timeout:.0f} s. Look at TWS, then run it again."
            ) from None
        raise
    finally:
        if session.alive:
            await pacer.message()
            session.wire.cancelPositions()
    accounts = dict.fromkeys((*session.wire.getAccounts(), *(holding.account for holding in found)))
    return AccountLook(tuple(accounts), tuple(found))


class UnreadablePositions(BrokerError):
    """A message of the positions could not be read, so the list is not whole. TWS has answered: no failure of the
    connection."""


class Gathering:
    """The positions of one look as they come; `answer` ends with them, or with an error. `ended` says that TWS has sent
    the end of the list."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[list[Holding]] = asyncio.get_running_loop().create_future()
        self.ended = False
        self._found: dict[tuple[str, int], Holding] = {}
        self._fault = ""

    def add(self, holding: Holding) -> None:
        """A position; one that is there already takes its new state."""
        self._found[holding.account, holding.instrument.con_id] = holding

    def unreadable(self, fault: str) -> None:
        """A position that could not be read: the list fails at its end, for what follows is not of the next one."""
        self._fault = self._fault or fault

    def finished(self) -> None:
        """All positions have come."""
        self.ended = True
        if self._fault:
            self.fail(
                UnreadablePositions(
                    f"TWS listed a position that could not be read ({self._fault}), so the list is not whole. Look at"
                    " the positions in TWS, then run it again."
                )
            )
        elif not self.answer.done():
            self.answer.set_result(list(self._found.values()))

    def fail(self, error: BrokerError) -> None:
        """End without an answer."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # mark it read: the look may have been given up


def masked(account: str) -> str:
    """An account number as logs, tables and the UI show it: its kind and its last three characters."""
    return f"{account[:2]}***{account[-3:]}" if len(account) > 6 else "***"


_ACCOUNT_FIELD = {6: 5, 7: -1, 15: 2, 54: 2, 61: 2, 63: 3, 73: 3}
"""Where messages about accounts name them (`tws/protocol.md`)."""


def without_account(fields: Sequence[str]) -> list[str]:
    """The fields of a message as a log may show them: account numbers masked."""
    shown = list(fields)
    place = _ACCOUNT_FIELD.get(int(shown[0])) if shown and shown[0].isdecimal() else None
    if place is not None and -len(shown) <= place < len(shown):
        shown[place] = ",".join(masked(account) for account in shown[place].split(","))
    return shown
