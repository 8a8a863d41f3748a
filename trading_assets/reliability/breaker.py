"""The circuit breaker: after several failures in a row, stop calling for a while, then try once.

Here belongs the rule and the in-memory store. A store that several processes share lives where the state
database is known (`broker.breaker_store`); it implements `BreakerStore`.

    closed --failure_threshold failures in a row--> open --recovery_timeout--> half open (one trial call)
      ^                                              ^                              |
      |                                              +----------- failure ----------+
      +---------------------------------------------------------- success ----------+
"""

from __future__ import annotations

import functools
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Literal, ParamSpec, Protocol, Self, TypeVar

from trading_assets.reliability.numbers import is_number

P = ParamSpec("P")
T = TypeVar("T")

SUCCESS_SECONDS = 1.0
"""Seconds after a reported success during which further successes of the same breaker are not written to a shared
store. For at most that long, failures of other processes count as consecutive although this process is answered."""

FAILURES: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError)
"""What counts as a failure by default: the other side is unreachable or silent. An answer such as "no data" never
raises these."""


class BreakerOpen(RuntimeError):
    """The breaker is open: the call was not made. `seconds_left` says when to come back."""

    retryable = True

    def __init__(self, name: str, seconds_left: float) -> None:
        self.name = name
        self.seconds_left = max(0.0, seconds_left)
        super().__init__(
            f"The circuit breaker '{name}' is open after repeated failures: nothing was sent. "
            f"It allows one trial call in {self.seconds_left:.0f} s; see that the other side is up, then run again."
        )


class Phase(StrEnum):
    """The phases of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What is remembered of a breaker. Instants are epoch seconds; `trial` names who makes the trial call."""

    phase: Phase = Phase.CLOSED
    failures: int = 0
    opened_at: float = 0.0
    trial: str = ""
    trial_at: float = 0.0


class BreakerStore(Protocol):
    """Where states live. `transact` reads, changes and writes one state atomically and returns the new one.

    A store that several machines share has a method `now` beside it: epoch seconds by a clock that is the same for all.
    """

    def transact(self, name: str, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        """Change the state of a breaker atomically; the new one."""
        ...


class MemoryStore:
    """States of this process, by breaker name."""

    def __init__(self) -> None:
        self._states: dict[str, BreakerState] = {}
        self._lock = threading.Lock()

    def transact(self, name: str, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        """Change the state of a breaker under a lock; the new one."""
        with self._lock:
            state = self._states[name] = change(self._states.get(name, BreakerState()))
            return state


@dataclass(slots=True)
class _Block:
    """A `with` block that is being run. `told`: a breaker inside of it has seen what its calls came to."""

    breaker: CircuitBreaker
    told: bool = False


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("trading_assets_breaker_blocks", default=())
"""The blocks around what runs now, the innermost last."""


_PROCESS = MemoryStore()
"""The default store. One for the process, so that `with CircuitBreaker(...)` remembers from one block to the next."""


class CircuitBreaker:
    """Guards calls to something that can be down. A context manager and a decorator.

        with CircuitBreaker(failure_threshold=5, recovery_timeout=300):
            data = client.get(...)

    Breakers with one name and store share their state; with `store=trading_assets.breaker_store()` it is that of the
    platform, which `status` shows. `recovery_timeout` is in seconds. An exception of one of the types `failures` that
    leaves the block, or one whose `retryable` is true, counts as a failure; any other exception, and none, shows that
    the other side answers and counts as a success; one of the types `ignored` says nothing of that and counts as
    neither. Entering raises `BreakerOpen` while the breaker is open.

    A breaker made with `inside=True`, as the platform's is, may be used inside of a block of the same name and store:
    it makes the trial call of that block, and what it has seen counts once. The end of the block says nothing more.

    While half open exactly one caller, over all processes that share the store, makes the trial call. A caller that
    dies during its trial is replaced after another `recovery_timeout`.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 300.0,
        name: str = "broker",
        store: BreakerStore | None = None,
        *,
        inside: bool = False,
        failures: tuple[type[BaseException], ...] = FAILURES,
        ignored: tuple[type[BaseException], ...] = (),
        raises: Callable[[str, float], BaseException] = BreakerOpen,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not is_number(failure_threshold, 1, whole=True):
            raise ValueError(
                f"failure_threshold is {failure_threshold!r}: it must be a whole number of failures and at least 1."
            )
        if not is_number(recovery_timeout, 0):
            raise ValueError(f"recovery_timeout is {recovery_timeout!r}: it must be a number of seconds, 0 or more.")
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout
        self.name = name
        self._store = store or _PROCESS
        self._inside = inside
        self._failures = failures
        self._ignored: tuple[type[BaseException], ...] = (BreakerOpen, *ignored)
        self._raises = raises
        shared: Callable[[], float] = getattr(self._store, "now", time.time)
        self._clock = clock if clock is not None else shared
        self._me = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._succeeded = float("-inf")

    @property
    def state(self) -> BreakerState:
        """The present state as stored."""
        return self._store.transact(self.name, lambda state: state)

    @property
    def clean(self) -> bool:
        """Whether this breaker has reported a success to a shared store in the last `SUCCESS_SECONDS`, and no failure
        since: a further success is not written."""
        return hasattr(self._store, "now") and time.monotonic() - self._succeeded < SUCCESS_SECONDS

    def acquire(self) -> Literal[Phase.CLOSED, Phase.HALF_OPEN]:
        """Ask leave for a call. CLOSED: go on. HALF_OPEN: this caller makes the one trial call and must report its end.

        Raises `BreakerOpen` (or what `raises` makes) when no call may be made now.
        """
        now, around = self._clock(), self._enclosing()
        state = self._store.transact(self.name, lambda old: self._admitted(old, now, around))
        if state.phase is Phase.CLOSED:
            return Phase.CLOSED
        if state.phase is Phase.HALF_OPEN and state.trial == self._me and state.trial_at == now:
            self._succeeded = float("-inf")
            return Phase.HALF_OPEN
        since = state.opened_at if state.phase is Phase.OPEN else state.trial_at
        raise self._raises(self.name, since + self.recovery_timeout - now)

    def record_success(self) -> None:
        """The other side answered: close the breaker and forget its failures."""
        self._enclosing()
        if self.clean:  # spare the shared store a look for every single answer
            return
        self._store.transact(self.name, lambda _: BreakerState())
        self._succeeded = time.monotonic()

    def record_failure(self) -> BreakerState:
        """The other side failed. Opens the breaker at the threshold, or at once when this was the trial call."""
        now = self._clock()
        self._enclosing()
        self._succeeded = float("-inf")
        return self._store.transact(self.name, lambda old: self._after_failure(old, now))

    def release(self) -> None:
        """Give a trial back without an outcome (the call was withdrawn before it was made)."""
        self._store.transact(
            self.name,
            lambda old: replace(old, phase=Phase.OPEN, trial="", trial_at=0.0) if old.trial == self._me else old,
        )

    def reset(self) -> None:
        """Close the breaker by hand."""
        self._store.transact(self.name, lambda _: BreakerState())

    def _enclosing(self) -> set[str]:
        """Who makes the calls of the blocks around this one; the blocks are told that it sees what they come to."""
        around = [
            block
            for block in _blocks.get()
            if self._inside and (block.breaker.name, block.breaker._store) == (self.name, self._store)
        ]
        for block in around:
            block.told = True
        return {block.breaker._me for block in around}

    def _admitted(self, old: BreakerState, now: float, around: set[str]) -> BreakerState:
        if old.phase is Phase.CLOSED:
            return old
        if old.phase is Phase.HALF_OPEN and old.trial in around:
            return replace(old, trial=self._me, trial_at=now)
        since = old.opened_at if old.phase is Phase.OPEN else old.trial_at
        if now - since < self.recovery_timeout:
            return old
        return replace(old, phase=Phase.HALF_OPEN, trial=self._me, trial_at=now)

    def _after_failure(self, old: BreakerState, now: float) -> BreakerState:
        failures = old.failures + 1
        if old.phase is Phase.CLOSED and failures < self.failure_threshold:
            return replace(old, failures=failures)
        # a call admitted before it opened: not the trial's verdict
        if old.phase is Phase.HALF_OPEN and old.trial != self._me:
            return replace(old, failures=failures)
        opened_at = old.opened_at if old.phase is Phase.OPEN else now
        return BreakerState(Phase.OPEN, failures, opened_at)

    def __enter__(self) -> Self:
        self.acquire()
        _blocks.set((*_blocks.get(), _Block(self)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks = _blocks.get()
        mine = next((block for block in reversed(blocks) if block.breaker is self), None)
        _blocks.set(tuple(block for block in blocks if block is not mine))
        if isinstance(error, self._ignored) or (mine is not None and mine.told):
            self.release()
        elif isinstance(error, self._failures) or (error is not None and getattr(error, "retryable", False)):
            self.record_failure()
        elif error is None or isinstance(error, Exception):
            self.record_success()
        else:  # KeyboardInterrupt, SystemExit, cancellation: says nothing about the other side
            self.release()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            with self:
                return function(*args, **kwargs)

        return guarded
