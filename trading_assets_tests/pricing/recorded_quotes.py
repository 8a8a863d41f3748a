"""The recorded chains of AAPL, IBM and MSFT (June 2013) with our volatilities and greeks, and their errors against
QuantLib."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from trading_assets.pricing import american
from trading_assets_tests.pricing import quantlib

RATE = 0.0075
"""Per 1.00, continuous: the Fed's primary credit rate of 2013. Both sides of a comparison use it."""
TICKS = 5
TICK = 0.01

DIVIDENDS = {
    "AAPL": (("2013-08-08", 3.05), ("2013-11-06", 3.05), ("2014-02-06", 3.05), ("2014-05-08", 3.29)),
    "IBM": (("2013-08-07", 0.95), ("2013-11-06", 0.95), ("2014-02-06", 0.95), ("2014-05-07", 1.10)),
    "MSFT": (("2013-08-13", 0.23), ("2013-11-19", 0.28), ("2014-02-18", 0.28), ("2014-05-13", 0.28)),
}
"""Ex-dates and dollars a share, unadjusted, as they were paid."""


def tech_chains(market: Path, every: int = 1) -> pd.DataFrame:
    """The quotes with a time value of `TICKS` ticks or more, one row a contract and day; of them each `every`-th.

    Columns: those of the file, and `middle` (dollars), `days` to expiry, `dividends` in the life of the option (days to
    the ex-date, dollars), `ours` (volatility per 1.00), and price, delta, gamma, vega, theta, rho at it.
    """
    rows = pd.read_parquet(market / "option_chain_quotes_tech_2013.parquet")
    rows["middle"] = (rows["bid"] + rows["ask"]) / 2
    rows["days"] = (pd.to_datetime(rows["expiry"]) - pd.to_datetime(rows["quote_date"])).dt.days
    sign = np.where(rows["right"] == "C", 1.0, -1.0)
    time_value = rows["middle"] - np.maximum(sign * (rows["underlying_price"] - rows["strike"]), 0.0)
    two_sided = (rows["bid"] > 0) & (rows["ask"] > rows["bid"])
    rows = rows[two_sided & (time_value >= TICKS * TICK - 1e-9) & (rows["days"] > 0)][::every].reset_index(drop=True)
    return pd.concat([_with_ours(chain) for _, chain in rows.groupby(["underlying", "quote_date"])], ignore_index=True)


def _with_ours(chain: pd.DataFrame) -> pd.DataFrame:
    symbol, day = chain["underlying"].iloc[0], pd.Timestamp(chain["quote_date"].iloc[0]).date()
    payments = [((date.fromisoformat(ex_date) - day).days, amount) for ex_date, amount in DIVIDENDS[symbol]]
    in_years = [(days / 365, amount) for days, amount in payments]
    spot, strike = chain["underlying_price"].to_numpy(), chain["strike"].to_numpy()
    years, right = chain["days"].to_numpy() / 365, chain["right"].to_numpy(dtype=str)
    ours = american.implied_volatility(chain["middle"].to_numpy(), spot, strike, years, right, RATE, 0.0, in_years)
    greeks = american.greeks(spot, strike, years, ours, right, RATE, 0.0, in_years)
    in_life = [[payment for payment in payments if payment[0] < days] for days in chain["days"]]
    return chain.assign(dividends=in_life, ours=ours, **greeks._asdict())


def with_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a volatility, with the errors of volatility (per 1.00) and delta against QuantLib.

    QuantLib values the option at our volatility: what its price differs from the quote, divided by vega, is the error
    of the volatility. Options without an ex-date are measured by QdFp, the others by finite differences 400 x 400.
    """
    rows = rows[rows["ours"].notna()]
    references = []
    for row in rows.itertuples():
        terms = quantlib.Terms(
            row.underlying_price, row.strike, row.days, row.ours, row.right, RATE, tuple(row.dividends)
        )
        references.append(quantlib.finite_differences(terms) if row.dividends else quantlib.exact(terms))
    reference = pd.DataFrame(references, index=rows.index)
    return rows.assign(
        volatility_error=(rows["middle"] - reference["price"]) / (100 * rows["vega"]),
        delta_error=rows["delta"] - reference["delta"],
    )


def has_ex_date(rows: pd.DataFrame) -> pd.Series:
    """Whether an ex-date lies in the life of each option."""
    return rows["dividends"].str.len() > 0
