"""Which names are files of the lake: the same ones for the store, the views and the catalog."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.catalog import connect, write_catalog
from trading_assets.repositories.dataset_sql import escaped
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.foreign_files import foreign_data
from trading_assets.repositories.frame_checks import BAR_SIZE
from trading_assets.repositories.layout_names import (
    PERIOD_PATTERNS,
    accepted_periods,
    is_period_file,
    is_variant_folder,
    variant_patterns,
)
from trading_assets.repositories.repartition import repartition
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_CHAINS, Period
from trading_assets_tests.repositories.frames import bar, chain_row, covered, table

DAY = date(2015, 12, 24)
COUNT = "select count(*) as n from {}"

COPIES = [
    "2015 (1).parquet",
    "2015 2.parquet",
    "2015-1.parquet",
    "2015 - Copy.parquet",
    "Copy of 2015.parquet",
    "~2015.parquet",
    ".~2015.parquet",
    "._2015.parquet",
    "2015.sync-conflict-20240605-184717-5RQAITR.parquet",
    "2015 (Anna's conflicted copy 2024-06-05).parquet",
    "2015-LAPTOP.parquet",
    "2015-12.parquet",  # a period of another length than the dataset's
    "2015-13.parquet",
    "02015.parquet",
    "2015.PARQUET",
    "2015.parquet.bak",
    "notes.parquet",
]
FOLDERS = ["1_day (1)", "1_day 2", "1_day copy", "Copy of 1_day", "1_day.bak", "bar_size=1_day (1)", "old"]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two files of bars, with a chain and coverage."""
    store = ParquetStore(tmp_path / "lake")
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY), bar(date(2014, 6, 6))]))
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, [chain_row(DAY)]))
    store.upsert(COVERAGE, table(COVERAGE, [covered(DAY)]))
    return store.data_dir


def counted(lake: Path, dataset: str) -> list[int]:
    """Rows of a dataset as the store, the views and the catalog read it."""
    kind = {"equity_bars": EQUITY_BARS, "option_chains": OPTION_CHAINS, "coverage": COVERAGE}[dataset]
    with duckdb.connect(str(lake / "lake.duckdb"), read_only=True) as catalog:
        (in_catalog,) = catalog.execute(COUNT.format(dataset)).fetchone() or (-1,)
    return [
        ParquetStore(lake).read(kind).num_rows,
        query(lake, COUNT.format(dataset))["n"][0].as_py(),
        in_catalog,
    ]


def test_copies_of_files_and_folders_are_read_by_nobody(lake: Path) -> None:
    write_catalog(lake)
    folder = lake / "equity_bars/1_day"
    for name in COPIES:
        shutil.copy(folder / "2015.parquet", folder / name)
    for name in FOLDERS:
        (lake / "equity_bars" / name).mkdir()
        shutil.copy(folder / "2014.parquet", lake / "equity_bars" / name)
    shutil.copy(lake / "option_chains/2015-12.parquet", lake / "option_chains/2015-12 (1).parquet")
    shutil.copy(lake / "option_chains/2015-12.parquet", lake / "option_chains/2015.parquet")
    shutil.copytree(lake / "coverage/equity_bars", lake / "coverage/equity_bars 2")
    assert counted(lake, "equity_bars") == [2, 2, 2]
    assert counted(lake, "option_chains") == [1, 1, 1]
    assert counted(lake, "coverage") == [1, 1, 1]
    visible = {f"equity_bars/1_day/{name}" for name in COPIES if not name.startswith(".")}
    found = {path.relative_to(lake).as_posix() for _, path in foreign_data(lake)}
    assert found == {
        *visible,
        *(f"equity_bars/{name}/2014.parquet" for name in FOLDERS),
        "option_chains/2015-12 (1).parquet",
        "option_chains/2015.parquet",
        "coverage/equity_bars 2/2015.parquet",
    }


@pytest.mark.parametrize("period", Period)
def test_a_name_is_one_of_the_layout_for_python_exactly_where_it_is_for_duckdb(tmp_path: Path, period: Period) -> None:
    parts = ["", "2015", "0999", "-00", "-01", "-09", "-10", "-12", "-13", "-24", "-31", "-32", "-1", " (1)", "~"]
    names = {f"{a}{b}{c}.parquet" for a in parts for b in parts for c in parts}
    for name in names:
        (tmp_path / name).touch()
    by_duckdb = {
        Path(path).name
        for pattern in PERIOD_PATTERNS[period]
        for (path,) in duckdb.sql(f"from glob('{escaped(str(tmp_path))}/{pattern}.parquet')").fetchall()
    }
    assert by_duckdb == {name for name in names if is_period_file(name, frozenset({period}))} != set()


def test_a_folder_is_one_of_a_bar_size_for_python_exactly_where_it_is_for_duckdb(tmp_path: Path) -> None:
    units = ["secs", "min", "mins", "hour", "hours", "day", "week", "month"]
    names = {f"{n}_{unit}{end}" for n in (1, 8, 10, 30) for unit in units for end in ("", " (1)", "2", "_")}
    for name in names:
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"a": [1]}), tmp_path / name / "2015.parquet")
    by_duckdb = {
        Path(path).parent.name
        for pattern in variant_patterns(EQUITY_BARS, older=True)
        for (path,) in duckdb.sql(f"from glob('{escaped(str(tmp_path))}/{pattern}/*.parquet')").fetchall()
    }
    assert by_duckdb == {name for name in names if is_variant_folder(EQUITY_BARS, name)}
    assert by_duckdb == {name for name in names if BAR_SIZE.fullmatch(name.replace("_", " "))}


def test_a_repartition_changes_what_is_read_at_once(lake: Path) -> None:
    write_catalog(lake)
    held = connect(lake)
    assert accepted_periods(lake, EQUITY_BARS) == {Period.YEAR}
    repartition(lake, EQUITY_BARS, Period.MONTH)
    assert accepted_periods(lake, EQUITY_BARS) == {Period.MONTH}
    assert counted(lake, "equity_bars") == [2, 2, 2]
    assert held.execute(COUNT.format("equity_bars")).fetchall() == [(2,)], "a cursor from before has the new views"


def test_without_a_pinned_period_every_period_is_read(lake: Path) -> None:
    os.unlink(lake / "lake.json")
    assert accepted_periods(lake, EQUITY_BARS) == set(Period)
    assert len(dataset_files(lake, EQUITY_BARS)) == 2
    assert query(lake, COUNT.format("equity_bars"))["n"].to_pylist() == [2]
