"""The collected lake, as it is and as a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.lineage import LineageQueryEngine
from trading_assets_tests.lineage.collected import collected, engine_of


@pytest.fixture
def engine() -> Iterator[LineageQueryEngine]:
    """Asks about the collected lake."""
    found = engine_of(collected())
    yield found
    found.tracker.close()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A copy of the collected lake."""
    shutil.copytree(collected(), tmp_path / "lake")
    return tmp_path / "lake"
