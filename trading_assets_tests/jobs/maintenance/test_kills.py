"""The weekly and the monthly maintenance, killed at ten instants beside two readers and a collecting run: the next call
does the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.verify import verify
from trading_assets.jobs import archive_old_data, monthly_maintenance, optimize_parquet_files, weekly_maintenance
from trading_assets.jobs.maintenance.steps import MaintenanceReport
from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.repartition import BESIDE, repartition
from trading_assets.repositories.schemas import EQUITY_BARS, QUALITY_METRICS, Period
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.settings import Settings
from trading_assets_tests.endurance.lakes import broken
from trading_assets_tests.killing.beside import Beside, copied
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import INSTANTS, spread

LEFT = Path("equity_bars/1_day/.2024.parquet.999999.tmp")
"""What a writer left that is dead."""


def weekly(settings: Settings) -> MaintenanceReport:
    """As the schedule runs it."""
    return weekly_maintenance(settings=settings)


def of_place(settings: Settings, place: Path) -> Settings:
    """Settings with which a month's maintenance has old periods to archive and files to give another period."""
    later = {"now": settings.clock() + timedelta(days=60), "archive_months": 1}
    return settings.model_copy(update={**later, "archives": (place,), "file_periods": {"equity_bars": "month"}})


def monthly(settings: Settings, place: Path) -> MaintenanceReport:
    """As the schedule runs it where old logs may be deleted."""
    return monthly_maintenance(settings=of_place(settings, place), delete=True)


@pytest.mark.slow
def test_a_killed_weekly_maintenance_is_done_by_the_next_call(
    forks: ForkServer, lake_to_kill_at: Settings, tmp_path: Path
) -> None:
    settings = copied(lake_to_kill_at, tmp_path / "lake")
    folder, beside = settings.data_dir, Beside(forks, settings)
    # The first one also makes folders, and those that find nothing new take fewer steps.
    instants = spread(min(beside.steps(weekly) for _ in range(3)))
    for instant in instants:
        (folder / LEFT).write_text("half a file")
        with beside.killed(instant, weekly):
            written = folder / "reports" / "2024-06-03.html"
            assert written.read_text("utf-8").rstrip().endswith("</html>"), "the report of before, or a new one"
            if instant in instants[::3]:
                check_weekly(weekly(settings), folder)
    assert beside.kills == INSTANTS
    remove_temporary_files(folder)
    assert broken(folder) == []


def check_weekly(report: MaintenanceReport, folder: Path) -> None:
    """Every step was done. The lake has sessions of four years and holes between them, of which validation tells."""
    assert [step.name for step in report.steps if not step.success] == ["validation"], report.text()
    assert not (folder / LEFT).exists()
    stored = ParquetStore(folder).read(QUALITY_METRICS)
    assert stored.num_rows >= report.step("metrics").figures["rows"] > 5
    keys = stored.group_by(list(QUALITY_METRICS.key)).aggregate([([], "count_all")])
    assert keys.num_rows == stored.num_rows, "no measure is there twice"


@pytest.mark.slow
def test_a_killed_monthly_maintenance_is_done_by_the_next_call(
    forks: ForkServer, lake_to_kill_at: Settings, tmp_path: Path
) -> None:
    settings = copied(lake_to_kill_at, tmp_path / "lake")
    folder, beside = settings.data_dir, Beside(forks, settings)

    def years_again() -> None:
        repartition(folder, EQUITY_BARS, Period.YEAR)

    instants = spread(beside.steps(monthly, tmp_path / "measured", watched=[tmp_path / "measured"]))
    for instant in instants:
        years_again()
        place = tmp_path / f"archive-{instant}"
        with beside.killed(instant, monthly, place, watched=[place]):
            if instant in instants[::3]:
                report = monthly(settings, place)
                assert report.success, report.text()
            else:
                archive_old_data(1, settings=of_place(settings, place))
                optimize_parquet_files(settings=of_place(settings, place))
            assert LakeIdentity(folder).repartitioning() == {} and not (folder / BESIDE).exists()
            assert {len(path.stem) for path in dataset_files(folder, EQUITY_BARS)} == {len("2024-01")}
            # One that was killed after the archive has the periods of then; those of now are in a second package.
            assert [verify(package).whole for package in Place(place).packages()] in ([True], [True, True])
    assert beside.kills == INSTANTS
    remove_temporary_files(folder)
    assert broken(folder) == []
