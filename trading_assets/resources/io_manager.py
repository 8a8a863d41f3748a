"""The IO manager: collections and frames into Parquet, stored rows out of it, and the metadata of every materialization.

What a row must look like and how a file is replaced is said by `repositories`; what is worth showing of a collection by
`resources.metadata`.
"""

from datetime import date

import dagster as dg
import pandas as pd
import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset
from trading_assets.repositories.validation import to_arrow
from trading_assets.repositories.views import DatasetView
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.metadata import materialization_metadata


class ParquetIOManager(dg.ConfigurableIOManager):
    """Writes assets to the lake and reads them back.

    Output: a `Collected`, or a pyarrow table or pandas frame with the dataset's columns. Rows of any number of sessions
    go to their period files in one call; a frame that breaks the dataset's rules is refused before anything is written.

    Input: by the annotation of the asset's argument a `DatasetView` (default; read when needed), `pyarrow.Table` or
    `pandas.DataFrame`. `metadata` of `dg.AssetIn` narrows it: `columns` (list), `symbols` (list), `as_of="snapshot"` (for each symbol
    the rows of the snapshot that answers for the last partition of the run).
    """

    archive: dg.ResourceDependency[ArchiveResource]

    def handle_output(self, context: dg.OutputContext, obj: Collected | pa.Table | pd.DataFrame) -> None:
        """Write, then describe what was written."""
        lake = self.archive.open()
        collected = obj if isinstance(obj, Collected) else _given(lake, _dataset(context.asset_key), obj)
        counts = lake.write(collected)
        context.add_output_metadata(materialization_metadata(lake, collected, counts))
        lake.progress.finish(collected.report)

    def load_input(self, context: dg.InputContext) -> DatasetView | pa.Table | pd.DataFrame:
        """What the asset's annotation and input metadata ask for."""
        narrowing = context.definition_metadata or {}
        sessions = [date.fromisoformat(key) for key in context.asset_partition_keys] if context.has_asset_partitions else []
        dataset = _dataset(context.asset_key)
        columns = narrowing.get("columns")
        view = DatasetView(self.archive.open().settings.data_dir, dataset, sessions=sessions, columns=columns)
        kind = context.dagster_type.typing_type
        if kind not in (pa.Table, pd.DataFrame):
            return view
        symbols = narrowing.get("symbols")
        if narrowing.get("as_of") == "snapshot":
            known = symbols if symbols is not None else view.table(sessions=(), columns=["symbol"]).column("symbol").unique().to_pylist()
            table = view.as_of(known, max(sessions))
        else:
            table = view.table(symbols=symbols)
        return table if kind is pa.Table else table.to_pandas()


def _dataset(key: dg.AssetKey) -> Dataset:
    return DATASETS[key.path[-1]]


def _given(lake: Archive, dataset: Dataset, frame: pa.Table | pd.DataFrame) -> Collected:
    """A frame that an asset made itself: checked like any other, nothing known of requests."""
    table = to_arrow(dataset, frame)
    sessions = sorted(value for value in table.column("session").unique().to_pylist())
    report = CollectionReport(dataset.name, lake.calendar.current(lake.now), sessions=sessions)
    report.rows_by_symbol = dict(zip(*(c.to_pylist() for c in table.group_by("symbol").aggregate([("symbol", "count")]).columns), strict=True))
    report.symbols = sorted(report.rows_by_symbol)
    return Collected(dataset, table, COVERAGE.schema.empty_table(), [], report, lake.now)
