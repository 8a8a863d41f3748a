"""How files are encoded and dated."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets_tests.repositories.frames import NOON, bar, table

FILE = "equity_bars/1_day/2014.parquet"


def test_measured_values_have_no_dictionary_and_other_columns_have(tmp_path: Path) -> None:
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2014, 6, 6))]))
    group = pq.read_metadata(tmp_path / FILE).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    measured = {"open", "high", "low", "close", "volume", "wap", "bar_count"}
    assert {name for name, column in columns.items() if not column.has_dictionary_page} == measured
    assert {name for name, column in columns.items() if column.compression == "LZ4"} == measured
    assert all(column.is_stats_set for column in columns.values())


def test_every_version_of_a_file_has_a_second_of_its_own(tmp_path: Path) -> None:
    store, seconds = ParquetStore(tmp_path), []
    for turn in range(4):
        store.upsert(
            EQUITY_BARS,
            table(EQUITY_BARS, [bar(date(2014, 6, 6), 100.0 + turn, collected_at=NOON + timedelta(minutes=turn))]),
        )
        seconds.append((tmp_path / FILE).stat().st_mtime_ns // 10**9)
    assert seconds == sorted(set(seconds)) and seconds[-1] - seconds[0] < 60
