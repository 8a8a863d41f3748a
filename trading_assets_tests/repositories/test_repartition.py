"""Files of a dataset given another period: the same rows in other files, whoever reads, writes or is killed
meanwhile."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.archive_packages.create import create
from trading_assets.archive_packages.periods import old_periods
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import remove
from trading_assets.doctor.files import find_file_faults
from trading_assets.errors import LayoutMismatch
from trading_assets.repositories import LakeIdentity, ParquetStore, query
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.repartition import BESIDE, complete, repartition
from trading_assets.repositories.schemas import EQUITY_BARS, Period
from trading_assets.settings import Settings
from trading_assets_tests.archive_packages.conftest import fill, holdings_of
from trading_assets_tests.killing.beside import Beside, copied
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import INSTANTS, spread
from trading_assets_tests.repositories.frames import NOON, bar, table

CUTOFF = date(2016, 1, 1)
NOW = datetime(2016, 6, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return fill(tmp_path / "lake")


def names(lake: Path) -> list[str]:
    return [path.stem for path in dataset_files(lake, EQUITY_BARS)]


def test_there_and_back_the_rows_are_the_same(lake: Path) -> None:
    before = holdings_of(lake)
    assert names(lake) == ["2013", "2014", "2015", "2016"]
    done = repartition(lake, EQUITY_BARS, Period.MONTH)
    assert names(lake) == ["2013-06", "2014-03", "2015-12", "2016-01"]
    assert all(held.same_rows(done.after[name]) for name, held in done.before.items())
    assert [path.stem for path in dataset_files(lake, revisions_of(EQUITY_BARS))] == names(lake)
    assert holdings_of(lake) == before
    assert query(lake, "select count(*) as n from equity_bars")["n"][0].as_py() == 12
    repartition(lake, EQUITY_BARS, Period.YEAR)
    assert names(lake) == ["2013", "2014", "2015", "2016"] and holdings_of(lake) == before
    assert not (lake / BESIDE).exists()


def test_the_next_write_goes_into_the_new_files(lake: Path) -> None:
    repartition(lake, EQUITY_BARS, Period.MONTH)
    later = bar(date(2013, 6, 3), 300.0, collected_at=NOON + timedelta(days=9))
    assert ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [later])).updated == 1
    new = bar(date(2016, 2, 1), 300.0)
    assert ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [new])).inserted == 1
    assert names(lake) == ["2013-06", "2014-03", "2015-12", "2016-01", "2016-02"]
    with pytest.raises(LayoutMismatch):
        ParquetStore(lake, {"equity_bars": Period.YEAR}).upsert(EQUITY_BARS, table(EQUITY_BARS, [new]))


def test_periods_in_an_archive_stay_as_they_are(lake: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "archive")
    create(lake, old_periods(lake, CUTOFF), place, now=NOW)
    remove(lake, place.packages()[0], dry_run=False)
    before = holdings_of(lake)
    with pytest.raises(LayoutMismatch, match="restore_archive"):
        repartition(lake, EQUITY_BARS, Period.MONTH)
    assert holdings_of(lake) == before and LakeIdentity(lake).repartitioning() == {}


def test_the_doctor_takes_a_killed_repartition_for_no_foreign_files(lake: Path) -> None:
    repartition(lake, EQUITY_BARS, Period.MONTH)
    LakeIdentity(lake).mark_repartition("equity_bars", Period.YEAR, begun=True)
    assert find_file_faults(Settings(data_dir=lake)) == []  # type: ignore[call-arg]
    assert complete(lake, EQUITY_BARS) and names(lake) == ["2013", "2014", "2015", "2016"]
    assert find_file_faults(Settings(data_dir=lake)) == []  # type: ignore[call-arg]


def give(settings: Settings, period: Period) -> None:
    """Give the equity bars files of that period."""
    repartition(settings.data_dir, EQUITY_BARS, period)


@pytest.mark.slow
def test_killed_at_ten_instants_nobody_misses_a_row_and_the_next_writer_completes_it(
    forks: ForkServer, lake_to_kill_at: Settings, tmp_path: Path
) -> None:
    settings = copied(lake_to_kill_at, tmp_path / "lake")
    folder, beside = settings.data_dir, Beside(forks, settings)
    oldest = {Period.MONTH: "2021-06", Period.YEAR: "2021"}
    steps = {period: spread(beside.steps(give, period)) for period in oldest}
    for pair in zip(*steps.values(), strict=True):
        for period, instant in zip(oldest, pair, strict=True):
            with beside.killed(instant, give, period):
                complete(folder, EQUITY_BARS)  # the collecting run may have done it already
                assert LakeIdentity(folder).repartitioning() == {}
                give(settings, period)
                assert names(folder)[0] == oldest[period]
    assert beside.kills == 2 * INSTANTS
    assert names(folder) == ["2021", "2022", "2023", "2024"]
    rows = ParquetStore(folder).read(EQUITY_BARS)
    assert len({tuple(row.values()) for row in rows.select(EQUITY_BARS.key).to_pylist()}) == rows.num_rows
    assert not os.path.exists(folder / BESIDE)
