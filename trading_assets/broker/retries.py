"""How long a failed request waits before it is sent again, by what failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from trading_assets.broker.codes import Retry, lookup
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.reliability import RetryConfig


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits. How often a request is sent at most is `settings.max_attempts`."""

    pacing: RetryConfig = field(default_factory=lambda: RetryConfig(wait_initial=5.0, wait_max=60.0))
    """The broker's windows are 15 s and 10 min; it asks to be left alone for a moment."""
    later: RetryConfig = field(default_factory=lambda: RetryConfig(wait_initial=0.5, wait_max=30.0))
    """Disconnects (the client waits for the connection itself), timeouts and passing errors."""
    user: RetryConfig = field(default_factory=lambda: RetryConfig(wait_initial=5.0, wait_max=30.0))
    """Another session of the same user: it may be a short one."""

    def after(self, outcome: Outcome, tries: int) -> float:
        """Seconds to wait after the failure of try number `tries` (from 1)."""
        row = None if outcome.code is None else lookup(outcome.code, outcome.text)
        if outcome.kind is OutcomeKind.PACING or (row is not None and row.retry is Retry.PACING):
            return self.pacing.wait(tries)
        return (self.user if row is not None and row.retry is Retry.USER else self.later).wait(tries)
