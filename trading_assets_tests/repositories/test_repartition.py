"""Files of a dataset given another period: the same rows in other files, whoever reads, writes or is killed
meanwhile."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
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
from trading_assets_tests.archive_packages.test_kills import started
from trading_assets_tests.archive_packages.worker import CUTOFF, NOW
from trading_assets_tests.repositories.frames import NOON, bar, table

INSTANTS = 10


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


def test_killed_at_ten_instants_nobody_misses_a_row_and_the_next_writer_completes_it(tmp_path: Path) -> None:
    lake = fill(tmp_path / "lake")
    held = {name: each for name, each in holdings_of(lake).items() if not name.endswith("equity_bars")}
    with (
        started("operations") as worker,
        started("reader", str(lake)) as reader,
        started("writer", str(lake)) as writer,
    ):
        assert worker.stdin and worker.stdout

        def do(period: str, event: int) -> str:
            assert worker.stdin and worker.stdout
            worker.stdin.write(f"{period} {event} {lake} {lake}\n")
            worker.stdin.flush()
            return worker.stdout.readline().strip()

        steps = {period: int(do(period, 0).partition(" ")[2]) for period in ("month", "year")}
        killed = 0
        for i in range(INSTANTS):
            for period in ("month", "year"):
                killed += do(period, 1 + i * (steps[period] - 1) // (INSTANTS - 1)) == "killed"
                complete(lake, EQUITY_BARS)  # the writer may have done it already
                assert {n: e for n, e in holdings_of(lake).items() if not n.endswith("equity_bars")} == held
                assert do(period, 0).startswith("ended")
                assert len(names(lake)) == 4
        assert reader.poll() is None and writer.poll() is None
        said = [json.loads(process.communicate("end\n", timeout=120)[0]) for process in (reader, writer)]
        worker.kill()
    assert killed == 2 * INSTANTS
    assert len(said[0]["seen"]) == 1, "the reader saw the same old rows and revisions at every moment"
    assert said[0]["reads"] > INSTANTS and said[1]["written"] > INSTANTS
    rows = ParquetStore(lake).read(EQUITY_BARS)
    assert rows.num_rows == 12 and len({tuple(row.values()) for row in rows.select(EQUITY_BARS.key).to_pylist()}) == 12
    assert not os.path.exists(lake / BESIDE)
