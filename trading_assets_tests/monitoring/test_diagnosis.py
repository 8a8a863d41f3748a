"""The block of text of `diagnose`: what it names, and what it never shows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from trading_assets import __version__
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.monitoring.diagnosis import diagnosis
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.universe import Universe
from trading_assets_tests.simulator.tiny_market import TinyMarket

NOW = datetime.fromisoformat("2024-06-03T16:30-04:00")


def test_nothing_was_collected(tmp_path: Path) -> None:
    text = diagnosis(Settings(data_dir=tmp_path / "lake", now=NOW))
    assert text.startswith(f"versions:\n  trading-assets {__version__}, Python ")
    assert "  broker identity none yet" in text
    assert text.endswith("last errors of the broker:\n  none")
    assert not (tmp_path / "lake").exists()


def test_secrets_accounts_and_the_home_folder_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(
        data_dir=tmp_path / "DU1234567",
        alert_channels={"desk": "slack://hunter2"},
        database_url="postgresql+psycopg2://me:hunter2@127.0.0.1:1/nothing",
    )
    text = diagnosis(settings)
    assert "hunter2" not in text
    assert "DU1234567" not in text
    assert str(tmp_path) not in text
    assert "  data folder ~/(account), state in postgresql+psycopg2" in text
    assert "  database_url = (set)" in text
    assert text.count("  unavailable: ") == 2


def test_errors_of_the_broker_and_counts(tmp_path: Path) -> None:
    with Simulator(TinyMarket(), now=NOW) as tws:
        settings = Settings(data_dir=tmp_path, ib_port=tws.port, now=NOW)
        entries = Universe(settings.state_url).add(["AAA", "NOPE"])
        with Archive(settings) as archive:
            archive.write(collect_contracts(archive, entries, NOW.date()))
    text = diagnosis(settings)
    assert "  contracts: 1 files, " in text
    assert "  2 symbols in the universe, 0 answers in quarantine" in text
    assert "  contract_details complete: 1" in text
    assert " 200: No security definition has been found for the request (1 in all)" in text
