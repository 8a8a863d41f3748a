"""An IO manager for assets of your own: one Parquet file a partition, outside of the lake."""

from pathlib import Path

import dagster as dg
import pandas as pd


class FrameFiles(dg.ConfigurableIOManager):
    """Keeps `<folder>/<asset>/<partition>.parquet`; a partition that is materialized again is replaced."""

    folder: str

    def _file(self, context: dg.OutputContext | dg.InputContext) -> Path:
        return Path(self.folder, *context.asset_key.path, f"{context.partition_key}.parquet")

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Write one partition beside its file, then put it in its place."""
        file = self._file(context)
        file.parent.mkdir(parents=True, exist_ok=True)
        obj.to_parquet(beside := file.with_suffix(".new"))
        beside.replace(file)
        context.add_output_metadata({"dagster/partition_row_count": len(obj), "dagster/uri": str(file)})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read one partition."""
        return pd.read_parquet(self._file(context))
