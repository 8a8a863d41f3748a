"""Owners: who is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.state import connect_state, owners
from trading_assets.state.owners import Owner, live_owners
from trading_assets_tests.observing import eventually


def test_a_heart_beats_on_after_the_database_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On other hosts, an owner without a heartbeat is dead after two minutes, and stays it."""
    monkeypatch.setattr(owners, "HEARTBEAT", 0.01)
    engine = connect_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    owner = Owner(engine)
    owner.ensure()
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table owners rename to elsewhere")
    eventually(lambda: "took no heartbeat" in caplog.text, between_looks=0.01)
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to owners")
        connection.exec_driver_sql("delete from owners")

    def alive() -> bool:
        with engine.connect() as connection:
            return owner.name in live_owners(connection)

    eventually(alive, between_looks=0.01)
    owner.close()
