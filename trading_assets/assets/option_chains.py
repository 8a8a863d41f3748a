"""The `option_chains` asset."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from trading_assets.assets.config import OptionChainsConfig
from trading_assets.assets.inputs import current_session, entries_of
from trading_assets.assets.policy import asset_policy, events
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories.views import DatasetView
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure


@dg.asset(**asset_policy("option_chains", group="reference"))
def option_chains(
    context: dg.AssetExecutionContext, config: OptionChainsConfig, archive: ArchiveResource, contracts: DatasetView
) -> Iterator[Any]:
    """Every listed option contract of the wanted expiries, with quotes, greeks and open interest of the selected ones.

    A snapshot: collected for the current session only; a missed one is lost for good. The listing is read once, then
    only its new expiries, and whole again every seven days or when strikes were adjusted by a corporate action.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        session = current_session(context, lake)
        collected = collect_option_chains(
            lake,
            entries_of(context, lake, config),
            session,
            contracts=contracts,
            rules=config.selection.rules(lake.settings.selection),
            refresh=config.refresh,
            requote_after=(
                timedelta(minutes=config.requote_after_minutes) if config.requote_after_minutes is not None else None
            ),
            run_id=context.run.run_id,
        )
    yield from events(context, lake, collected)
