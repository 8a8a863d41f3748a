"""The `contracts` asset."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from trading_assets.assets.config import ContractsConfig
from trading_assets.assets.inputs import current_session, entries_of
from trading_assets.assets.policy import asset_policy, events
from trading_assets.collecting.steps.common import known_underlyings
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.resources.run_config import joins_universe


@dg.asset(**asset_policy("contracts", group="reference"))
def contracts(context: dg.AssetExecutionContext, config: ContractsConfig, archive: ArchiveResource) -> Iterator[Any]:
    """Contract details of each underlying (stock, ETF or index), one row a symbol and session.

    A snapshot: collected for the current session only. A contract verified less than seven days ago is carried forward
    without a request; a new symbol costs one, and one a week after that.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        session = current_session(context, lake)
        entries = entries_of(context, lake, config)
        collected = collect_contracts(lake, entries, session, refresh=config.refresh, run_id=context.run.run_id)
    yield from events(context, lake, collected)
    if joins_universe(context.run):
        known = known_underlyings(lake, lake.view(CONTRACTS), [entry.symbol for entry in entries])
        if known:
            lake.universe.add(list(known), now=lake.now)
