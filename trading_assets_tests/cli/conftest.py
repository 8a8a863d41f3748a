"""Folders and simulated TWS that the command is run on, in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.cli.app import run
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.repositories.frames import bar, covered, table

AFTER_THE_CLOSE = "2024-06-03T16:30-04:00"

SMALL = ("--lookback-days", "5", "--strikes", "1", "--max-days-to-expiry", "8")
"""Four sessions, and few contracts: the commands are what is tested, not the collection."""

Output = pytest.CaptureFixture[str]


def environment(folder: Path, port: int = 1) -> dict[str, str]:
    """The settings of a desk in `folder`; nobody listens on port 1."""
    return {
        "TRADING_ASSETS_DATA_DIR": str(folder),
        "TRADING_ASSETS_NOW": AFTER_THE_CLOSE,
        "TRADING_ASSETS_IB_PORT": str(port),
        "TRADING_ASSETS_ENFORCE_PACING": "false",
        "TRADING_ASSETS_RECONNECT_TIMEOUT": "0",
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, set for the command; the working directory has no settings file."""
    for name in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path / "lake").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lake"


@pytest.fixture
def small_lake(folder: Path) -> Path:
    """Four daily bars of AAPL and SPY and their coverage, as another program may have written them."""
    store = ParquetStore(folder)
    days = [date(2015, 12, day) for day in (21, 22, 23, 24)]
    store.upsert(
        EQUITY_BARS,
        table(
            EQUITY_BARS,
            [bar(day, 100.0 + n, symbol=symbol) for symbol in ("AAPL", "SPY") for n, day in enumerate(days)],
        ),
    )
    lost = covered(days[0], "error", symbol="IBM", reason="The broker did not answer.", broker_code=162)
    store.upsert(
        COVERAGE, table(COVERAGE, [*(covered(day, symbol=symbol) for symbol in ("AAPL", "SPY") for day in days), lost])
    )
    return folder


def document(output: Output) -> Any:
    return json.loads(output.readouterr().out)


@pytest.fixture(scope="module")
def tws() -> Iterator[Simulator]:
    """A simulated TWS half an hour after the close."""
    with Simulator(GeneratedMarket(), now=datetime.fromisoformat(AFTER_THE_CLOSE), limits=False) as simulator:
        yield simulator


class Desk:
    """A data folder and the simulated TWS it is filled from, worked by the command."""

    def __init__(self, folder: Path, tws: Simulator, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.tws = tws
        for name, value in environment(folder, tws.port).items():
            patch.setenv(name, value)
        patch.chdir(folder.parent)

    def asked(self) -> tuple[int, int]:
        """Connections and messages since the last question."""
        counters = self.tws.counters
        self.tws.reset_counters()
        return counters.connections.get("accepted", 0), len(counters.log)


@pytest.fixture(scope="module")
def filled(tws: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that `setup AAPL` filled."""
    folder = tmp_path_factory.mktemp("desk") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        Desk(folder, tws, patch)
        assert run(["setup", "AAPL", *SMALL, "--json"]) == 0
    return folder


@pytest.fixture
def desk(filled: Path, tws: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The filled lake, as after `setup`; the simulator counts from now on."""
    tws.reset_counters()
    return Desk(filled, tws, monkeypatch)


@pytest.fixture
def empty_desk(folder: Path, tws: Simulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An empty folder and a TWS that could be asked."""
    tws.reset_counters()
    return Desk(folder, tws, monkeypatch)
