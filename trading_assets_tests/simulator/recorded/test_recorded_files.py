"""One column of a key's last row in a session, against the rows themselves."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading_assets.simulator.recorded.grid import grid
from trading_assets.simulator.recorded.recorded_files import Table


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Three keys: two rows in one session, a null in the last row of another, a single early row."""
    days = [grid().dates[n] for n in (10, 10, 12, 11, 12, 4)]
    rows = {"key": ["a", "a", "a", "b", "b", "c"], "date": days, "close": [1.0, 2.0, 3.0, 4.0, None, 5.0]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    return Table([tmp_path / "rows.parquet"], "key", ["close", "volume"])


@pytest.mark.parametrize("key", ["a", "b", "c", "none such"])
@pytest.mark.parametrize("session", [0, 4, 10, 11, 12, 13, -1])
@pytest.mark.parametrize("column", ["close", "volume"])
def test_the_last_value_of_a_session_is_that_of_its_last_row(table: Table, key: str, session: int, column: str) -> None:
    rows = table.of(key).of_session(session)
    found = table.last(key, session, column)
    if not len(rows):
        assert found is None
    else:
        assert found == rows[column][-1] or (found is not None and math.isnan(found) and math.isnan(rows[column][-1]))


def test_a_null_is_no_missing_row(table: Table) -> None:
    assert table.last("a", 10, "close") == 2.0
    assert math.isnan(table.last("b", 12, "close") or 0.0)
    assert table.last("b", 10, "close") is None
