"""The recorded market: real data of a folder of Parquet files, replayed as of an instant.

From the outside in: `market` (the `Market` protocol), `history` (bars) and `quotes` (states) over `listings` (which
contracts there were) and `chains` (daily chain snapshots); `catalog` and `instruments` (contracts and ids); `candles`,
`factors`; `archive` and `recorded_files` (the files); `grid` (sessions as arrays).
"""

from trading_assets.simulator.recorded.market import RecordedMarket

__all__ = ["RecordedMarket"]
