"""A lake of four years with revisions and coverage, and what it holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, EQUITY_BARS, OPTION_BARS
from trading_assets_tests.repositories.frames import NOON, bar, covered, option_bar, table

OLD = [date(2013, 6, 3), date(2013, 6, 4), date(2014, 3, 3), date(2015, 12, 23), date(2015, 12, 24)]
NEW = [date(2016, 1, 4)]
PERIODS = [
    "equity_bars/1_day/2013.parquet",
    "equity_bars/1_day/2014.parquet",
    "equity_bars/1_day/2015.parquet",
    "option_bars/1_day/2015-12.parquet",
]


def fill(folder: Path) -> Path:
    """Bars of two symbols, one of them restated, option bars of a month, their coverage; a lake with id and
    identity."""
    identity, store = LakeIdentity(folder), ParquetStore(folder)
    identity.pin("simulated generated seed 42")
    days = [*OLD, *NEW]
    for close, later in ((100.0, 0), (200.0, 1)):
        symbols = ("AAPL", "SPY") if not later else ("AAPL",)
        when = NOON + timedelta(days=later)
        rows = [bar(day, close + n, symbol=s, collected_at=when) for s in symbols for n, day in enumerate(days)]
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))
    store.upsert(OPTION_BARS, table(OPTION_BARS, [option_bar(day) for day in OLD[3:]]))
    about = [covered(day, symbol=symbol) for symbol in ("AAPL", "SPY") for day in days]
    about += [covered(OLD[4], dataset="option_bars", con_id=7, symbol="AAPL")]
    store.upsert(COVERAGE, table(COVERAGE, about))
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return fill(tmp_path / "lake")


Holdings = dict[str, dict[str, Any]]


@pytest.fixture
def holdings() -> Callable[[Path], Holdings]:
    """What a lake holds: rows and checksums by column of each dataset and its revisions."""
    return holdings_of


def holdings_of(folder: Path) -> Holdings:
    store = ParquetStore(folder)
    kinds = [kind for dataset in DATASETS.values() for kind in (dataset, revisions_of(dataset))]
    tables = {kind: store.read(kind) for kind in kinds}
    return {
        kind.name: {"rows": table.num_rows, "columns": column_checksums(table, kind.key)}
        for kind, table in tables.items()
    }
