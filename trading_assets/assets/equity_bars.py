"""The `equity_bars` asset."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from trading_assets.assets.config import EquityBarsConfig
from trading_assets.assets.inputs import bar_sessions, entries_of
from trading_assets.assets.policy import asset_policy, events
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.repositories.views import DatasetView
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure


@dg.asset(**asset_policy("equity_bars", group="bars"), deps=["option_chains"])
def equity_bars(
    context: dg.AssetExecutionContext, config: EquityBarsConfig, archive: ArchiveResource, contracts: DatasetView
) -> Iterator[Any]:
    """Bars of the underlyings, split-adjusted at the time of the request (TRADES, regular hours).

    One request a symbol and missing span; the request reaches back over some stored sessions, so that restated prices
    (a split) show and the symbol's stored history is read anew in all bar sizes, its old rows kept as revisions. It
    runs after `option_chains` because a chain missed is lost and a bar is not.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        collected = collect_equity_bars(
            lake,
            entries_of(context, lake, config),
            bar_sessions(context, lake, config),
            contracts=contracts,
            bar_sizes=tuple(config.bar_sizes) or lake.settings.equity_bar_sizes,
            refresh=config.refresh,
            max_requests=config.max_requests,
            respect_backoff=config.respect_backoff,
            run_id=context.run.run_id,
        )
    yield from events(context, lake, collected)
