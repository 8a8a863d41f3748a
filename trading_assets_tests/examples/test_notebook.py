"""The notebook, executed from its first cell to its last on a lake of forty sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.examples.conftest import EXAMPLES
from trading_assets_tests.scenarios.desk import Desk, at, set_up

pytestmark = pytest.mark.slow

NOTEBOOK = EXAMPLES / "notebooks" / "archive.ipynb"

SELECTION = {"option_chains": {"selection": {"max_days_to_expiry": 30, "strikes_around_spot": 4}}}

DEMANDED = """
assert len(through_time) > 20 and through_time.notna().sum(axis=1).max() >= 4
assert (smile["volatility"] > 0.05).all() and (smile["volatility"] < 2).all()
assert len(parity) >= 10 and inside > 0.9
assert list(profit.index) == list(shares.index) and (profit["call"] != 0).sum() > 20
assert abs(profit["share"].sum() - (shares.iloc[-1] - shares.iloc[0])) < 1e-9
assert realised.height == len(shares) and realised["realised_volatility"].drop_nulls().is_between(0.01, 3).all()
assert realised["option_volume"].sum() > 0
"""
"""A last cell: what the cells before it must have found."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Forty sessions of one symbol."""
    with Simulator(GeneratedMarket(seed=42), now=at("2024-06-14T16:40-04:00"), limits=False) as simulator:
        yield set_up(tmp_path / "lake", simulator, "AAPL", SELECTION, lookback_days=60)


def test_every_cell_runs_and_finds_something(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desk.settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs], "stored without outputs"
    notebook.cells.append(nbformat.v4.new_code_cell(DEMANDED))
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert desk.asked() == {}
