"""How often and after which waits something is tried again. The waits are a pure function; `retrying` applies them to a
callable."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from trading_assets.reliability.numbers import is_number

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Exponential waits with jitter. Times are seconds.

    The wait before attempt n + 1 is `wait_initial * factor ** (n - 1)`, at most `wait_max`, plus a random part of up to
    `jitter` times itself, so that processes that failed together do not come back together.
    """

    attempts: int = 4
    wait_initial: float = 1.0
    wait_max: float = 60.0
    factor: float = 2.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        bounded = ((self.wait_initial, 0), (self.wait_max, 0), (self.factor, 1), (self.jitter, 0))
        if not is_number(self.attempts, 1, whole=True) or not all(is_number(*each) for each in bounded):
            raise ValueError(
                f"{self}: attempts must be a whole number and at least 1, factor at least 1, waits and jitter not"
                " negative."
            )

    def wait(self, attempt: int) -> float:
        """Seconds to wait after the failure of attempt number `attempt` (from 1)."""
        exponent = min(attempt - 1, 64)  # 2 ** 64 is past every wait_max and still a finite float
        base = min(self.wait_max, self.wait_initial * self.factor**exponent)
        return base * (1.0 + random.random() * self.jitter)

    def waits(self) -> Iterator[float]:
        """The waits between all attempts: `attempts - 1` of them."""
        return (self.wait(n) for n in range(1, self.attempts))

    def retrying(
        self,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `function` until it returns; failures are `ConnectionError`, `TimeoutError` and errors whose `retryable`
        is true.

        The error of the last attempt is raised, any other error at once.
        """
        for wait in self.waits():
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if not _retryable(error):
                    raise
            time.sleep(wait)
        return function(*args, **kwargs)


def _retryable(error: Exception) -> bool:
    return bool(getattr(error, "retryable", isinstance(error, ConnectionError | TimeoutError)))
