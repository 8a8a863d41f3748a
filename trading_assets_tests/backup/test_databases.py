"""State databases in files and on a server: copied as they are at one moment, and put back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.backup import backup, restore
from trading_assets.backup.databases import complete_journal, copy_state, reading, register_tables
from trading_assets.backup.manifest import STATE
from trading_assets.broker.journal import Journal
from trading_assets.errors import BackupError
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state, metadata, write_transaction
from trading_assets.state.pin import lake, largest_id
from trading_assets.state.tables import quarantine, requests
from trading_assets.universe import Universe
from trading_assets_tests.broker.test_journal import COMPLETE, ask, payload
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import contents, difference
from trading_assets_tests.journals import mark_done, mark_sent


def test_every_table_of_the_state_database_is_copied() -> None:
    """Those of all modules: a table that a module adds and nobody names would be left out on a server."""
    register_tables()
    known = set(metadata.tables)
    import trading_assets.definitions  # noqa: F401

    assert set(metadata.tables) == known
    assert "trading_assets.monitoring.alerts.alert_tables" in sys.modules


def test_requests_that_end_while_the_lake_is_copied_are_added(state_url: str, tmp_path: Path) -> None:
    journal = Journal(state_url)
    open_one, ended = journal.claim([ask("A"), ask("B")], datetime.now(UTC))
    mark_sent(journal, [open_one.request_id, ended.request_id])
    mark_done(journal, ended.request_id, COMPLETE, payload("B"))
    with write_transaction(journal.engine) as connection:
        connection.execute(
            lake.insert().values(one=1, lake_id="x", identity="", periods="{}", ids_above=0, restore_due=False)
        )
    copy = tmp_path / "copy.db"
    copy_state(state_url, copy)
    mark_done(journal, open_one.request_id, COMPLETE, payload("A"))
    (later,) = journal.claim([ask("C")], datetime.now(UTC))
    mark_sent(journal, [later.request_id])
    mark_done(journal, later.request_id, COMPLETE, payload("C"))
    journal.applied([later.request_id])

    complete_journal(state_url, copy)

    with reading(state_url) as source, reading(f"sqlite:///{copy}") as copied:
        everything = sa.select(requests).order_by(requests.c.id)
        assert copied.execute(everything).all() == source.execute(everything).all()
        assert largest_id(copied) == later.request_id
    journal.close()


def test_a_database_on_a_server_is_backed_up_and_put_back_on_one(
    postgresql: str, simulator: Simulator, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "lake", simulator, database_url=postgresql)
    Universe(settings.state_url).add([SYMBOL], now=settings.clock())
    assert by_the_steps(settings, [SYMBOL])["success"]
    report = backup(tmp_path / "kept", settings)
    assert report.snapshot.state == "postgresql"

    in_a_file = settings_of(tmp_path / "file", simulator)
    restore(tmp_path / "kept", in_a_file)
    asks_nothing(in_a_file, settings, simulator)

    other = settings_of(tmp_path / "taken", simulator, database_url=postgresql)
    with write_transaction(connect_state(str(postgresql))) as connection:
        connection.execute(requests.delete().where(requests.c.id == 1))
    with pytest.raises(BackupError, match="holds a state already, and nothing of it is replaced"):
        restore(tmp_path / "kept", other)
    assert not other.data_dir.exists()


def test_a_database_of_a_file_is_put_on_a_server(
    settings: Settings, postgresql: str, simulator: Simulator, tmp_path: Path
) -> None:
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator, database_url=postgresql)
    report = restore(tmp_path / "kept", restored)
    assert "postgresql" in report.state and not (restored.data_dir / STATE).exists()
    asks_nothing(restored, settings, simulator)
    with write_transaction(connect_state(postgresql)) as connection:
        largest = connection.execute(sa.select(sa.func.max(quarantine.c.id))).scalar_one() or 0
        assert largest == 0
    # A restore that was killed after the database and before the folder goes on.
    again = settings_of(tmp_path / "again", simulator, database_url=postgresql)
    with write_transaction(connect_state(postgresql)) as connection:
        for table in metadata.tables.values():
            connection.execute(table.delete())
    restore(tmp_path / "kept", again)
    restored.data_dir.rename(tmp_path / "gone")
    restore(tmp_path / "kept", restored)
    asks_nothing(restored, settings, simulator)


def test_a_file_of_another_name_in_the_data_folder_keeps_its_name(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    backup(tmp_path / "kept", settings)
    file = tmp_path / "restored" / "state" / "journal.db"
    restored = settings_of(tmp_path / "restored", simulator, database_url=f"sqlite:///{file}")
    assert restore(tmp_path / "kept", restored).state == str(file)
    assert file.is_file() and not (restored.data_dir / STATE).exists()
    asks_nothing(restored, settings, simulator)


def test_a_file_outside_of_the_data_folder_is_restored_to_where_the_settings_say(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    backup(tmp_path / "kept", settings)
    file = tmp_path / "fast disk" / "state.db"
    restored = settings_of(tmp_path / "restored", simulator, database_url=f"sqlite:///{file}")
    assert restore(tmp_path / "kept", restored).state == f"sqlite:///{file}"
    assert file.stat().st_mode & 0o777 == 0o600 and not (restored.data_dir / STATE).exists()
    asks_nothing(restored, settings, simulator)
    report = backup(tmp_path / "again", restored)
    assert report.snapshot.entry(STATE) is not None
    back = settings_of(tmp_path / "back", simulator)
    restore(tmp_path / "again", back)
    asks_nothing(back, settings, simulator)


def asks_nothing(restored: Settings, source: Settings, simulator: Simulator) -> None:
    assert difference(restored.data_dir, contents(source.data_dir)) == []
    assert Universe(restored.state_url).active() == [SYMBOL]
    simulator.reset_counters()
    assert by_the_steps(restored, [SYMBOL])["requests"]["sent"] == 0
    assert dict(simulator.counters.requests) == {}
