"""The errors of volatility and delta on recorded quotes, against a vendor (SPX 2019) and against QuantLib (2013).

The whole of 2013 is measured by `benchmarks/pricing_errors.py`; here it is a sample.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.pricing import black_scholes
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.pricing.parity import Source
from trading_assets.pricing.valuation import value_quotes
from trading_assets_tests.pricing.recorded_quotes import has_ex_date, tech_chains, with_errors


def sizes(errors: pd.Series) -> tuple[float, float]:
    """Median and 95 % of the absolute errors."""
    median, most = np.quantile(np.abs(errors), [0.5, 0.95])
    return float(median), float(most)


@pytest.fixture(scope="module")
def spx(recorded_market: Path) -> pd.DataFrame:
    return pd.read_parquet(recorded_market / "greeks_reference_spx_2019.parquet")


def test_spx_at_the_forwards_of_the_reference(spx: pd.DataFrame) -> None:
    years = spx["dte"].to_numpy() / 365
    forward, discount, strike = (spx[name].to_numpy() for name in ("forward_parity", "discount_parity", "strike"))
    right, rate = spx["right"].to_numpy(dtype=str), -np.log(discount) / years
    implied = black_scholes.implied_volatility(spx["mid"].to_numpy(), forward, strike, years, right, rate, rate)
    assert np.median(np.abs(implied - spx["iv_check"])) < 1e-5
    median, most = sizes(implied - spx["iv_vendor"])
    assert median < 3e-4
    assert most < 1e-3
    greeks = black_scholes.greeks(forward, strike, years, implied, right, rate, rate)
    assert sizes(greeks.delta - spx["delta_vendor"])[1] < 1.2e-3
    assert sizes(greeks.gamma - spx["gamma_check"])[0] < 1e-4


def test_spx_at_our_own_forwards(spx: pd.DataFrame, recorded_market: Path) -> None:
    """Forward and discount from the whole chain of each expiry, then volatility and delta against the vendor's."""
    chains = pd.read_parquet(
        recorded_market / "option_chain_quotes_spx_2019.parquet",
        filters=[("trading_class", "==", "SPXW")],
        columns=["quote_date", "osi", "expiry", "strike", "right", "bid", "ask", "underlying_price"],
    )
    reference = spx.set_index(["quote_date", "osi"])
    weekly = chains.groupby(["quote_date", "expiry"])
    found, rates = [], []
    for key in sorted(set(zip(spx["quote_date"], spx["expiry"], strict=True)))[::3]:
        chain = weekly.get_group(key)
        valued = value_quotes(
            ExerciseStyle.EUROPEAN, chain["strike"], chain["right"].to_numpy(dtype=str), chain["bid"], chain["ask"],
            spot=float(chain["underlying_price"].iloc[0]), rate=0.024, min_tick=0.05,
            years=(pd.Timestamp(key[1]) - pd.Timestamp(key[0])).days / 365,
        )  # fmt: skip
        assert valued.forward is not None
        assert valued.forward.forward_source is Source.PARITY
        rates.append(valued.forward.rate)
        ours = pd.DataFrame({"ours": valued.implied_volatility, "our_delta": valued.greeks.delta})
        found.append(ours.set_index(pd.MultiIndex.from_frame(chain[["quote_date", "osi"]])))
    rows = reference.join(pd.concat(found), how="inner")
    assert len(rows) > 2_000
    assert rows["ours"].notna().all()
    median, most = sizes(rows["ours"] - rows["iv_vendor"])
    assert median < 3e-4
    assert most < 1e-3
    assert sizes(rows["our_delta"] - rows["delta_vendor"])[1] < 1.2e-3
    assert 0.02 < np.median(rates) < 0.03  # dollars cost 2.4 % that spring


@pytest.fixture(scope="module")
def tech(recorded_market: Path) -> pd.DataFrame:
    return tech_chains(recorded_market, every=4)


def test_nearly_all_quotes_have_a_volatility(tech: pd.DataFrame) -> None:
    """The others are worth less than without any volatility: deep in the money, where the middle of a wide quote lies
    under the value that interest and dividends give."""
    assert len(tech) > 2_000
    assert tech["ours"].notna().mean() > 0.95


def test_without_an_ex_date_against_the_exact_method(tech: pd.DataFrame) -> None:
    rows = with_errors(tech[~has_ex_date(tech)].sample(250, random_state=1))
    median, most = sizes(rows["volatility_error"])
    assert median < 5e-5
    assert most < 3e-4
    assert sizes(rows["delta_error"])[1] < 1.2e-3


def test_with_an_ex_date_against_finite_differences(tech: pd.DataFrame) -> None:
    rows = with_errors(tech[has_ex_date(tech)].sample(100, random_state=1))
    median, most = sizes(rows["volatility_error"])
    assert median < 1.5e-4
    assert most < 2e-3
    assert sizes(rows["delta_error"])[1] < 1.2e-3
