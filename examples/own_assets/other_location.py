"""An asset in a code location of its own. It names `option_chains` of the archive's location by its key, and Dagster
joins the two graphs; the rows are read from the lake."""

import dagster as dg
from frames import FrameFiles

import trading_assets as ta

option_chains = dg.AssetSpec("option_chains", partitions_def=ta.session_partitions())

RATIOS = """
select symbol, session,
       sum(open_interest) filter ("right" = 'P') / nullif(sum(open_interest) filter ("right" = 'C'), 0) as by_interest,
       sum(volume) filter ("right" = 'P') / nullif(sum(volume) filter ("right" = 'C'), 0) as by_volume
from option_chains where selected and session = cast(? as date)
group by symbol, session order by symbol
"""


@dg.asset(
    deps=[option_chains],
    partitions_def=ta.session_partitions(),
    automation_condition=dg.AutomationCondition.eager(),
    io_manager_key="frames",
    group_name="research",
)
def put_call_ratios(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
    """Put-call ratios of the selected contracts by open interest and volume, one row a symbol."""
    return ta.query(ta.Settings().data_dir, RATIOS, [context.partition_key]).to_pandas()


defs = dg.Definitions(assets=[option_chains, put_call_ratios], resources={"frames": FrameFiles(folder="research")})
