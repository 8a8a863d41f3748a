"""The `option_bars` asset."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from trading_assets.assets.config import OptionBarsConfig
from trading_assets.assets.inputs import bar_sessions, entries_of
from trading_assets.assets.policy import asset_policy, events
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.repositories.views import DatasetView
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure


@dg.asset(**asset_policy("option_bars", group="bars"), deps=["equity_bars"])
def option_bars(
    context: dg.AssetExecutionContext,
    config: OptionBarsConfig,
    archive: ArchiveResource,
    contracts: DatasetView,
    option_chains: DatasetView,
) -> Iterator[Any]:
    """Bars of the selected option contracts (TRADES, regular hours), expiring contracts first.

    The broker has no daily bars of options: `8 hours` bars are asked for and aggregated into `1 day` by session; both
    are kept. A session's contracts are those selected in its own chain snapshot; without one, in the earliest after it,
    else in the latest before. One request a contract and missing span. What expired before it was collected is lost and
    recorded as `expired_lost`.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        collected = collect_option_bars(
            lake,
            entries_of(context, lake, config),
            bar_sessions(context, lake, config),
            contracts=contracts,
            chains=option_chains,
            bar_sizes=tuple(config.bar_sizes),
            refresh=config.refresh,
            max_requests=config.max_requests,
            respect_backoff=config.respect_backoff,
            run_id=context.run.run_id,
        )
    yield from events(context, lake, collected)
