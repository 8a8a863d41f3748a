"""A lake with its journal and Dagster's record: AAPL set up on a Monday with eight weeks of history, updated on
Tuesday. Collected once a test run, and copied for tests that change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets_tests.scenarios.desk import Desk, at
from trading_assets_tests.templates import template

SELECTION = {"option_chains": {"selection": {"max_days_to_expiry": 15, "strikes_around_spot": 3}}}
"""Three expiries with six strikes each: together with the history more than a thousand rows."""

MONDAY, TUESDAY = "2025-11-24", "2025-11-25"


def collected() -> Path:
    """The data folder, for reading only."""
    return template("lineage", _make) / "lake"


def _make(folder: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=at(f"{MONDAY}T16:30-05:00"), limits=False) as simulator:
        desk = Desk(folder / "lake", simulator, SELECTION, {"enforce_pacing": False})
        assert desk.setup("AAPL", lookback_days=56).success
        desk.move(f"{TUESDAY}T16:30-05:00")
        assert desk.update().success
        connect_state(desk.settings.state_url).dispose()


def settings_of(folder: Path, **changes: Any) -> Settings:
    """The settings of a user on Tuesday after the close; nobody listens on port 1."""
    return Settings(**{"data_dir": folder, "ib_port": 1, "now": at(f"{TUESDAY}T16:30-05:00"), **changes})


def engine_of(folder: Path) -> LineageQueryEngine:
    """Asks about the lake in a folder."""
    return LineageQueryEngine(LineageTracker(settings=settings_of(folder)))
