"""The IO manager: collections and frames into Parquet, stored rows out of it, and the metadata of every
materialization.

What a row must look like and how a file is replaced is said by `repositories`; what is worth showing of a collection by
`resources.metadata`.
"""

from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.repositories.catalog import query
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.frames import to_pandas
from trading_assets.repositories.live.finished import MergedSessions
from trading_assets.repositories.schemas import COVERAGE, DATASETS, OPTION_GREEKS, Dataset
from trading_assets.repositories.views import DatasetView
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.completeness import session_states
from trading_assets.resources.dagster_private import record_partitions
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.resources.live_metadata import merged_metadata
from trading_assets.resources.metadata import partition_metadata, run_metadata
from trading_assets.resources.recorded_sessions import computed_sessions_to_record, sessions_to_record


class ParquetIOManager(dg.ConfigurableIOManager):
    """Writes assets to the lake and reads them back.

    Output: a `Collected`, or a pyarrow table or pandas frame with the dataset's columns. Rows of any number of sessions
    go to their period files in one call; a frame that breaks the dataset's rules is refused before anything is written.

    Input: by the annotation of the asset's argument a `DatasetView` (default; read when needed), `pyarrow.Table` or
    `pandas.DataFrame`. `metadata` of `dg.AssetIn` narrows it: `columns` (list), for tables and frames also `symbols`
    (list) and `as_of="snapshot"` (for each symbol the rows of the snapshot that answers for the last partition of the
    run). A view is narrowed by its reader.

    The key of an asset that is stored here ends in the name of a dataset, for instance `equity_bars` or
    `mine/equity_bars`.
    """

    archive: dg.ResourceDependency[ArchiveResource]

    def handle_output(
        self, context: dg.OutputContext, obj: Collected | MergedSessions | pa.Table | pd.DataFrame
    ) -> None:
        """Write, then describe what was written. Sessions of live data are merged already: they are described."""
        if isinstance(obj, MergedSessions):
            record_partitions(context, merged_metadata(self.archive.settings().data_dir, obj))
            return
        with raise_as_dagster_failure(context):
            lake = self.archive.open()
            collected = obj if isinstance(obj, Collected) else _given(lake, _dataset(context.asset_key), obj)
            counts = lake.write(collected)
            own = context.asset_partition_keys if context.has_asset_partitions and isinstance(obj, Collected) else ()
            derived = collected.dataset is OPTION_GREEKS and isinstance(obj, Collected)
            states = {} if derived else session_states(lake, collected, own)
        described = run_metadata(lake, collected, counts, states)
        if isinstance(obj, Collected):
            known = context.step_context.instance.get_materialized_partitions(context.asset_key)
            if derived:
                sessions = computed_sessions_to_record(lake, collected, context.asset_partition_keys, known)
            else:
                sessions = sessions_to_record(collected, states, context.asset_partition_keys, known)
            recorded = partition_metadata(lake, collected, sessions)
            if recorded:
                recorded[max(recorded)] |= described
            record_partitions(context, {session.isoformat(): values for session, values in recorded.items()})
        if not isinstance(obj, Collected) or not recorded:
            context.add_output_metadata(described)
        if not derived:  # progress is of requests
            lake.progress.finish(collected.report)

    def load_input(self, context: dg.InputContext) -> DatasetView | pa.Table | pd.DataFrame:
        """What the asset's annotation and input metadata ask for."""
        narrowing = context.definition_metadata or {}
        sessions = (
            [date.fromisoformat(key) for key in context.asset_partition_keys] if context.has_asset_partitions else []
        )
        dataset = _dataset(context.asset_key)
        columns = narrowing.get("columns")
        data_dir = self.archive.open().settings.data_dir
        view = DatasetView(data_dir, dataset, sessions=sessions, columns=columns)
        kind = context.dagster_type.typing_type
        if kind not in (pa.Table, pd.DataFrame):
            return view
        symbols = narrowing.get("symbols")
        if narrowing.get("as_of") == "snapshot":
            if not sessions:
                raise ValueError(
                    f"The input {dataset.name} asks for the snapshot of a session: partition the asset by session."
                )
            table = view.as_of(symbols if symbols is not None else _symbols(data_dir, dataset), max(sessions))
        else:
            table = view.table(symbols=symbols)
        return table if kind is pa.Table else to_pandas(table)


def _dataset(key: dg.AssetKey) -> Dataset:
    name = key.path[-1]
    if name not in DATASETS:
        raise ValueError(
            f"{key.to_user_string()} is no dataset of the lake ({', '.join(DATASETS)}): give the asset an IO manager of"
            " its own, for example io_manager_key='files'."
        )
    return DATASETS[name]


def _symbols(data_dir: Path, dataset: Dataset) -> list[str]:
    return query(data_dir, f'select distinct symbol from "{dataset.name}" order by symbol')["symbol"].to_pylist()


def _given(lake: Archive, dataset: Dataset, frame: pa.Table | pd.DataFrame) -> Collected:
    """A frame that an asset made itself: checked like any other, nothing known of requests."""
    if not isinstance(frame, pa.Table | pd.DataFrame):
        raise ValueError(f"{dataset.name} wants a pyarrow table or a pandas frame, not {type(frame).__name__}.")
    table = validated(dataset, frame, lake.now)
    sessions = sorted(table.column("session").unique().to_pylist())
    report = CollectionReport(dataset.name, lake.calendar.current(lake.now), sessions=sessions)
    report.rows_by_symbol = dict(
        zip(*(c.to_pylist() for c in table.group_by("symbol").aggregate([("symbol", "count")]).columns), strict=True)
    )
    report.symbols = sorted(report.rows_by_symbol)
    return Collected(dataset, table, COVERAGE.schema.empty_table(), [], report, lake.now)
