"""What the doctor says of a damaged data folder, what it mends, and what an update has to request afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trading_assets.assets.policy import CODE_VERSION
from trading_assets.backup import backup
from trading_assets.doctor import Finding, examine, mend
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import DATASETS
from trading_assets.resources.instance import dagster_instance
from trading_assets.serving.place import held
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL
from trading_assets_tests.endurance.lakes import contents, difference, partitions
from trading_assets_tests.variants import mostly_slow

Damage = Callable[[Path], None]

BARS = "equity_bars/1_day/2024.parquet"


def lose_state(folder: Path) -> None:
    for file in folder.glob("state.db*"):
        file.unlink()


def truncate(folder: Path) -> None:
    os.truncate(folder / BARS, os.path.getsize(folder / BARS) // 2)


def lose_history(folder: Path) -> None:
    shutil.rmtree(folder / "dagster")


def lose_all(folder: Path) -> None:
    lose_state(folder)
    truncate(folder)
    lose_history(folder)


def lose_identity(folder: Path) -> None:
    (folder / "lake.json").unlink()


def lose_identity_and_state(folder: Path) -> None:
    lose_identity(folder)
    lose_state(folder)


def spoil_state(folder: Path) -> None:
    lose_state(folder)
    (folder / "state.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def spoil_index(folder: Path) -> None:
    for file in (folder / "dagster/history/runs").glob("index.db*"):
        file.unlink()
    (folder / "dagster/history/runs/index.db").write_bytes(b"x" * 5000)


def lose_coverage(folder: Path) -> None:
    shutil.rmtree(folder / "coverage")


def lose_bars(folder: Path) -> None:
    shutil.rmtree(folder / "option_bars")


def lose_bars_and_their_coverage(folder: Path) -> None:
    lose_bars(folder)
    shutil.rmtree(folder / "coverage" / "option_bars")


def rename(folder: Path) -> None:
    os.rename(folder / BARS, folder / "equity_bars/1_day/2024 (conflicted copy).parquet")


def duplicate(folder: Path) -> None:
    shutil.copy(folder / BARS, folder / "equity_bars/1_day/2024.sync-conflict-1.parquet")


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


GONE = ["coverage_without_rows", "materialized_without_data"]

# damage, what is found, what is left after mending, requests of the update then
TABLE: list[tuple[Damage, list[str], list[str], int]] = [
    (lose_state, ["lost_state"], [], 0),
    (truncate, ["damaged_file", "coverage_without_rows"], GONE, 1),
    (lose_history, ["lost_history"], [], 0),
    (lose_all, ["damaged_file", "lost_state", "coverage_without_rows", "lost_history"], GONE[:1], 1),
    (lose_identity, ["lost_identity"], [], 0),
    (lose_identity_and_state, ["lost_identity", "lost_state"], ["lost_identity", "lost_state"], 0),
    (spoil_state, ["lost_state"], [], 0),
    (spoil_index, ["damaged_history"], [], 0),
    (lose_coverage, ["rows_without_coverage"] * 4, [], 0),
    (lose_bars, GONE, GONE, 8),
    (lose_bars_and_their_coverage, GONE[1:], GONE[1:], 8),
    (rename, ["foreign_name", "coverage_without_rows"], [], 0),
    (duplicate, ["foreign_name"], [], 0),
]


def test_nothing_is_wrong_with_a_collected_lake_and_nothing_is_written(settings: Settings) -> None:
    before = everything(settings.data_dir)
    assert examine(settings) == []
    assert everything(settings.data_dir) == before


@pytest.mark.parametrize(
    ("damage", "found", "left", "requests"),
    mostly_slow(TABLE, lambda row: row[0] in (lose_all, lose_identity, lose_bars, spoil_index, duplicate)),
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_found_mended_and_left(
    damage: Damage,
    found: list[str],
    left: list[str],
    requests: int,
    settings: Settings,
    simulator: Simulator,
    collected: Path,
) -> None:
    damage(settings.data_dir)
    before = everything(settings.data_dir)
    assert kinds(examine(settings)) == found
    assert everything(settings.data_dir) == before, "it wrote something"
    report = mend(settings)
    assert kinds(report.left) == left
    assert kinds(examine(settings)) == left, "a second look finds the same"
    simulator.reset_counters()
    update = by_the_steps(settings, [SYMBOL])
    assert update["success"]
    assert update["requests"]["sent"] == requests
    assert difference(settings.data_dir, contents(collected)) == []


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "damage",
    mostly_slow(
        [
            truncate,
            lose_all,
            lose_identity_and_state,
            lose_coverage,
            lose_bars,
            lose_bars_and_their_coverage,
            spoil_state,
        ],
        lambda damage: damage in (lose_all, spoil_state),
    ),
    ids=lambda damage: damage.__name__,
)
def test_with_a_backup_everything_is_put_back(
    damage: Damage, settings: Settings, simulator: Simulator, collected: Path, tmp_path: Path
) -> None:
    shown = partitions(settings)
    backup(tmp_path / "kept", settings)
    damage(settings.data_dir)
    assert mend(settings, backup=tmp_path / "kept").left == []
    simulator.reset_counters()
    assert by_the_steps(settings, [SYMBOL])["requests"]["sent"] == 0
    assert dict(simulator.counters.requests) == {}
    assert difference(settings.data_dir, contents(collected)) == []
    assert partitions(settings) == shown
    assert Universe(settings.state_url).active() == [SYMBOL]


def test_a_lost_history_shows_the_same_partitions_again_and_nothing_out_of_date(
    settings: Settings, collected: Path
) -> None:
    shown = partitions(settings)
    lose_history(settings.data_dir)
    assert mend(settings).left == []
    assert partitions(settings) == shown
    with dagster_instance(settings) as instance:
        for name, keys in shown.items():
            records = instance.fetch_materializations(dg.AssetKey(name), limit=50).records
            assert {record.asset_materialization.partition for record in records} == keys
            for record in records:
                event = record.asset_materialization
                assert event.tags["dagster/data_version"] == CODE_VERSION
                rows = event.metadata["dagster/partition_row_count"].value
                session = pa.scalar(date.fromisoformat(event.partition), pa.date32())
                stored = ParquetStore(settings.data_dir).read(DATASETS[name])
                assert rows == stored.filter(pc.equal(stored["session"], session)).num_rows


def test_while_up_serves_the_folder_the_history_is_left_alone(settings: Settings) -> None:
    spoil_index(settings.data_dir)
    with held(settings.data_dir):
        (finding,) = mend(settings).left
        assert finding.kind == "damaged_history" and finding.mend is None
        assert finding.remedy.startswith("Stop trading-assets up first")
    assert mend(settings).left == []


def test_the_log_of_one_run_that_is_damaged_costs_that_log_alone(settings: Settings) -> None:
    shown = partitions(settings)
    (log,) = [path for path in (settings.data_dir / "dagster/history/runs").glob("*.db") if path.name != "index.db"]
    for beside in log.parent.glob(f"{log.name}-*"):
        beside.unlink()
    log.write_bytes(b"x" * 5000)
    (finding,) = examine(settings)
    assert finding.subject == log.relative_to(settings.data_dir).as_posix()
    assert mend(settings).left == []
    assert partitions(settings) == shown
