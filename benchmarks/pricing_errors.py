"""Errors of American volatilities and deltas on the recorded chains of AAPL, IBM and MSFT (June 2013), all quotes with
a time value of five ticks or more.

Without an ex-date the measure is QuantLib's QdFp (accurate), with one its finite differences 400 x 400. Prints each
quantile beside its demand and the ten largest errors of each kind; docs/pricing.md holds the last result. Run:
`python -m benchmarks.pricing_errors [--market FOLDER]` (about a minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.settings import Settings
from trading_assets_tests.pricing.recorded_quotes import has_ex_date, tech_chains, with_errors

DEMANDED = {"no ex-date": (5e-5, 3e-4), "ex-date": (1.5e-4, 2e-3)}
"""Median and 95 % of the error of volatility (per 1.00)."""
DELTA_DEMANDED = 1.2e-3
"""95 % of the error of delta."""


def main() -> None:
    """Value, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--market", type=Path, default=Settings().recorded_market)
    market = parser.parse_args().market
    if not market.is_dir():
        print(f"There is no recorded market data in {market}: nothing to measure.")
        return
    rows = tech_chains(market)
    print(f"{len(rows):,} quotes, {rows['ours'].isna().sum():,} without a volatility")
    paying = has_ex_date(rows)
    for name, chosen in (("no ex-date", ~paying), ("ex-date", paying)):
        report(name, with_errors(rows[chosen]))


def report(name: str, rows: pd.DataFrame) -> None:
    """Quantiles beside their demands, and the ten largest errors of volatility."""
    median, most = np.quantile(rows["volatility_error"].abs(), [0.5, 0.95])
    delta = np.quantile(rows["delta_error"].abs(), 0.95)
    wanted = DEMANDED[name]
    print(f"{name}: {len(rows):,} quotes")
    print(f"  volatility median {median:.1e} (demanded {wanted[0]:.1e}, ratio {wanted[0] / median:.1f})")
    print(f"  volatility 95 %   {most:.1e} (demanded {wanted[1]:.1e}, ratio {wanted[1] / most:.1f})")
    print(f"  delta 95 %        {delta:.1e} (demanded {DELTA_DEMANDED:.1e}, ratio {DELTA_DEMANDED / delta:.1f})")
    worst = rows.loc[rows["volatility_error"].abs().nlargest(10).index]
    for row in worst.itertuples():
        print(
            f"  {row.underlying:5}{row.quote_date!s:.10} {row.expiry!s:.10}{row.strike:7.1f} {row.right}"
            f"{row.middle:9.3f}{row.underlying_price:8.2f}  volatility {row.ours:.4f}"
            f"  errors {row.volatility_error:+.5f}{row.delta_error:+.5f}  vega {row.vega:.3f}"
        )


if __name__ == "__main__":
    main()
