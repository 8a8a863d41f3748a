"""What all assets share: partitions, pool, owners, the `complete` check, and how a collection becomes Dagster events.

Here belongs everything Dagster wants said about an asset but its name, its upstream and its narrative.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from trading_assets.assets.partitions import session_partitions
from trading_assets.checks.completeness_check import complete_checks, complete_spec
from trading_assets.checks.rule_checks import evaluate_rules, rules_spec, run_scope
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.remedies import typed
from trading_assets.repositories.column_descriptions import column_rows
from trading_assets.repositories.schemas import DATASETS
from trading_assets.resources.run_config import joins_universe

IB_POOL = "ib"
"""The concurrency pool of every step that may talk to the broker; its limit is in `dagster.yaml`."""

CODE_VERSION = "1"
"""Raised when an asset's rows would come out differently from the same answers. It is the data version too: what else
is out of date is said by the conditions of the lake, not by Dagster's comparison of versions."""


def table_policy(dataset: str, *, group: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that follow from any dataset."""
    return {
        "group_name": group,
        "owners": ["team:trading-assets"],
        "code_version": CODE_VERSION,
        "partitions_def": session_partitions(),
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "metadata": {
            "dagster/column_schema": table_schema(dataset),
            "dagster/column_lineage": column_lineage(dataset),
            "dagster/table_name": dataset,
        },
    }


def asset_policy(dataset: str, *, group: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that follow from a dataset that is collected."""
    return table_policy(dataset, group=group) | {
        "kinds": {"ibkr", "parquet"},
        "pool": IB_POOL,
        "io_manager_key": "io_manager",
        "check_specs": [
            complete_spec(dataset, session_partitions()),
            rules_spec(dataset),
        ],
    }


def derived_policy(dataset: str, *, group: str) -> dict[str, Any]:
    """The same for a dataset that is computed from the lake: it has no place at the broker, and lacks nothing that its
    inputs do not lack, so there is no check `complete`."""
    return asset_policy(dataset, group=group) | {
        "kinds": {"parquet"},
        "pool": None,
        "check_specs": [rules_spec(dataset)],
    }


def column_lineage(dataset: str) -> dg.TableColumnLineage:
    """Dagster's description of which columns name rows of an upstream dataset, from the dataset itself."""
    taken_from = DATASETS[dataset].taken_from
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(dg.AssetKey(source), column)] for name, (source, column) in taken_from.items()}
    )


def table_schema(dataset: str) -> dg.TableSchema:
    """Dagster's description of a dataset's columns, from the dataset itself."""
    columns = [
        dg.TableColumn(
            row.name,
            row.type,
            description=f"{row.description} [{row.unit}]" if row.unit else row.description,
            constraints=dg.TableColumnConstraints(nullable=row.nullable),
        )
        for row in column_rows(DATASETS[dataset])
    ]
    return dg.TableSchema(columns=columns)


def events(context: dg.AssetExecutionContext, lake: Archive, collected: Collected) -> Iterator[Any]:
    """The output, of which the IO manager records the partitions that are collected, and the checks `complete` and
    `rules`."""
    report = collected.report
    if not joins_universe(context.run):
        for symbol in sorted(set(report.symbols) - set(lake.universe.active())):
            report.notes.append(
                f"{symbol} is not in the universe: it is collected now, and not kept up by itself. Add it with"
                f" `trading-assets universe add {typed(symbol)}`, in the UI with the job add_symbols."
            )
            context.log.warning(report.notes[-1])
    yield dg.Output(collected)
    yield from complete_checks(context, lake, collected)
    yield evaluate_rules(lake.settings, report.dataset, run_scope(context.run, report.symbols, report.sessions))
