"""Circuit breaker and retry, with state that processes can share. Imports nothing else of the platform."""

from __future__ import annotations

from trading_assets.reliability.breaker import (
    BreakerOpen,
    BreakerState,
    BreakerStore,
    CircuitBreaker,
    MemoryStore,
    Phase,
)
from trading_assets.reliability.retry import RetryConfig

__all__ = ["BreakerOpen", "BreakerState", "BreakerStore", "CircuitBreaker", "MemoryStore", "Phase", "RetryConfig"]
