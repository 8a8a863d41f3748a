"""Archiving, taking out of the lake and putting back, each killed at ten instants beside two readers and a collecting
run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.verify import verify
from trading_assets.jobs.maintenance.archives import archive_old_data, restore_archive
from trading_assets.repositories.files import is_archived
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.settings import Settings
from trading_assets_tests.killing.beside import Beside, copied
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import INSTANTS, spread

LATER = timedelta(days=60)
"""By then the months of the collection can be archived, and its year cannot."""


def archive(settings: Settings, place: Path, remove_from_lake: bool) -> None:
    """Archive what ended more than a month ago."""
    then = settings.model_copy(update={"now": settings.clock() + LATER, "archives": (place,)})
    archive_old_data(1, place, remove_from_lake=remove_from_lake, settings=then)


def put_back(settings: Settings, place: Path) -> None:
    """Put every package back."""
    restore_archive(place, settings=settings)


def archived(folder: Path) -> int:
    """How many files the lake reads from packages."""
    return sum(is_archived(path) for path in folder.rglob("*.parquet"))


@pytest.mark.slow
def test_killed_at_ten_instants_each_operation_loses_nothing(
    forks: ForkServer, lake_to_kill_at: Settings, tmp_path: Path
) -> None:
    settings, place = copied(lake_to_kill_at, tmp_path / "lake"), tmp_path / "archive"
    beside, folder = Beside(forks, settings), settings.data_dir
    creating = spread(beside.steps(archive, place, False, watched=[place]))
    for _ in range(2):  # the first removal also makes the link to the package
        removing = spread(beside.steps(archive, place, True, watched=[place]))
        assert archived(folder) == 13, "bars and revisions of three years, chains, option bars and greeks of two months"
        restoring = spread(beside.steps(put_back, place, watched=[place]))
    for create, remove, restore in zip(creating, removing, restoring, strict=True):
        other = tmp_path / f"archive-{create}"
        with beside.killed(create, archive, other, False, watched=[other]):
            archive(settings, other, False)
            (package,) = Place(other).packages()
            assert verify(package).whole
        with beside.killed(remove, archive, place, True, watched=[place]):
            archive(settings, place, True)
            assert archived(folder) == 13
        with beside.killed(restore, put_back, place, watched=[place]):
            put_back(settings, place)
            assert archived(folder) == 0
    assert beside.kills == 3 * INSTANTS
    remove_temporary_files(folder)
    assert not list(folder.rglob("*.tmp"))
    assert len(Place(place).packages()) == 1, "an unfinished package is deleted, a finished one is not made again"
