"""`lake.json` and state databases that were lost, replaced, or belong to another lake."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from trading_assets.backup import backup
from trading_assets.doctor import examine, mend
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state, read_transaction
from trading_assets.state.pin import largest_id
from trading_assets.universe import Universe
from trading_assets_tests.doctor.test_doctor import everything, kinds, lose_state
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of


def test_the_database_of_another_lake_is_named_and_nothing_is_mixed(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.data_dir / "state.db")) as state, state:
        state.execute("update lake set lake_id = 'another', identity = 'live'")
    before = everything(settings.data_dir)
    for found in (examine(settings), mend(settings).left):
        assert kinds(found) == ["foreign_identity"]
        assert "belongs to lake another (live)" in found[0].lost
    assert everything(settings.data_dir) == before


def test_an_older_database_goes_on_above_the_lake(settings: Settings, tmp_path: Path, simulator: Simulator) -> None:
    older = (settings.data_dir / "state.db").read_bytes()
    assert by_the_steps(settings, ["MSFT"])["success"]
    connect_state(settings.state_url).dispose()
    newest = _largest(settings)
    copy = settings_of(tmp_path / "copy", simulator)
    shutil.copytree(settings.data_dir, copy.data_dir)
    lose_state(copy.data_dir)
    (copy.data_dir / "state.db").write_bytes(older)
    found = examine(copy)
    assert "replaced_state" in kinds(found) and "is older than the lake" in found[0].lost
    assert "replaced_state" not in kinds(mend(copy).left)
    assert _largest(copy) >= newest
    assert Universe(copy.state_url).active() == [SYMBOL, "MSFT"]


def _largest(settings: Settings) -> int:
    with read_transaction(connect_state(str(settings.state_url))) as connection:
        return largest_id(connection)


def test_a_column_that_an_older_version_did_not_have_is_added(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.data_dir / "state.db")) as state, state:
        state.execute("alter table universe drop column primary_exchange")
    (finding,) = examine(settings)
    assert (finding.kind, "universe.primary_exchange" in finding.lost) == ("older_state", True)
    assert mend(settings).left == []


def test_a_damaged_lake_json_is_rebuilt(settings: Settings) -> None:
    path = settings.data_dir / "lake.json"
    before = json.loads(path.read_text())
    path.write_text('{"lake_id": ')
    assert kinds(examine(settings)) == ["lost_identity"]
    assert mend(settings).left == []
    after = json.loads(path.read_text())
    assert {name: after[name] for name in ("lake_id", "identity", "periods")} == {
        name: before[name] for name in ("lake_id", "identity", "periods")
    }


def test_lake_json_is_not_put_back_from_the_backup_of_another_lake(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    other = settings_of(tmp_path / "other", simulator)
    assert by_the_steps(other, ["MSFT"])["success"]
    backup(tmp_path / "kept", other)
    (settings.data_dir / "lake.json").unlink()
    lose_state(settings.data_dir)
    assert kinds(mend(settings, backup=tmp_path / "kept").left)[:2] == ["lost_identity", "lost_state"]
    assert not (settings.data_dir / "lake.json").exists()


def test_a_database_on_a_server_that_is_empty_is_lost_and_put_back(
    settings: Settings, postgresql: str, tmp_path: Path, simulator: Simulator
) -> None:
    backup(tmp_path / "kept", settings)
    served = settings.model_copy(update={"database_url": postgresql})
    lose_state(settings.data_dir)
    assert kinds(examine(served)) == ["lost_state"]
    assert mend(served, backup=tmp_path / "kept").left == []
    assert Universe(served.state_url).active() == [SYMBOL]
    simulator.reset_counters()
    assert by_the_steps(served, [SYMBOL])["requests"]["sent"] == 0


def test_a_server_that_does_not_answer_is_said(settings: Settings) -> None:
    nobody = settings.model_copy(update={"database_url": "postgresql+psycopg2://nobody@127.0.0.1:1/none"})
    found = examine(nobody)
    assert kinds(found) == ["state_unreachable"]
    assert "TRADING_ASSETS_DATABASE_URL" in found[0].remedy


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_a_lake_is_said(made: bool, tmp_path: Path) -> None:
    settings = Settings(**{"data_dir": tmp_path / "nothing"})
    if made:
        settings.data_dir.mkdir()
    for found in (examine(settings), mend(settings).left):
        assert kinds(found) == ["no_lake"]
    assert settings.data_dir.exists() == made
