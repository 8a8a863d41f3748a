"""A generated market: any symbol, seeded, the same answer in every process.

`GeneratedMarket` is the entry; see `market` for what it promises. The other modules each hold one part: `randomness` (seeded
streams), `timeline` (sessions as arrays), `instruments` (underlyings), `paths` (daily bars), `intraday` (minutes and seconds),
`aggregation` (larger bars), `expiries` and `ladders` (what is listed when), `volatility` (the surface), `option_series`
(option bars) and `quotes`.
"""

from trading_assets.simulator.generated.market import GeneratedMarket

__all__ = ["GeneratedMarket"]
