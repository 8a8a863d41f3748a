"""Makes the lake `blocked_answers`: answers that cannot be stored wait in its journal, and the version that received
them fails at each run.

Run it with the platform as it was before bad answers were quarantined (commit 49b16e4) on the path, once:

    PYTHONPATH=/path/to/that/version python trading_assets_tests/lakes/make_blocked.py

Contracts of AAPL and MSFT are stored. Of AAPL, a listing holds an option whose symbol names the month 99, and the bar
of 2024-05-30 has a low above its open: so neither the chains nor the bars of both symbols got into the lake. Data of
the generated market only.
"""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from trading_assets.errors import InvalidFrame
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state

HERE = Path(__file__).resolve().parent
LAKE = HERE / "blocked_answers"
NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]
POISONED = "20240530"


def poison(fields: list[str], link: object) -> list[list[str]] | None:
    """AAPL's bar of one session gets a low above its open, its first listed option a local symbol that names no
    date."""
    state = link.state  # type: ignore[attr-defined]
    if fields[0] == "17" and POISONED in fields and state.setdefault("aapl", fields[1]) == fields[1]:
        start = fields.index(POISONED)
        return [[*fields[: start + 3], f"{float(fields[start + 1]) + 0.01:.2f}", *fields[start + 4 :]]]
    if fields[0] == "10":
        for place, field in enumerate(fields):
            if field.startswith("AAPL  2406") and "listed" not in state:
                state["listed"] = True
                return [[*fields[:place], f"AAPL  2499{field[10:]}", *fields[place + 1 :]]]
    return None


def main() -> None:
    """Make the lake beside this file."""
    rewriting = _rewriting()
    shutil.rmtree(LAKE, ignore_errors=True)
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws, rewriting.Rewriting(tws.port, on_server=poison) as wire:
        settings = rewriting.settings_for(LAKE, wire.port, NOW, broker="simulated")
        rewriting.collect(settings, SYMBOLS, steps="c")
        for step, error in (("h", ValueError), ("e", InvalidFrame)):
            try:
                rewriting.collect(settings, SYMBOLS, steps=step)
            except error as refused:
                print(f"{step}: {refused}")
            else:
                sys.exit(f"The step {step} of this version takes the answer: it does not make a blocked lake.")
    _leave_one_file(settings.state_url)


def _rewriting() -> ModuleType:
    """The proxy of this folder's tests, with the platform of the path."""
    spec = importlib.util.spec_from_file_location("rewriting", HERE.parent / "rewriting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rewriting"] = module
    spec.loader.exec_module(module)
    return module


def _leave_one_file(state_url: str) -> None:
    """The state database without its write-ahead log, and no locks."""
    connect_state(state_url).dispose()
    shutil.rmtree(LAKE / ".locks", ignore_errors=True)
    with sqlite3.connect(LAKE / "state.db") as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("VACUUM")


if __name__ == "__main__":
    main()
