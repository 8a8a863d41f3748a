"""The `option_greeks` asset."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from trading_assets.assets.config import OptionGreeksConfig
from trading_assets.assets.inputs import computed_sessions, entries_of
from trading_assets.assets.policy import derived_policy
from trading_assets.checks.rule_checks import evaluate_rules, run_scope
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure


@dg.asset(**derived_policy("option_greeks", group="pricing"), deps=["option_chains", "equity_bars", "option_bars"])
def option_greeks(
    context: dg.AssetExecutionContext, config: OptionGreeksConfig, archive: ArchiveResource
) -> Iterator[Any]:
    """Implied volatilities and greeks of the quoted contracts and of the daily option bars; sends nothing to a broker.

    Computed from what is in the lake, for the sessions of the run and its lookback: what has no value yet, or whose
    quote or bar has changed. A row without a volatility says why (`null_reason`). Materialize any range of past
    sessions to compute it for an archive that is older than this dataset.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        symbols = [entry.symbol for entry in entries_of(context, lake, config)]
        sessions = computed_sessions(context, lake)
        computed = compute_option_greeks(lake, symbols, sessions, refresh=config.refresh)
    yield dg.Output(computed)
    yield evaluate_rules(lake.settings, "option_greeks", run_scope(context.run, symbols, sessions))
