"""The volatility surface: one function of session, spot, strike and time, from which all option prices come.

At the money it starts at the session's own volatility and falls back to the symbol's long-run volatility with the speed
at which the path's volatility does (`paths`). Across strikes it is a parabola in standardised log-moneyness, tilted to
lower strikes, flat beyond four standard deviations. The curvature is small enough that option prices stay monotone in
the strike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trading_assets.simulator.generated.paths import Path

_PREMIUM = 1.06
"""Implied over realised volatility in the long run."""
_PULL_A_YEAR = 3.0
"""Speed of the return to the long-run volatility: 252 sessions x 0.012."""
_STOCK_SKEW, _STOCK_SMILE = 0.05, 0.015
_INDEX_SKEW, _INDEX_SMILE = 0.09, 0.015
_MOST_DEVIATIONS = 4.0
_SHORTEST = 1.5 / 365.0
"""Years under which moneyness is standardised no further: the smile of the last day would explode."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The surface of one underlying. Arguments broadcast; volatilities a year, per 1.00."""

    path: Path

    def at_the_money(self, session: Any, years: Any) -> Any:
        """Volatility for options at the money."""
        long_run = self.path.underlying.volatility * _PREMIUM
        decay = _PULL_A_YEAR * np.maximum(years, 1e-6)
        return long_run + (self.path.volatility[session] * _PREMIUM - long_run) * (1.0 - np.exp(-decay)) / decay

    def deviations(self, session: Any, spot: Any, strike: Any, years: Any) -> Any:
        """ln(strike / spot) in standard deviations to expiry."""
        return np.log(strike / spot) / (self.at_the_money(session, years) * np.sqrt(np.maximum(years, _SHORTEST)))

    def volatility(self, session: Any, spot: Any, strike: Any, years: Any) -> Any:
        """Implied volatility of a strike."""
        k = np.clip(self.deviations(session, spot, strike, years), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        skew, smile = (_INDEX_SKEW, _INDEX_SMILE) if self.path.underlying.is_index else (_STOCK_SKEW, _STOCK_SMILE)
        return self.at_the_money(session, years) * (1.0 - skew * k + smile * k * k)
