"""How long the simulated TWS takes to answer. Deterministic: the same answer always takes the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LatencySetting = Literal["none", "real"] | float | int
"""`none`: at once. `real`: as slow as the broker. A number: that many seconds for every data answer."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a request's arrival to its answer."""

    setting: LatencySetting = "none"

    def __post_init__(self) -> None:
        if self.setting not in ("none", "real") and (isinstance(self.setting, str) or self.setting < 0):
            raise ValueError(f"Latency must be 'none', 'real' or a number of seconds, not {self.setting!r}.")

    def seconds(self, base: float, per_row: float, rows: int) -> float:
        """A data answer of so many rows; `base` and `per_row` apply to "real"."""
        if self.setting == "none":
            return 0.0
        if self.setting == "real":
            return base + per_row * rows
        return float(self.setting)

    def bars(self, count: int) -> float:
        """Historical bars: 7,800 bars were seen to take 2.4 s, a few some 0.4 s."""
        return self.seconds(0.4, 0.00026, count)

    def contracts(self, count: int) -> float:
        """Contract details: the vaguer the question the slower; a whole expiry takes seconds."""
        return self.seconds(0.15, 0.004, count)

    def light(self) -> float:
        """Option parameters, symbol search, first ticks of a stream."""
        return self.seconds(0.2, 0.0, 0)

    def snapshot(self) -> float:
        """From the first ticks of a snapshot to its end: TWS waits up to 11 s, mostly some 2 s."""
        return 2.0 if self.setting == "real" else 0.0
