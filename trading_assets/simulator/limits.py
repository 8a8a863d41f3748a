"""The broker's limits as meters. Pure: they are told what happens when, count violations, and never sleep.

Times are seconds of a monotonic clock. A meter is given an `Arrival`, not an instant: the server may have been kept
from its sockets (a busy machine, the interpreter's lock), and messages that then arrive together may have been sent
any time since it last looked. A rule is violated only if it is violated for every possible moment of sending, so the
simulator's own stalls never show as a client's violation. On an idle machine the doubt is some milliseconds.

Source of the numbers: broker documentation, "Pacing Limitations" and "Historical Data Limitations".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the simulated TWS allows. Counts are for the whole TWS, all clients together."""

    messages_per_second: int = 50
    """Market-data lines / 2."""
    on_message_rate: Literal["reject", "pace"] = "reject"
    """TWS setting "Reject messages above maximum allowed message rate vs applying pacing": error 100 and a disconnect
    at the third strike, or slower reading. A client that connects with `+PACEAPI` is always paced."""
    strikes: int = 3
    """Error 100 this often ends the connection."""
    open_history: int = 50
    """Historical requests open at once."""
    small_bar_identical: float = 15.0
    """Seconds in which an identical request for bars of 30 s or less is a violation."""
    small_bar_burst: int = 6
    """This many such requests for one contract, exchange and tick type within `small_bar_burst_window` are a
    violation."""
    small_bar_burst_window: float = 2.0
    small_bar_total: int = 60
    """Most such requests in `small_bar_total_window`; BID_ASK counts twice."""
    small_bar_total_window: float = 600.0
    realtime_bars: int = 60
    """New real-time bar subscriptions in `realtime_bars_window`."""
    realtime_bars_window: float = 600.0
    market_data_lines: int = 100
    clients: int = 32
    matching_symbols_interval: float = 1.0
    """Seconds between symbol searches; a faster one is answered late."""
    enforced: bool = True
    """False: nothing is refused or slowed; violations are counted all the same."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a message was sent: not before `earliest`, not after `latest` (when the server read it)."""

    earliest: float
    latest: float


class Window:
    """A sliding window of `seconds` that holds at most `capacity` of weight."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._events: deque[tuple[float, int]] = deque()
        self._weight = 0

    def add(self, arrival: Arrival, weight: int = 1) -> int:
        """Record an event; returns the weight in the window when it is above capacity beyond doubt, else 0."""
        while self._events and arrival.latest - self._events[0][0] >= self._seconds:
            self._weight -= self._events.popleft()[1]
        self._events.append((arrival.earliest, weight))
        self._weight += weight
        return self._weight if self._weight > self._capacity else 0

    def remove_last(self) -> None:
        """Take back the event added last: it was held back and will come again."""
        self._weight -= self._events.pop()[1]

    def wait(self, now: float) -> float:
        """Seconds until one more event of weight 1 fits."""
        while self._events and now - self._events[0][0] >= self._seconds:
            self._weight -= self._events.popleft()[1]
        if self._weight < self._capacity:
            return 0.0
        return self._events[0][0] + self._seconds - now

    @property
    def idle(self) -> bool:
        """Whether nothing is recorded any more."""
        return not self._events


class SmallBarMeter:
    """The three rules for bars of 30 s or less and for head timestamps."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = Window(limits.small_bar_total, limits.small_bar_total_window)
        self._bursts: dict[str, Window] = {}
        self._last: dict[str, float] = {}

    def add(self, arrival: Arrival, contract_tick: str, question: str, weight: int = 1) -> str:
        """Record a request; returns what it violates in words, empty if nothing.

        `contract_tick` is contract, exchange and tick type; `question` the whole request without its id.
        """
        limits = self._limits
        broken: list[str] = []
        last = self._last.get(question)
        if last is not None and arrival.latest - last < limits.small_bar_identical:
            broken.append(f"identical request within {limits.small_bar_identical:g} s")
        burst = self._bursts.setdefault(
            contract_tick, Window(limits.small_bar_burst - 1, limits.small_bar_burst_window)
        )
        if count := burst.add(arrival):
            broken.append(f"{count} requests for one contract and tick type within {limits.small_bar_burst_window:g} s")
        if count := self._total.add(arrival, weight):
            broken.append(f"{count} requests within {limits.small_bar_total_window:g} s")
        self._last[question] = arrival.earliest
        self._forget(arrival.latest)
        return "; ".join(broken)

    def _forget(self, now: float) -> None:
        if len(self._last) > 4096:
            self._last = {q: at for q, at in self._last.items() if now - at < self._limits.small_bar_identical}
        if len(self._bursts) > 4096:
            for window in self._bursts.values():
                window.wait(now)
            self._bursts = {key: window for key, window in self._bursts.items() if not window.idle}


class Gauge:
    """A count of things in use with a most that may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    def take(self) -> bool:
        """Use one more; False when that is above the most (it is counted as used all the same)."""
        self.used += 1
        return self.used <= self.most

    def give(self) -> None:
        """Give one back."""
        self.used -= 1


class Meters:
    """All meters of one simulated TWS."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.messages = Window(limits.messages_per_second, 1.0)
        self.history = Gauge(limits.open_history)
        self.lines = Gauge(limits.market_data_lines)
        self.clients = Gauge(limits.clients)
        self.small_bars = SmallBarMeter(limits)
        self.realtime_bars = Window(limits.realtime_bars, limits.realtime_bars_window)
        self.searches = Window(1, limits.matching_symbols_interval)
