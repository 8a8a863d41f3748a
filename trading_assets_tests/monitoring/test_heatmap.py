"""The heat map of conditions: a picture of the right size, coloured by what the table says."""

from __future__ import annotations

import io
from datetime import date

import matplotlib.image
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_rgb

from trading_assets.monitoring.heatmap import COLOURS, MOST_ROWS, coverage_png
from trading_assets.repositories.conditions import CONDITION_SCHEMA
from trading_assets.repositories.schemas import Condition
from trading_assets.sessions import calendar


def conditions(symbols: int, days: int, condition: str) -> pa.Table:
    sessions = calendar().sessions(date(2020, 1, 1), date(2024, 1, 1))[:days]
    rows = [
        {"dataset": "equity_bars", "bar_size": "1 day", "symbol": f"S{n}", "session": day, "condition": condition}
        for n in range(symbols)
        for day in sessions
    ]
    return pa.Table.from_pylist(rows, schema=CONDITION_SCHEMA)


def share(png: bytes, colour: str) -> float:
    """How much of the picture has that colour."""
    pixels = matplotlib.image.imread(io.BytesIO(png))[:, :, :3]
    return float(np.mean(np.all(np.abs(pixels - np.array(to_rgb(colour))) < 0.02, axis=2)))


def test_every_condition_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == {str(condition) for condition in Condition}
    assert len(set(COLOURS.values())) == len(COLOURS)


@pytest.mark.parametrize("condition", ["complete", "expired_lost"])
def test_the_cells_have_the_colour_of_their_condition(condition: str) -> None:
    png = coverage_png(conditions(3, 20, condition))
    assert share(png, COLOURS[condition]) > 0.3
    other = "pending"
    assert share(png, COLOURS[other]) < 0.001


def test_an_empty_table_and_a_crowd_are_drawn_too() -> None:
    assert coverage_png(CONDITION_SCHEMA.empty_table()).startswith(b"\x89PNG")
    assert share(coverage_png(conditions(MOST_ROWS + 30, 5, "no_trades")), COLOURS["no_trades"]) > 0.3
