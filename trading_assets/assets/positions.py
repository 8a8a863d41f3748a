"""The assets `position_snapshots` and `position_changes`. Account numbers are masked in all that they show."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.assets.inputs import current_session
from trading_assets.assets.partitions import sessions_of
from trading_assets.assets.policy import IB_POOL, table_policy
from trading_assets.broker.positions import masked
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import POSITION_CHANGES, POSITION_SNAPSHOTS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.trading.derive import changes_of_sessions
from trading_assets.trading.manager import PositionManager

GROUP = "positions"

ROWS_SHOWN = 50
"""Rows of a table in metadata."""

_POSITION = ("account", "symbol", "local_symbol", "quantity", "mark", "mark_source", "delta", "unrealized_pnl")
_CHANGE = ("account", "symbol", "local_symbol", "change", "quantity_before", "quantity_after", "reason")


@dg.asset(**table_policy(POSITION_SNAPSHOTS.name, group=GROUP), kinds={"ibkr", "parquet"}, pool=IB_POOL)
def position_snapshots(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:
    """What each account of the login holds now, with marks and greeks; two messages to the broker, and no order.

    A snapshot: made for the current session only, each time anew. Marks come from the recorder's fresh quotes, else
    from the last chain or close in the lake, so it has no upstream asset: a look at a past session cannot be repeated,
    whatever is collected later.
    """
    with raise_as_dagster_failure(context):
        lake = archive.open()
        session = current_session(context, lake)
        with PositionManager(lake.settings) as manager:
            taken = manager.snapshot()
        positions = taken.rows.filter(pc.not_equal(taken.rows["con_id"], 0))
        lacking = pc.sum(pc.is_valid(positions["null_reason"])).as_py() or 0
        rows = {"dagster/partition_row_count": _count(lake.settings.data_dir, POSITION_SNAPSHOTS.name, session)}
    return dg.MaterializeResult(
        metadata={
            **rows,
            "at": dg.MetadataValue.timestamp(taken.at),
            "accounts": taken.accounts,
            "positions": positions.num_rows,
            "without_greeks": lacking,
            "changes": taken.changes.num_rows,
            "held": _table(positions, _POSITION),
        }
    )


@dg.asset(**table_policy(POSITION_CHANGES.name, group=GROUP), kinds={"parquet"}, deps=[position_snapshots])
def position_changes(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:
    """What changed between the looks at the accounts: opened, changed, closed, expired, assigned or exercised, or
    unexplained. Concluded from `position_snapshots`, for any range of sessions; sends nothing to a broker."""
    with raise_as_dagster_failure(context):
        lake = archive.open()
        sessions = sessions_of(context.partition_keys)
        changes = changes_of_sessions(lake.settings.data_dir, lake.calendar, sessions)
        counts = lake.store.upsert(POSITION_CHANGES, changes)
        kinds = changes.group_by("change").aggregate([("change", "count")]).to_pylist()
    return dg.MaterializeResult(
        metadata={
            "rows": changes.num_rows,
            "new": counts.inserted,
            "by_change": dg.MetadataValue.json({row["change"]: row["change_count"] for row in kinds}),
            "changes": _table(changes, _CHANGE),
        }
    )


def _count(data_dir: Any, dataset: str, session: Any) -> int:
    return int(query(data_dir, f'select count(*) as n from "{dataset}" where session = ?', [session])["n"][0].as_py())


def _table(rows: pa.Table, columns: tuple[str, ...]) -> dg.TableMetadataValue:
    """The first rows with the account masked."""
    records = [
        dg.TableRecord({name: masked(row[name]) if name == "account" else row[name] for name in columns})
        for row in rows.slice(0, ROWS_SHOWN).to_pylist()
    ]
    types = {pa.string(): "string", pa.float64(): "float"}
    schema = dg.TableSchema([dg.TableColumn(name, types[rows.schema.field(name).type]) for name in columns])
    return dg.MetadataValue.table(records, schema)
