"""A generated market: any symbol, seeded, the same answer in every process.

`GeneratedMarket` is the entry; see `market` for what it promises. The other modules each hold one part: `randomness`
(seeded streams), `timeline` (sessions as arrays), `instruments` (underlyings), `paths` (daily bars), `intraday`
(minutes and seconds), `columns` and `aggregation` (bars as arrays, larger bars), `stock_series` and `option_series`
(bars of a contract), `expiries` and `ladders` (what is listed when), `matching` (which contracts fit a question),
`volatility` (the surface), `spreads` (bid and ask) and `quotes`.
"""

from trading_assets.simulator.generated.market import GeneratedMarket

__all__ = ["GeneratedMarket"]
