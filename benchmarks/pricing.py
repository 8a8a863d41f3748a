"""Benchmark of pricing, in CPU time on one core: implied volatilities and greeks of European and American options.

European volatilities are compared with the implementation in numpy that the compiled kernels replaced (kept here), and
American options with QuantLib's finite differences of 100 time steps and 200 prices: search for the volatility, price,
delta, gamma, theta, and two more prices each for vega and rho. Both sides run in this process. A ratio above 1 beside a
demand is well. Compiling and loading are done before and shown apart. Run: `python -m benchmarks.pricing`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from trading_assets.pricing import american, black_scholes
from trading_assets.pricing.conventions import MAX_VOLATILITY, MIN_VOLATILITY
from trading_assets_tests.pricing import quantlib

EUROPEAN_DEMANDED, EUROPEAN_RATIO_DEMANDED = 1_000_000, 5.0
AMERICAN_DEMANDED, AMERICAN_RATIO_DEMANDED = 5_000, 80.0
CHAIN_DEMANDED = 0.020
"""CPU seconds for 100 contracts."""
EUROPEAN, AMERICAN, REFERENCE, CHAIN = 1_000_000, 5_000, 40, 100
RATE = 0.03
EX_DAYS, DIVIDEND = (35, 126, 217, 308), 0.5

Floats = NDArray[np.float64]


def cpu_seconds(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of the fastest of some calls."""
    fastest = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        fastest = min(fastest, time.process_time() - began)
    return fastest


def options(count: int, seed: int) -> tuple[Floats, Floats, Floats, NDArray[np.str_]]:
    """Strikes around a spot of 100, whole days to expiry (40 to 400) in years, volatilities and rights."""
    rng = np.random.default_rng(seed)
    volatility = rng.uniform(0.15, 0.7, count)
    years = rng.integers(40, 400, count) / 365
    strike = 100 * np.exp(rng.uniform(-1.5, 1.5, count) * volatility * np.sqrt(years))
    return strike, years, volatility, rng.choice(["C", "P"], count)


def replaced(price: Floats, spot: float, strike: Floats, years: Floats, sign: Floats, rate: float) -> Floats:
    """Implied volatilities as they were computed before: Newton's method in a bracket, on whole numpy arrays."""
    forward, bond = np.full(len(price), spot), strike * np.exp(-rate * years)
    out = np.where(sign * (forward - bond) > 0, price - sign * (forward - bond), price)
    side = np.where(sign * (forward - bond) > 0, -sign, sign)
    low, high = np.full(len(price), MIN_VOLATILITY), np.full(len(price), MAX_VOLATILITY)

    def deviates(volatility: Floats) -> tuple[Floats, Floats]:
        deviation = volatility * np.sqrt(years)
        live = deviation > 0
        safe = np.where(live, deviation, 1.0)
        d1 = np.where(live, np.log(forward / bond) / safe + 0.5 * safe, 0.0)
        return d1, np.where(live, d1 - safe, 0.0)

    def value(volatility: Floats) -> Floats:
        d1, d2 = deviates(volatility)
        return side * (forward * ndtr(side * d1) - bond * ndtr(side * d2))

    ok = np.isfinite(price) & (out > value(low)) & (out < value(high))
    guess = np.clip(np.sqrt(2.0 * np.abs(np.log(forward / bond)) / years), 0.2, 3.0)
    for _ in range(80):
        error = value(guess) - out
        if not np.any(ok & (np.abs(error) > 1e-12 * bond)):
            break
        high, low = np.where(error > 0, guess, high), np.where(error > 0, low, guess)
        d1, _ = deviates(guess)
        slope = forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi) * np.sqrt(years)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = guess - error / slope
        inside = np.isfinite(newton) & (newton > low) & (newton < high)
        guess = np.where(inside, newton, 0.5 * (low + high))
    return np.where(ok, guess, np.nan)


def european() -> None:
    """Volatilities a second of European options, now and before."""
    strike, years, volatility, right = options(EUROPEAN, 1)
    price = black_scholes.price(100.0, strike, years, volatility, right, RATE)
    sign = np.where(right == "C", 1.0, -1.0)
    found = black_scholes.implied_volatility(price, 100.0, strike, years, right, RATE)
    assert np.nanmax(np.abs(found - volatility)) < 1e-6
    now = cpu_seconds(lambda: black_scholes.implied_volatility(price, 100.0, strike, years, right, RATE), 3)
    before = cpu_seconds(lambda: replaced(price, 100.0, strike, years, sign, RATE))
    rate, ratio = EUROPEAN / now, before / now
    print(f"European volatilities: {rate:,.0f}/s, demanded {EUROPEAN_DEMANDED:,}, ratio {rate / EUROPEAN_DEMANDED:.2f}")
    print(f"  before {EUROPEAN / before:,.0f}/s: {ratio:.1f} x, demanded {EUROPEAN_RATIO_DEMANDED:g} x")


def american_chain(count: int, seed: int) -> Callable[[], None]:
    """Volatility and all greeks of American options with four dividends a year."""
    strike, years, volatility, right = options(count, seed)
    dividends = [(days / 365, DIVIDEND) for days in EX_DAYS]
    price = american.price(100.0, strike, years, volatility, right, RATE, 0.0, dividends)

    def work() -> None:
        found = american.implied_volatility(price, 100.0, strike, years, right, RATE, 0.0, dividends)
        american.greeks(100.0, strike, years, found, right, RATE, 0.0, dividends)

    return work


def reference() -> float:
    """CPU seconds of one such option with QuantLib."""
    strike, years, volatility, right = options(REFERENCE, 2)
    dividends = [(days / 365, DIVIDEND) for days in EX_DAYS]
    price = american.price(100.0, strike, years, volatility, right, RATE, 0.0, dividends)
    days = np.round(years * 365).astype(int)

    def work() -> None:
        for k, life, v, side, worth in zip(strike, days, volatility, right, price, strict=True):
            paid = tuple((day, DIVIDEND) for day in EX_DAYS if day < life)
            terms = quantlib.Terms(100.0, float(k), int(life), 0.3, str(side), RATE, paid)
            found = quantlib.implied_volatility(float(worth), terms, 100, 200)
            assert abs(found - v) < 0.02
            quantlib.all_greeks(terms._replace(volatility=found), 100, 200)

    return cpu_seconds(work) / REFERENCE


def main() -> None:
    """Compile, measure, print."""
    began = time.process_time()
    american_chain(2, 0)()
    black_scholes.implied_volatility(5.0, 100.0, 100.0, 1.0, "C")
    print(f"loading the kernels (compiling them, when that is due): {time.process_time() - began:.2f} s")
    european()
    each = cpu_seconds(american_chain(AMERICAN, 3), 3) / AMERICAN
    rate, ratio = 1 / each, reference() / each
    print(f"American with greeks: {rate:,.0f}/s, demanded {AMERICAN_DEMANDED:,}, ratio {rate / AMERICAN_DEMANDED:.2f}")
    print(f"  QuantLib {rate / ratio:,.0f}/s: {ratio:.0f} x, demanded {AMERICAN_RATIO_DEMANDED:g} x")
    chain = cpu_seconds(american_chain(CHAIN, 4), 5)
    print(f"{CHAIN} contracts: {1000 * chain:.1f} ms, ratio {CHAIN_DEMANDED / chain:.1f} to the demand")


if __name__ == "__main__":
    main()
