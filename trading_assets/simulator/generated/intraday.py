"""What happens inside a session: minutes between a daily bar's four prices, and seconds between a minute's.

`fill` is the one construction behind both: a path of whole ticks that starts at the open, ends at the close, touches
the high and the low and never leaves them, with volumes and counts that add up exactly. So every larger bar is the
aggregation of the smaller ones, and the daily bar is known without its minutes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trading_assets.simulator.generated.columns import NO_ROWS, Columns, Floats, Ints, concatenate
from trading_assets.simulator.generated.paths import Path
from trading_assets.simulator.generated.randomness import stream
from trading_assets.simulator.generated.timeline import POST_MINUTES, PRE_OPEN, REGULAR_OPEN, Timeline

SECONDS = 60

_PRE_SHARE, _POST_SHARE = 0.012, 0.018
"""Volume before and after regular hours as parts of the regular volume, as in recorded minutes of large stocks."""
_PRE_MINUTES, _POST_TRADED = 110, 80
"""How many minutes before and after regular hours have trades."""
_OUTSIDE_MOVE = 0.0008
"""Standard deviation of the prices' moves before and after regular hours."""

Filled = tuple[Ints, Ints, Ints, Ints, Ints, Ints]
"""open, high, low, close in ticks, volume, count: one row a step."""


def share_out(total: int, weights: Floats) -> Ints:
    """Whole numbers in proportion to `weights` that add up to `total` exactly."""
    edges = np.cumsum(weights)
    parts: Ints = np.diff(np.rint(total * (edges / edges[-1])).astype(np.int64), prepend=0)
    return parts


def fill(
    rng: np.random.Generator,
    ticks: tuple[int, int, int, int],
    volume: int,
    count: int,
    steps: int,
    high_step: int,
    low_step: int,
    weights: Floats,
) -> Filled:
    """Divide one bar into `steps` bars.

    `ticks` are open, high, low, close; the high is reached at the end of step `high_step` - 1, the low likewise. Each
    step gets at least one trade if `count` allows (`count` 0 for an index: no volume at all).
    """
    opened, high, low, closed = ticks
    if steps < 8:
        points = np.rint(np.linspace(opened, closed, steps + 1)).astype(np.int64)
        highs, lows = np.maximum(points[:-1], points[1:]), np.minimum(points[:-1], points[1:])
        highs[0], lows[-1] = high, low
    else:
        knots = np.array([0, high_step, low_step, steps])
        values = np.array([opened, high, low, closed], dtype=np.float64)
        if low_step < high_step:
            knots[[1, 2]], values[[1, 2]] = knots[[2, 1]], values[[2, 1]]
        noise = rng.standard_normal(2 * steps)
        walk = np.concatenate(([0.0], np.cumsum(noise[:steps])))
        at = np.arange(steps + 1)
        scale = (high - low) / (1.6 * np.sqrt(steps))
        path = np.interp(at, knots, values - scale * walk[knots]) + scale * walk
        path = low + np.abs(high - np.abs(high - path) - low)  # reflected at both ends
        points = np.rint(np.clip(path, low, high)).astype(np.int64)
        wick = np.rint(np.abs(noise[steps:]) * (0.5 * scale)).astype(np.int64)
        highs = np.minimum(np.maximum(points[:-1], points[1:]) + wick, high)
        lows = np.maximum(np.minimum(points[:-1], points[1:]) - wick[::-1], low)
    if count >= steps:
        busy = weights * rng.exponential(1.0, steps)
        counts = 1 + share_out(count - steps, busy)
        volumes = counts + share_out(volume - count, busy)
    else:
        volumes, counts = np.zeros(steps, dtype=np.int64), np.zeros(steps, dtype=np.int64)
    return points[:-1], highs, lows, points[1:], volumes, counts


def minutes_of(path: Path, session: int, timeline: Timeline, seed: int) -> Columns:
    """The regular minutes of a session with trades, as traded (dollars). Halted minutes are missing."""
    halted = int(path.halt_minutes[session])
    minute = np.arange(int(timeline.minutes[session]))
    if halted:
        begin = int(path.halt_start[session])
        minute = np.concatenate((minute[:begin], minute[begin + halted :]))
    rng = stream(seed, path.underlying.symbol, timeline.dates[session], "minutes")
    ticks = (int(path.open[session]), int(path.high[session]), int(path.low[session]), int(path.close[session]))
    filled = fill(
        rng, ticks, int(path.volume[session]), int(path.count[session]), len(minute), int(path.high_step[session]),
        int(path.low_step[session]), _busy_day(len(minute)),
    )  # fmt: skip
    return _columns(session, (minute + REGULAR_OPEN) * 60, filled)


def outside_hours(path: Path, session: int, timeline: Timeline, seed: int) -> tuple[Columns, Columns]:
    """The minutes with trades before and after regular hours, as traded. None for an index."""
    if path.underlying.is_index:
        return NO_ROWS, NO_ROWS
    rng = stream(seed, path.underlying.symbol, timeline.dates[session], "outside hours")
    before = int(path.open[session])
    if session > path.first:
        before = round(float(path.close[session - 1] * path.shares[session - 1] / path.shares[session]))
    close_minute = REGULAR_OPEN + int(timeline.minutes[session])
    parts = []
    for first, length, traded, share, begin in (
        (PRE_OPEN, REGULAR_OPEN - PRE_OPEN, _PRE_MINUTES, _PRE_SHARE, before),
        (close_minute, POST_MINUTES, _POST_TRADED, _POST_SHARE, int(path.close[session])),
    ):
        end = int(path.open[session]) if first == PRE_OPEN else begin
        move = rng.standard_normal(4) * _OUTSIDE_MOVE
        opened, closed = max(1, round(begin * (1 + move[0]))), max(1, round(end * (1 + move[1])))
        high = round(max(opened, closed) * (1 + abs(move[2])))
        low = max(1, round(min(opened, closed) * (1 - abs(move[3]))))
        minute = np.sort(rng.choice(length, traded, replace=False)) + first
        count = traded + int(path.count[session] * share)
        volume = count + int(path.volume[session] * share)
        steps = rng.permutation(traded - 4)[:2] // 2 * 2 + 2
        filled = fill(
            rng,
            (opened, high, low, closed),
            volume,
            count,
            traded,
            int(steps[0]),
            int(steps[1] + (steps[0] == steps[1])),
            np.ones(traded),
        )
        parts.append(_columns(session, minute * 60, filled))
    return parts[0], parts[1]


def seconds_of(minute: Columns, words: tuple[object, ...], ticks_a_dollar: int = 100) -> Columns:
    """The seconds with trades of one minute bar (`minute` has one row), named by the words of its random stream.

    Prices stay on the tick; a minute without volume (of an index, of quotes) has all 60 seconds.
    """
    rng = stream(*words, int(minute.session[0]), int(minute.start[0]), "seconds")
    count = int(minute.count[0])
    steps = SECONDS if count == 0 else min(SECONDS, count)
    ticks = tuple(
        round(float(price[0]) * ticks_a_dollar) for price in (minute.open, minute.high, minute.low, minute.close)
    )
    second = np.sort(rng.choice(SECONDS, steps, replace=False))
    extremes = 2 + rng.permutation(max(steps - 3, 2))[:2]
    filled = fill(
        rng,
        (ticks[0], ticks[1], ticks[2], ticks[3]),
        int(minute.volume[0]),
        count,
        steps,
        int(extremes[0]),
        int(extremes[1]),
        np.ones(steps),
    )
    return _columns(int(minute.session[0]), int(minute.start[0]) + second, filled, ticks_a_dollar)


def all_hours(path: Path, session: int, timeline: Timeline, seed: int, regular: Columns) -> Columns:
    """The minutes from 04:00 to the end of the post-market; `regular` are the session's regular minutes."""
    before, after = outside_hours(path, session, timeline, seed)
    return concatenate((before, regular, after))


@lru_cache(maxsize=512)
def _busy_day(minutes: int) -> Floats:
    """Weights of a session's minutes: busy after the open and before the close (the U of intraday volume)."""
    at = np.linspace(-1.0, 1.0, minutes)
    weights: Floats = 0.55 + 1.3 * at**4 + 0.3 * at**2
    weights[0] *= 3.0
    weights[-1] *= 4.0
    weights.setflags(write=False)
    return weights


def _columns(session: int, start: Ints, filled: Filled, ticks_a_dollar: int = 100) -> Columns:
    volume, count = filled[4:]
    opened, high, low, closed = (ticks / ticks_a_dollar for ticks in filled[:4])
    wap = np.round((opened + high + low + closed) / 4.0, 4) * (volume > 0)
    return Columns(
        np.full(len(start), session, dtype=np.int64),
        start.astype(np.int64),
        opened,
        high,
        low,
        closed,
        volume,
        wap,
        count,
    )
