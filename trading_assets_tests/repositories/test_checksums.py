"""Checksums of pages: what the disk changed is damage and no price, and each page is looked at once a version."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.errors import UnreadableFile
from trading_assets.repositories import EquityBarRepository, ParquetStore, checksums
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, bar, table

DAYS = calendar().sessions(date(2014, 6, 2), date(2014, 6, 6))
FILE = "equity_bars/1_day/2014.parquet"


@pytest.fixture
def read_groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups that were read to verify them."""
    groups: list[int] = []

    class Counted(checksums.pq.ParquetFile):  # type: ignore[misc]
        def read_row_group(self, group: int, *arguments: Any, **named: Any) -> Any:
            groups.append(group)
            return super().read_row_group(group, *arguments, **named)

    monkeypatch.setattr(checksums.pq, "ParquetFile", Counted)
    return groups


@pytest.mark.slow
def test_no_bit_of_a_page_changes_what_a_repository_reads(tmp_path: Path) -> None:
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, 100.0 + i) for i, day in enumerate(DAYS)]))
    path, repository = tmp_path / FILE, EquityBarRepository(data_dir=tmp_path)
    whole, rows, damaged = path.read_bytes(), repository.load("AAPL"), 0
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    places = range(4, footer, 29)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert repository.load("AAPL").equals(rows), place
        except UnreadableFile:
            damaged += 1
    assert damaged > len(places) / 2


def test_each_row_group_is_verified_once_a_version(
    tmp_path: Path, read_groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.repositories.files.ROW_GROUP_ROWS", 2 * len(DAYS))
    store, repository = ParquetStore(tmp_path), EquityBarRepository(data_dir=tmp_path)
    symbols = ["A", "B", "C", "D", "E", "F"]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, symbol=symbol) for symbol in symbols for day in DAYS]))
    assert len(repository.load("C")) == len(DAYS) and read_groups == [1]
    assert len(repository.load("D")) == len(DAYS) and read_groups == [1], "of the same group"
    assert len(repository.load(["A", "C"])) == 2 * len(DAYS) and read_groups == [1, 0]
    assert len(repository.load()) == 6 * len(DAYS) and read_groups == [1, 0, 2]
    assert len(repository.load(trade_date=DAYS[0])) == 6 and len(read_groups) == 3
    assert repository.load("NONE").empty and repository.load(["NONE"]).empty and len(read_groups) == 3
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0], 200.0, symbol="A", collected_at=NOON + timedelta(1))]))
    read_groups.clear()
    assert repository.load("A")["close"].iloc[0] == 200.0 and read_groups == [0], "another version"


def test_no_more_files_are_remembered_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "MOST_FILES", 2)
    years = [date(year, 6, 6) for year in (2013, 2014, 2016, 2017)]
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day) for day in years]))
    assert len(EquityBarRepository(data_dir=tmp_path).load("AAPL")) == 3 + (years[0].weekday() < 5)
    assert [path.stem for path in checksums._pages] == ["2016", "2017"]
