"""American options with cash dividends: prices, greeks and implied volatilities by binomial trees, compiled.

Each entry point takes contiguous float64 arrays of one length, and the dividends of the underlying of all options in
order of their ex-dates: `ex_years` from now, `amounts` in dollars. Units and conventions are those of
`pricing.american`, which also leaves out what early exercise cannot pay for; the method and its measured errors are in
docs/pricing.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trading_assets.pricing.conventions import DAYS_A_YEAR, MAX_VOLATILITY, MIN_VOLATILITY
from trading_assets.pricing.kernels.compiling import DELTA, GAMMA, PRICE, RHO, THETA, VEGA, compiled, inline
from trading_assets.pricing.kernels.terms import Cash, Grid, Option

COARSE_STEPS = 50
"""Steps of the smaller of the two trees; the larger has twice as many (N = 100)."""

_POINT = 0.01
_SQRT_HALF = math.sqrt(0.5)
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_ITERATIONS = 80
"""Enough halvings of [MIN, MAX] for full double precision; secant steps usually need 3 to 6."""
_SMOOTH_DEVIATIONS = 7.0
"""Standard deviations beyond which nothing matters in double precision: the last step has no time value, a spot is not
reached."""
_SHORTEST = 0.5
"""A stretch between two ex-dates is at least this part of a coarse step; nearer ones are one dividend."""
_WIDEST_STENCIL = 40
"""Nodes from the spot at which the outer prices of delta and gamma are taken at most."""
_PARTS = 8
"""Points whose mean is that of a cell."""
_RATE_BUMP = 0.001
"""Change of the interest rate (per 1.00) for rho."""


@inline
def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@inline
def _exercised(option: Option, spot: float) -> float:
    return max(option.sign * (spot - option.strike), 0.0)


@inline
def _last_step(option: Option, spot: float, years: float, volatility: float) -> float:
    """Value one step before expiry: exercise now, or a European option over the step."""
    forward, bond = spot * math.exp(-option.carry * years), option.strike * math.exp(-option.rate * years)
    deviation, sign = volatility * math.sqrt(years), option.sign
    distance = math.log(forward / bond)
    held = sign * (forward - bond)
    if abs(distance) <= _SMOOTH_DEVIATIONS * deviation + deviation * deviation:
        d1 = distance / deviation + 0.5 * deviation
        held = sign * (forward * _normal(sign * d1) - bond * _normal(sign * (d1 - deviation)))
    return max(held, _exercised(option, spot))


@inline
def _roll_back(
    option: Option, values: Any, powers: Any, start: float, nodes: int, first: int, h: float, dt: float
) -> None:
    """Values `first` steps after the start of a stretch back to its start, in place.

    The tree follows the forward: a node is start x exp((rate - carry) t) x exp(k h), h = volatility sqrt(dt), and the
    probability of a rise is 1 / (1 + exp(h)), between 0 and 1 for every input.
    """
    rise = 1.0 / (1.0 + math.exp(h))
    discount = math.exp(-option.rate * dt)
    up, down = discount * rise, discount * (1.0 - rise)
    struck = option.sign * option.strike
    for step in range(first - 1, -1, -1):
        count = nodes + step
        lowest = option.sign * start * math.exp((option.rate - option.carry) * dt * step - (count - 1) * h)
        for j in range(count):
            values[j] = max(up * values[j + 1] + down * values[j], lowest * powers[j] - struck)


@inline
def _after_dividend(option: Option, values: Any, grid: Grid, spot: float, volatility: float) -> float:
    """Value just after an ex-date at a spot between the nodes of the stretch that follows.

    Linear in the spot between two nodes, as options far in the money are; what the two nodes beyond differ from that
    line is interpolated in the logarithm of the spot (cubic, Lagrange).
    """
    if grid.last_step > 0.0:
        return _last_step(option, max(spot, 0.0), grid.last_step, volatility)
    if spot <= grid.lowest:  # many standard deviations below: a put is exercised, a call is worthless
        return max(option.strike - spot, values[0]) if option.sign < 0.0 else values[0] * max(spot, 0.0) / grid.lowest
    position = math.log(spot / grid.lowest) / (2.0 * grid.h)
    i = min(max(int(position) - 1, 0), grid.nodes - 4)
    part = (math.exp(2.0 * grid.h * (position - i - 1)) - 1.0) / (grid.ratio - 1.0)
    rise = values[i + 2] - values[i + 1]
    if position > grid.nodes - 1:  # as unlikely: a line to the end
        return values[i + 1] + part * rise
    first = values[i] - values[i + 1] + rise / grid.ratio
    last = values[i + 3] - values[i + 1] - rise * (grid.ratio + 1.0)
    a = position - i
    held = values[i + 1] + part * rise + (last * a - first * (a - 3.0)) * (a - 1.0) * (a - 2.0) / 6.0
    return max(held, _exercised(option, spot))


@inline
def _exchange(
    option: Option,
    values: Any,
    later: Any,
    powers: Any,
    count: int,
    lowest: float,
    h: float,
    cash: float,
    rest: float,
    volatility: float,
    refinement: int,
    grid: Grid,
) -> None:
    """Values just before an ex-date at the nodes: the better of exercise and the value after the dividend.

    Where the value has a kink between two nodes, a node takes the mean over its cell: the trees would converge unevenly
    otherwise, and could not be extrapolated. Where the best choice changes, that is the mean of a linear gain cut at 0;
    where expiry and the strike are near, it is the mean of `_PARTS` points.
    """
    deviation, usual = volatility * math.sqrt(rest), h * math.sqrt(refinement)
    reach = 2.0 * usual + 3.0 * deviation if deviation < 1.5 * usual else 0.0
    for j in range(count):  # what holding gains over exercise
        spot = lowest * powers[j]
        held = _after_dividend(option, later, grid, spot - cash, volatility)
        values[j] = held - option.sign * (spot - option.strike)
    before = values[0]
    for j in range(count):
        spot, gain = lowest * powers[j], values[j]
        if reach > 0.0 and spot > cash and abs(math.log((spot - cash) / option.strike)) < reach:
            total = 0.0
            for n in range(_PARTS):
                moved = spot * (1.0 + h * ((2 * n + 1) / _PARTS - 1.0))
                held = _after_dividend(option, later, grid, moved - cash, volatility)
                total += max(held, option.sign * (moved - option.strike))
            values[j] = total / _PARTS
        else:
            slope = 0.25 * abs(values[min(j + 1, count - 1)] - before)  # over half a cell
            mean = (gain + slope) ** 2 / (4.0 * slope) if abs(gain) < slope else max(gain, 0.0)
            values[j] = option.sign * (spot - option.strike) + mean
        before = gain


@inline
def _dividends_in_life(years: float, ex_years: Any, amounts: Any, times: Any, cash: Any) -> int:
    """The dividends with an ex-date after now and before expiry into `times` and `cash`; how many.

    Two nearer than half a coarse step become one at the earlier date.
    """
    shortest = _SHORTEST * years / COARSE_STEPS
    count = 0
    for i in range(len(ex_years)):
        if not 0.0 < ex_years[i] < years or amounts[i] == 0.0:
            continue
        if count > 0 and ex_years[i] - times[count - 1] < shortest:
            cash[count - 1] += amounts[i]
        else:
            times[count], cash[count] = ex_years[i], amounts[i]
            count += 1
    return count


@inline
def _tree(option: Option, volatility: float, dividends: Cash, refinement: int, out: Any) -> None:
    """Price, delta and gamma of one American option by a binomial tree of `refinement` x `COARSE_STEPS` steps.

    The life is cut at the ex-dates into stretches, each with a tree of its own whose steps divide it evenly. On an
    ex-date the values after it, at the spot less the dividend, are interpolated to the nodes before it.
    """
    years, drift = option.years, option.rate - option.carry
    times, cash, paid = dividends
    stretches = paid + 1
    # What is left after an ex-date shortly before expiry is the last step.
    ends_at_dividend = paid > 0 and years - times[paid - 1] < _SHORTEST * years / COARSE_STEPS
    if ends_at_dividend:
        stretches -= 1
    steps, nodes = np.empty(stretches, np.int64), np.empty(stretches, np.int64)
    lengths, centres, spacings = np.empty(stretches), np.empty(stretches), np.empty(stretches)
    most = 0
    for k in range(stretches):
        lengths[k] = (times[k] if k < paid else years) - (times[k - 1] if k > 0 else 0.0)
        steps[k] = refinement * max(1, int(COARSE_STEPS * lengths[k] / years + 0.5))
        h = volatility * math.sqrt(lengths[k] / steps[k])
        spacings[k] = h
        if k == 0:
            usual = volatility * math.sqrt(years / (refinement * COARSE_STEPS))
            centres[k], nodes[k] = option.spot, 1 + 2 * min(max(1, int(usual / h + 0.5)), _WIDEST_STENCIL)
        else:  # as wide as the stretch before, less the dividend, and two nodes more on each side
            before = centres[k - 1] * math.exp(drift * lengths[k - 1])
            width = (nodes[k - 1] - 1 + steps[k - 1]) * spacings[k - 1]
            centres[k] = max(before - cash[k - 1], 0.01 * before)
            upper = math.log(max(before * math.exp(width) - cash[k - 1], centres[k]) / centres[k])
            bottom = before * math.exp(-width) - cash[k - 1]
            lower = math.log(centres[k] / bottom) if bottom > 0.0 else math.inf
            likely = _SMOOTH_DEVIATIONS * volatility * math.sqrt(times[k - 1]) + nodes[0] * spacings[0]
            nodes[k] = 5 + 2 * math.ceil(min(max(upper, lower), likely) / (2.0 * h))
        most = max(most, nodes[k] + steps[k])
    values, powers, later = np.empty(most), np.empty(most), np.empty(most)
    for k in range(stretches - 1, -1, -1):
        h, dt, count = spacings[k], lengths[k] / steps[k], nodes[k] + steps[k]
        powers[0], ratio = 1.0, math.exp(2.0 * h)
        for j in range(1, count):
            powers[j] = powers[j - 1] * ratio
        known = steps[k] if k < paid else steps[k] - 1
        count = nodes[k] + known
        lowest = centres[k] * math.exp(drift * dt * known - (count - 1) * h)
        if k == paid:
            for j in range(count):
                values[j] = _last_step(option, lowest * powers[j], dt, volatility)
        else:
            rest = years - times[k]
            follows = k + 1 if k + 1 < stretches else 0  # 0: nothing but the last step
            bottom = centres[follows] * math.exp(-(nodes[follows] - 1) * spacings[follows])
            ratio = math.exp(2.0 * spacings[follows])
            grid = Grid(nodes[follows], bottom, spacings[follows], ratio, rest if follows == 0 else 0.0)
            _exchange(option, values, later, powers, count, lowest, h, cash[k], rest, volatility, refinement, grid)
        _roll_back(option, values, powers, centres[k], nodes[k], known, h, dt)
        for j in range(nodes[k]):
            later[j] = values[j]
    middle = nodes[0] // 2
    reach = math.exp(2.0 * middle * spacings[0])
    up, down = option.spot * reach - option.spot, option.spot - option.spot / reach
    above, below = (values[2 * middle] - values[middle]) / up, (values[middle] - values[0]) / down
    out[PRICE], out[DELTA] = values[middle], (above * down + below * up) / (up + down)
    out[GAMMA] = 2.0 * (above - below) / (up + down)


@inline
def _most(option: Option) -> float:
    """What the option can be worth at most: the share (a call) or the strike (a put), now or at expiry."""
    if option.sign > 0.0:
        return option.spot * max(math.exp(-option.carry * option.years), 1.0)
    return option.strike * max(math.exp(-option.rate * option.years), 1.0)


@inline
def _extrapolated(option: Option, volatility: float, dividends: Cash, out: Any) -> None:
    """Price, delta and gamma from trees of N and N/2 steps (Richardson)."""
    coarse = np.empty(3)
    _tree(option, volatility, dividends, 1, coarse)
    _tree(option, volatility, dividends, 2, out)
    for column in (PRICE, DELTA, GAMMA):
        out[column] = 2.0 * out[column] - coarse[column]
    out[PRICE] = min(max(out[PRICE], _exercised(option, option.spot)), _most(option))
    steepest = max(math.exp(-option.carry * option.years), 1.0)
    out[DELTA] = option.sign * min(max(option.sign * out[DELTA], 0.0), steepest)
    out[GAMMA] = max(out[GAMMA], 0.0)


@inline
def _value(option: Option, volatility: float, dividends: Cash, out: Any) -> None:
    """Price and greeks of one American option into `out`."""
    spot, strike, years, sign, rate, carry = option
    if not (years > 0.0 and spot > 0.0 and strike > 0.0 and volatility >= 0.0):
        for column in range(6):
            out[column] = math.nan
        return
    volatility = max(volatility, MIN_VOLATILITY)
    _extrapolated(option, volatility, dividends, out)
    high, low = np.empty(6), np.empty(6)
    bump = min(max(0.005, 0.02 * volatility), 0.5 * volatility)
    _extrapolated(option, volatility + bump, dividends, high)
    _extrapolated(option, volatility - bump, dividends, low)
    out[VEGA] = max(_POINT * (high[PRICE] - low[PRICE]) / (2.0 * bump), 0.0)
    _extrapolated(Option(spot, strike, years, sign, rate + _RATE_BUMP, carry), volatility, dividends, high)
    _extrapolated(Option(spot, strike, years, sign, rate - _RATE_BUMP, carry), volatility, dividends, low)
    out[RHO] = _POINT * (high[PRICE] - low[PRICE]) / (2.0 * _RATE_BUMP)
    if out[PRICE] <= sign * (spot - strike) * (1.0 + 1e-12):
        out[THETA] = 0.0  # exercised now: nothing decays
    else:  # the Black-Scholes equation, which holds wherever the option is held
        drift = (rate - carry) * spot * out[DELTA] + 0.5 * (volatility * spot) ** 2 * out[GAMMA]
        out[THETA] = (rate * out[PRICE] - drift) / DAYS_A_YEAR


@inline
def _implied(option: Option, price: float, start: float, dividends: Cash) -> float:
    """Implied volatility of one American option, NaN where there is none: secant steps inside a shrinking bracket."""
    spot, strike, years, _, rate, carry = option
    if not (spot > 0.0 and strike > 0.0 and years > 0.0):
        return math.nan
    if not (_exercised(option, spot) < price < _most(option)):
        return math.nan
    out = np.empty(6)
    volatility = start
    root = math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate - carry) * years) / (volatility * root) + 0.5 * volatility * root
    slope = spot * root * _INVERSE_SQRT_2PI * math.exp(-0.5 * d1 * d1)
    low, high = MIN_VOLATILITY, MAX_VOLATILITY
    before, error_before = math.nan, math.nan
    for _ in range(_ITERATIONS):
        _extrapolated(option, volatility, dividends, out)
        error = out[PRICE] - price
        if error > 0.0:
            high = volatility
        else:
            low = volatility
        if not math.isnan(before) and error != error_before:
            slope = (error - error_before) / (volatility - before)
        step = volatility - error / slope if slope > 0.0 else math.inf
        before, error_before = volatility, error
        volatility = step if low < step < high else math.sqrt(low * high)
        if abs(volatility - before) <= 1e-7 * before:
            break
    inside = MIN_VOLATILITY * 1.001 < volatility < MAX_VOLATILITY * 0.999
    return volatility if inside else math.nan


@compiled
def values(
    spot: Any, strike: Any, years: Any, volatility: Any, sign: Any, rate: Any, carry: Any, ex_years: Any, amounts: Any
) -> Any:
    """Prices and greeks, one row an option and the six columns that `compiling` names; NaN without time or spot."""
    out = np.empty((len(spot), 6))
    times, cash = np.empty(len(ex_years)), np.empty(len(ex_years))
    for i in range(len(spot)):
        count = _dividends_in_life(years[i], ex_years, amounts, times, cash)
        option = Option(spot[i], strike[i], years[i], sign[i], rate[i], carry[i])
        _value(option, volatility[i], Cash(times, cash, count), out[i])
    return out


@compiled
def implied(
    price: Any,
    start: Any,
    spot: Any,
    strike: Any,
    years: Any,
    sign: Any,
    rate: Any,
    carry: Any,
    ex_years: Any,
    amounts: Any,
) -> Any:
    """Implied volatilities, NaN where there is none; `start` is a first guess of each."""
    out = np.empty(len(spot))
    times, cash = np.empty(len(ex_years)), np.empty(len(ex_years))
    for i in range(len(spot)):
        count = _dividends_in_life(years[i], ex_years, amounts, times, cash)
        option = Option(spot[i], strike[i], years[i], sign[i], rate[i], carry[i])
        out[i] = _implied(option, price[i], start[i], Cash(times, cash, count))
    return out
