"""Real Dagster runs of small assets on a lake of their own."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_assets.assets.partitions import session_partitions
from trading_assets.repositories.schemas import Dataset
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.io_manager import ParquetIOManager

NOW = datetime(2015, 12, 24, 18, 30, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2015, 12, day) for day in (21, 22, 23, 24))
WEEK = [MONDAY, TUESDAY, WEDNESDAY, THURSDAY]
NEXT_MONDAY = date(2015, 12, 28)

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def run(folder: Path, instance: dg.DagsterInstance) -> Run:
    """Materialize assets on the partitions of some sessions, at `NOW`, into `folder`."""

    def materialized(assets: Sequence[Any], sessions: Sequence[date]) -> dg.ExecuteInProcessResult:
        archive = ArchiveResource.holding({"data_dir": str(folder), "now": NOW.isoformat(), "ib_port": 1})()
        where: dict[str, Any] = {"partition_key": sessions[0].isoformat()}
        if len(sessions) > 1:
            ends = {"start": sessions[0], "end": sessions[-1]}
            where = {"tags": {f"dagster/asset_partition_range_{name}": day.isoformat() for name, day in ends.items()}}
        return dg.materialize(
            assets,
            resources={"archive": archive, "io_manager": ParquetIOManager(archive=archive)},
            instance=instance,
            raise_on_error=False,
            **where,
        )

    return materialized


def maker(dataset: Dataset, made: Any) -> dg.AssetsDefinition:
    """An asset of that dataset which returns what it was given."""

    @dg.asset(
        key=["mine", dataset.name], partitions_def=session_partitions(), backfill_policy=dg.BackfillPolicy.single_run()
    )
    def made_by_hand() -> Any:
        return made

    return made_by_hand
