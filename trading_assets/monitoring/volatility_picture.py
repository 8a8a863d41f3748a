"""The picture of the newest chains' volatilities, from `option_greeks`: smiles by expiry, and the surface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trading_assets.instrument import SHARES
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.option_classes import named_sql

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

MOST_SYMBOLS = 3
"""Symbols of one picture."""

MOST_SMILES = 5
"""Expiries whose smile is drawn: the first, the last and some between."""

COLUMNS = 41
"""Columns of the surface between its least and its greatest moneyness."""

_SQL = f"""
    select symbol, session, expiry, strike, implied_volatility, forward, ln(strike / forward) as moneyness
    from option_greeks g
    where source = 'chain' and implied_volatility is not null and forward > 0
      and symbol in (select unnest($symbols::varchar[]))
      and ("right" = 'C') = (strike >= forward) and not {named_sql("g")}
    qualify session = max(session) over (partition by symbol)
        and (multiplier = {SHARES} or not bool_or(multiplier = {SHARES}) over (partition by symbol, session))
    order by symbol, expiry, strike"""
"""Of the usual classes: the strikes of one that a corporate action has adjusted are of another scale."""


def volatility_png(lake: Lake, symbols: Sequence[str]) -> bytes | None:
    """A PNG with a line for each of the first `MOST_SYMBOLS` symbols that have volatilities of quotes: the newest
    chain's smiles of some expiries (percent a year over strike in dollars, of options out of the money; dotted: the
    forward of the first expiry), and the surface (percent over log-moneyness and expiry). None where there are none.
    Raises `ExtraMissing` without Matplotlib."""
    rows = lake.query(_SQL, {"symbols": list(symbols)})
    if not rows.num_rows:
        return None
    from trading_assets.monitoring.pictures import Figure, png_of

    frame = rows.to_pandas()
    drawn = list(dict.fromkeys(frame["symbol"]))[:MOST_SYMBOLS]
    figure = Figure(figsize=(9, 3.1 * len(drawn)), dpi=80)
    for line, symbol in zip(figure.subplots(len(drawn), 2, squeeze=False), drawn, strict=True):
        chain = frame[frame["symbol"] == symbol]
        _smiles(line[0], chain, f"{symbol} {chain['session'].iloc[0]:%Y-%m-%d}")
        _surface(line[1], chain)
    figure.tight_layout()
    return png_of(figure)


def _smiles(axes: Axes, chain: pd.DataFrame, title: str) -> None:
    from matplotlib import colormaps

    expiries = list(dict.fromkeys(chain["expiry"]))
    shown = sorted({round(i * (len(expiries) - 1) / (MOST_SMILES - 1)) for i in range(MOST_SMILES)})
    for number in shown:
        smile = chain[chain["expiry"] == expiries[number]]
        axes.plot(
            smile["strike"],
            smile["implied_volatility"] * 100,
            color=colormaps["viridis"](0.9 * number / max(1, len(expiries) - 1)),
            marker="o",
            markersize=2.5,
            linewidth=1,
            label=f"{expiries[number]:%Y-%m-%d}",
        )
    axes.axvline(float(chain["forward"].iloc[0]), color="grey", linewidth=0.8, linestyle=":")
    axes.legend(frameon=False, fontsize=7)
    axes.set_title(title, loc="left", fontsize=9)
    _label(axes, "strike, dollars", "implied volatility, % a year")


def _surface(axes: Axes, chain: pd.DataFrame) -> None:
    grid = np.linspace(chain["moneyness"].min(), chain["moneyness"].max(), COLUMNS)
    expiries, levels = zip(*_levels(chain, grid), strict=True)
    mesh = axes.pcolormesh(grid, np.arange(len(expiries)), np.array(levels) * 100, shading="nearest", cmap="viridis")
    every = -(-len(expiries) // 10)
    axes.set_yticks(range(0, len(expiries), every), [f"{expiry:%Y-%m-%d}" for expiry in expiries[::every]])
    axes.figure.colorbar(mesh, ax=axes).ax.tick_params(labelsize=7)
    _label(axes, "ln(strike / forward); white: no quotes", "")


def _levels(chain: pd.DataFrame, grid: Floats) -> Iterator[tuple[date, Floats]]:
    """The volatilities of each expiry on the grid, between its own strikes; NaN outside of them."""
    for expiry in dict.fromkeys(chain["expiry"]):
        smile = chain[chain["expiry"] == expiry]
        yield expiry, np.interp(grid, smile["moneyness"], smile["implied_volatility"], left=np.nan, right=np.nan)


def _label(axes: Axes, below: str, beside: str) -> None:
    axes.set_xlabel(below, fontsize=8)
    axes.set_ylabel(beside, fontsize=8)
    axes.tick_params(labelsize=7)
