"""What the reading methods return, in whatever kind of frame, is accepted where symbols, days and contract ids are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trading_assets.arguments import con_ids, day, one_con_id, one_symbol, several, some_symbols, stored_symbols
from trading_assets.errors import InvalidRequest

COLUMNS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "pandas": pd.Series,
    "numpy": np.array,
    "arrow": pa.array,
    "arrow of a table": lambda values: pa.table({"one": values})["one"],
    "polars": pl.Series,
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_of_any_frame_is_a_collection(column: Callable[[list[Any]], Any]) -> None:
    assert some_symbols(column(["aapl", "SPX", "AAPL"])) == ["AAPL", "SPX"]
    assert stored_symbols(column(["META@8314"])) == ["META@8314"]
    assert con_ids(column([7, 8, 7])) == con_ids(column([7.0, 8.0])) == [7, 8]
    assert [day(one) for one in several(column([date(2024, 6, 3)]))] == [date(2024, 6, 3)]


def test_a_scalar_of_arrow_is_its_value() -> None:
    assert one_symbol(pa.scalar("aapl")) == "AAPL"
    assert some_symbols(pa.scalar("aapl")) == ["AAPL"]
    assert one_con_id(pa.scalar(7)) == 7
    assert day(pa.scalar(date(2024, 6, 3))) == date(2024, 6, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, True, None, pa.scalar(None, pa.int64()), "7", -1.0])
def test_what_is_no_contract_id_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"con_id is .* from 0 to 9,223,372,036,854,775,807 "):
        con_ids([value])
