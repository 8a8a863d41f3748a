"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_assets_tests.leaving_out import leave_out

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def recorded_market() -> Path:
    """The folder of recorded real market data (`TRADING_ASSETS_RECORDED_MARKET`, else `../shared/market` beside the repository)."""
    folder = Path(os.environ.get("TRADING_ASSETS_RECORDED_MARKET", REPOSITORY.parent / "shared" / "market"))
    if not folder.is_dir():
        leave_out(f"recorded market data is absent: there is no folder {folder} (set TRADING_ASSETS_RECORDED_MARKET to one)")
    return folder
