"""QuantLib as the measure of American options: QdFp (accurate) without ex-dates, finite differences with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import QuantLib

_TODAY = QuantLib.Date(3, 6, 2013)
_DAY_COUNT = QuantLib.Actual365Fixed()
_BUMP = 1e-3
"""Part of the spot by which it is moved for a delta that an engine does not give."""


class Terms(NamedTuple):
    """An American option: dollars, calendar days, right C or P, volatility and rate per 1.00, dividends as (days to
    the ex-date, dollars)."""

    spot: float
    strike: float
    days: int
    volatility: float
    right: str
    rate: float = 0.0
    dividends: Sequence[tuple[int, float]] = ()


class Reference(NamedTuple):
    """Price (dollars) and delta."""

    price: float
    delta: float


def exact(terms: Terms) -> Reference:
    """An option without ex-dates by QdFp, to about ten digits."""
    assert not terms.dividends
    priced = {
        moved: _option(terms._replace(spot=terms.spot * (1 + moved)), None).NPV() for moved in (-_BUMP, 0.0, _BUMP)
    }
    return Reference(priced[0.0], (priced[_BUMP] - priced[-_BUMP]) / (2 * _BUMP * terms.spot))


def finite_differences(terms: Terms, time_steps: int = 400, spot_steps: int = 400) -> Reference:
    """An option by finite differences, cash dividends taken off the spot on their ex-dates."""
    option = _option(terms, (time_steps, spot_steps))
    return Reference(option.NPV(), option.delta())


def all_greeks(terms: Terms, time_steps: int, spot_steps: int) -> None:
    """Price, delta, gamma, theta of one grid, and vega and rho by two more each: the work of one row of greeks."""
    finite_differences(terms, time_steps, spot_steps)
    for change in (0.005, -0.005):
        _option(terms._replace(volatility=terms.volatility + change), (time_steps, spot_steps)).NPV()
        _option(terms._replace(rate=terms.rate + change), (time_steps, spot_steps)).NPV()


def implied_volatility(price: float, terms: Terms, time_steps: int, spot_steps: int) -> float:
    """QuantLib's own search for the volatility of a price."""
    option, process = _with_process(terms, (time_steps, spot_steps))
    dividends = _dividends(terms)
    return float(option.impliedVolatility(price, process, dividends, 1e-6, 100, 1e-3, 5.0))


def _dividends(terms: Terms) -> QuantLib.DividendVector:
    return QuantLib.DividendVector(
        [_TODAY + int(days) for days, _ in terms.dividends], [float(amount) for _, amount in terms.dividends]
    )


def _with_process(
    terms: Terms, grid: tuple[int, int] | None
) -> tuple[QuantLib.VanillaOption, QuantLib.BlackScholesMertonProcess]:
    QuantLib.Settings.instance().evaluationDate = _TODAY
    process = QuantLib.BlackScholesMertonProcess(
        QuantLib.QuoteHandle(QuantLib.SimpleQuote(float(terms.spot))),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(_TODAY, 0.0, _DAY_COUNT)),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(_TODAY, float(terms.rate), _DAY_COUNT)),
        QuantLib.BlackVolTermStructureHandle(
            QuantLib.BlackConstantVol(_TODAY, QuantLib.NullCalendar(), float(terms.volatility), _DAY_COUNT)
        ),
    )
    side = QuantLib.Option.Call if terms.right == "C" else QuantLib.Option.Put
    option = QuantLib.VanillaOption(
        QuantLib.PlainVanillaPayoff(side, float(terms.strike)),
        QuantLib.AmericanExercise(_TODAY, _TODAY + int(terms.days)),
    )
    if grid is None:
        engine = QuantLib.QdFpAmericanEngine(process, QuantLib.QdFpAmericanEngine.accurateScheme())
    else:
        engine = QuantLib.FdBlackScholesVanillaEngine(process, _dividends(terms), *grid)
    option.setPricingEngine(engine)
    return option, process


def _option(terms: Terms, grid: tuple[int, int] | None) -> QuantLib.VanillaOption:
    return _with_process(terms, grid)[0]
