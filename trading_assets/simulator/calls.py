"""What the services share: the simulated world, one call of a client, and its answer.

A service (`history`, `contracts`, `marketdata`, `account`) is a set of coroutines that turn a `Call` into an `Answer`
or raise `Refusal`. Delivery (latency, faults, order on the wire) is not theirs; see `connection`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, ParamSpec, Protocol, TypeVar

from trading_assets.simulator.clock import SimulatorClock
from trading_assets.simulator.counters import Counters
from trading_assets.simulator.faults import FaultRule
from trading_assets.simulator.latency import Latency
from trading_assets.simulator.limits import Arrival, Gauge, Meters
from trading_assets.simulator.market import ContractQuery, ListedContract, Market
from trading_assets.simulator.request_checks import Refusal
from trading_assets.simulator.requests import ApiRequest, ContractRequest
from trading_assets.simulator.worker import MarketWorker

if TYPE_CHECKING:
    from trading_assets.simulator.positions import Positions

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=ApiRequest, covariant=True)

START_CASH = 1_000_000.0
"""Dollars of an account unless it is given others."""

CONFLICT = "Parameters in request conflicts with contract parameters received by contract id:"
"""Code 478 (ib_async 203 quotes it about an expiry)."""

CONFLICTING_TERMS = {
    "symbol": "symbol",
    "expiry": "last_trade",
    "strike": "strike",
    "right": "right",
    "multiplier": "multiplier",
    "trading class": "trading_class",
    "local symbol": "local_symbol",
}
"""Terms that the text names, and their fields."""

NO_SECURITY = "No security definition has been found for the request"


@dataclass(frozen=True, slots=True)
class SimulatedPosition:
    """A holding of a simulated account: quantity in shares or contracts, average cost in dollars as TWS shows it. A
    `ListedContract` is shown as it is, whether the market lists it or not."""

    contract: ContractQuery | ListedContract
    quantity: float
    average_cost: float


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account that clients see, as it is at the start."""

    name: str
    cash: float = START_CASH
    positions: tuple[SimulatedPosition, ...] = ()


class ClientLink(Protocol):
    """What a service may do with the client that called."""

    client_id: int
    version: int
    market_data_type: int
    follows_positions: bool

    def send(self, *frames: bytes) -> None:
        """Write frames after everything already sent."""

    def error(self, req_id: int, code: int, text: str) -> None:
        """Send an error or status."""


@dataclass
class World:
    """Everything one simulated TWS consists of, beside its sockets."""

    market: Market
    clock: SimulatorClock
    meters: Meters
    counters: Counters
    latency: Latency
    positions: Positions
    refused: frozenset[str]
    live_data: bool
    volume_unit: Literal["shares", "round_lots"]
    worker: MarketWorker
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the connectivity to the broker is lost."""
    farms: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the data farms are down."""

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a question to the market in the one worker thread, so that the sockets are read meanwhile."""
        return await self.worker.submit(partial(function, *args, **kwargs))

    def named(self, request: ApiRequest) -> ApiRequest:
        """The request with the contract that its id means, where it gives the id without words: for logs, counters and
        faults."""
        if not isinstance(request, ContractRequest) or not request.contract.con_id or request.contract.symbol:
            return request
        return replace(request, known=self.market.by_id(request.contract.con_id))

    def find(self, query: ContractQuery) -> ListedContract:
        """The one contract that a query means; raises `Refusal` 200 for none or several, 478 where the words do not fit
        the id. Runs in the worker."""
        rows = self.market.contracts(query, self.clock.now())
        if len(rows) == 1:
            return rows[0]
        if not rows:
            if query.con_id:
                self._refuse_conflict(query)
            raise Refusal(200, NO_SECURITY)
        hint = "; you must specify the multiplier or trading class." if query.sec_type in ("OPT", "FOP") else ""
        raise Refusal(
            200, f"The contract description specified for {query.symbol or query.local_symbol} is ambiguous{hint}"
        )

    def _refuse_conflict(self, query: ContractQuery) -> None:
        """Raise `Refusal` 478 where the id alone means a contract: the words beside it are in its way."""
        alone = ContractQuery(query.con_id, exchange=query.exchange, include_expired=query.include_expired)
        if (meant := self.market.contracts(alone, self.clock.now())) and query != alone:
            terms = {
                name: (getattr(query, field), getattr(meant[0], field)) for name, field in CONFLICTING_TERMS.items()
            }
            told = [
                f"requested {name} {asked}, in contract {own};"
                for name, (asked, own) in terms.items()
                if asked not in ("", 0.0, own)
            ]
            raise Refusal(478, " ".join([CONFLICT, *told]))

    @property
    def enforced(self) -> bool:
        """Whether limits refuse, or only count."""
        return self.meters.limits.enforced


@dataclass(slots=True)
class Call(Generic[R]):
    """One request on its way through the simulator."""

    request: R
    client: ClientLink
    world: World
    arrival: Arrival
    fault: FaultRule | None = None
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def req_id(self) -> int:
        """The request's id."""
        return self.request.req_id

    def hold(self, gauge: Gauge, name: str) -> bool:
        """Take one of a limited resource until `release`; False when that is one too many (the taking is counted, then
        undone)."""
        within = gauge.take()
        if not within:
            self.violation(name, f"{gauge.used} at once, {gauge.most} allowed")
            if self.world.enforced:
                gauge.give()
                return False
        self.world.counters.opened(name)
        self.resources.callback(self._give_back, gauge, name)
        return True

    def _give_back(self, gauge: Gauge, name: str) -> None:
        gauge.give()
        self.world.counters.opened(name, -1)

    def release(self) -> None:
        """Give everything back; may be called again."""
        self.resources.close()

    def violation(self, rule: str, text: str) -> None:
        """Count an exceeded limit."""
        self.world.counters.violation(
            rule, f"{text}: {self.request.kind} {self.request.subject}".strip(), self.client.client_id
        )

    def warn(self, code: int, text: str) -> None:
        """Send a warning for this request at once."""
        self.client.error(self.req_id, code, text)


@dataclass(slots=True)
class Answer:
    """What a service gives back.

    `seconds` is the latency from the request's arrival; `stream`, if any, runs after the frames are sent and keeps the
    request open (and its resources held) until it ends or is cancelled.
    """

    frames: list[bytes] = field(default_factory=list)
    seconds: float = 0.0
    stream: Callable[[], Awaitable[None]] | None = None


class Ticker:
    """Wakes a stream: at its interval (real seconds) while the clock runs, and whenever the clock is moved by hand.

    `moves` is the clock's when the stream's first answer was made: a move between then and now wakes it at once.
    """

    def __init__(self, clock: SimulatorClock, interval: float, moves: int) -> None:
        self._clock = clock
        self._interval = interval
        self._moves = moves
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()

    def __enter__(self) -> Ticker:
        self._clock.subscribe(self._wake)
        if self._clock.moves != self._moves:
            self._moved.set()
        return self

    def __exit__(self, *exc: object) -> None:
        self._clock.unsubscribe(self._wake)

    def poke(self) -> None:
        """Wake it at once; to be called in its event loop."""
        self._moved.set()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._moved.set)

    async def next(self, sooner: float = math.inf) -> None:
        """Wait for the next moment to look at the market, at most `sooner` real seconds while the clock runs."""
        if self._clock.speed:
            try:
                await asyncio.wait_for(self._moved.wait(), min(self._interval, sooner))
            except TimeoutError:
                return
        else:
            await self._moved.wait()
        self._moved.clear()
