"""The arithmetic of pacing: when the next message may go, when a small-bar request may go, how slots are shared.

Pure functions over plain values; `broker.pacing` applies them in transactions. Sources of the limits: `Settings` holds
our values, a safe distance under the broker's ("Historical Data Limitations", "Pacing Limitations").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BURST_WINDOW = 2.0
"""Seconds of the rule for one contract, exchange and tick type [broker documentation]."""

LONG_WINDOW = 600.0
"""Seconds of the rule over all small-bar requests [broker documentation]."""

CATCH_UP = 2.0
"""How much faster than on average messages may follow each other after a pause."""

WINDOW_MARGIN = 0.25
"""Seconds that windows are taken longer: the broker counts on arrival, and two messages can travel for different
times."""


@dataclass(frozen=True, slots=True)
class SmallRules:
    """Limits of small-bar requests: at most `in_burst` in 2 s for a contract and tick type, weights of at most
    `in_long` in 600 s, `identical` seconds between equal ones."""

    in_burst: int
    in_long: int
    identical: float


@dataclass(frozen=True, slots=True)
class SmallSend:
    """A small-bar request that was sent: when (seconds), and what the rules look at."""

    at: float
    key: str
    contract_tick_key: str
    weight: int


def small_ready_at(
    history: Sequence[SmallSend], key: str, contract_tick_key: str, weight: int, now: float, rules: SmallRules
) -> float:
    """The earliest instant not before `now` at which the request breaks no rule, given the sends so far (in any
    order)."""
    ready = now
    for send in history:
        if send.key == key:
            ready = max(ready, send.at + rules.identical)
    burst = sorted(send.at for send in history if send.contract_tick_key == contract_tick_key)
    if len(burst) >= rules.in_burst:
        ready = max(ready, burst[-rules.in_burst] + BURST_WINDOW + WINDOW_MARGIN)
    total = weight
    for send in sorted(history, key=lambda s: -s.at):  # the youngest sends that still leave room set the instant
        total += send.weight
        if total > rules.in_long:
            ready = max(ready, send.at + LONG_WINDOW + WINDOW_MARGIN)
            break
    return ready


def window_count(rate: float) -> int:
    """How many messages the sliding window of the message rate holds."""
    return math.ceil(rate) + 1


def message_slots(recent: Sequence[float], now: float, rate: float, count: int) -> tuple[list[float], list[float]]:
    """Take `count` message slots (seconds), given the recent ones in order; returns them and the new recent ones.

    Two rules: at most `ceil(rate) + 1` slots in any window of `(ceil(rate) + 1) / rate` seconds (49 in 1.021 s at 48 a
    second, so 49 in any second even when each leaves 20 ms late), and `CATCH_UP` times the rate between
    neighbours. The second spreads them; the first alone lets a stalled process make up for what it missed.
    """
    most = window_count(rate)
    slots = list(recent[-most:])
    for _ in range(count):
        at = now
        if slots:
            at = max(at, slots[-1] + 1.0 / (CATCH_UP * rate))
        if len(slots) >= most:
            at = max(at, slots[-most] + most / rate)
        slots.append(at)
    return slots[-count:], slots[-most:]


@dataclass(frozen=True, slots=True)
class Stake:
    """What one process holds and wants (in use and waiting) of a shared number of slots."""

    held: int
    wanted: int


def fair_share(limit: int, wants: Mapping[str, int]) -> dict[str, int]:
    """Divide `limit` slots: nobody gets more than wanted, what one leaves is divided among the others, ties by name.

    Every process that wants something gets at least one as long as there are enough.
    """
    shares = dict.fromkeys(wants, 0)
    left = limit
    hungry = sorted(name for name, want in wants.items() if want > 0)
    while left and hungry:
        each = max(1, left // len(hungry))
        for name in list(hungry):
            grant = min(each, wants[name] - shares[name], left)
            shares[name] += grant
            left -= grant
            if shares[name] >= wants[name]:
                hungry.remove(name)
    return shares


def rebalanced(limit: int, me: str, in_use: int, waiting: int, others: Mapping[str, Stake]) -> tuple[int, int]:
    """My new `(held, target)` of `limit` slots, given what I use and wait for, and the stakes of the others.

    `held` never brings the sum over the limit and never drops below what is in use; new requests stay within `target`,
    so that `held` falls to the fair share as answers come.
    """
    wants = {name: max(stake.wanted, 0) for name, stake in others.items()}
    wants[me] = in_use + waiting
    target = fair_share(limit, wants)[me]
    free = limit - sum(stake.held for stake in others.values())
    held = max(in_use, min(target, free))
    return held, min(target, held)
