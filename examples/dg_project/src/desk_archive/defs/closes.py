"""An asset of the desk, downstream of the archive's `equity_bars`."""

import dagster as dg
import pandas as pd

import trading_assets as ta


@dg.asset(
    partitions_def=ta.session_partitions(),
    ins={"equity_bars": dg.AssetIn(metadata={"columns": ["symbol", "session", "bar_size", "close"]})},
    group_name="research",
)
def closes(context: dg.AssetExecutionContext, equity_bars: pd.DataFrame) -> dg.MaterializeResult:
    """How many symbols have a close in the session."""
    daily = equity_bars[equity_bars["bar_size"] == "1 day"]
    return dg.MaterializeResult(metadata={"symbols": daily["symbol"].nunique(), "session": context.partition_key})
