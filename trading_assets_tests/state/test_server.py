"""A process or machine that is gone does not hold up the others that share a PostgreSQL server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.backup import databases
from trading_assets.resources.history_database import dagster_url
from trading_assets.state import connect_state, engine_of, server, write_transaction
from trading_assets.state.server import client_arguments

URL = "postgresql+psycopg2://archive:secret@host/archive"

HOLD = """
import os, signal, sys
from trading_assets.state import connect_state, server, write_transaction
server.IDLE_SECONDS = 0.5
with write_transaction(connect_state(sys.argv[1])):
    sys.stdout.write("writes\\n"); sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.mark.slow
def test_a_process_that_was_stopped_in_a_write_transaction_does_not_hold_up_the_others(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WRITE_LOCK_SECONDS", 10.0)
    engine = connect_state(postgresql)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, postgresql], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "writes\n"
        os.kill(other.pid, signal.SIGSTOP)
        with write_transaction(engine) as connection:
            assert connection.execute(sa.select(1)).scalar_one() == 1
    finally:
        other.kill()
        other.communicate()


@pytest.mark.slow
def test_a_writer_waits_for_another_one_for_a_limited_time(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_LOCK_SECONDS", 0.2)
    engine = connect_state(postgresql)
    with (
        write_transaction(engine),
        pytest.raises(sa.exc.OperationalError, match="lock timeout"),
        write_transaction(engine),
    ):
        pass
    with write_transaction(engine) as connection:
        wanted = sa.text("select current_setting('tcp_keepalives_idle'), current_setting('lock_timeout')")
        local = connection.engine.url.host is None
        assert connection.execute(wanted).one() == ("0" if local else "10", "200ms")


@pytest.mark.slow
def test_a_history_on_a_server_learns_that_a_client_is_gone(postgresql: str) -> None:
    engine = sa.create_engine(dagster_url(postgresql), poolclass=sa.NullPool)
    with engine.connect() as connection:
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "search_path")
        shown = [connection.exec_driver_sql(f"show {name}").scalar_one() for name in names]
    assert shown == ["10", "5", "3", "dagster"]


@pytest.mark.slow
def test_a_restore_may_read_its_copy_for_longer(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_state(f"sqlite:///{tmp_path / 'copy.db'}").dispose()
    limits: list[str] = []

    def compared(_copy: sa.Connection, target: sa.Connection) -> bool:
        limits.append(target.exec_driver_sql("show idle_in_transaction_session_timeout").scalar_one())
        return True

    monkeypatch.setattr(databases, "_same", compared)
    databases.load_state(tmp_path / "copy.db", postgresql)
    with write_transaction(connect_state(postgresql)) as connection:
        limits.append(connection.exec_driver_sql("show idle_in_transaction_session_timeout").scalar_one())
    assert limits == ["0", "30s"]


def test_what_a_url_says_itself_is_left_as_it_is() -> None:
    given = sa.make_url(f"{URL}?connect_timeout=99&options=-ctcp_keepalives_idle%3D77")
    assert "connect_timeout" not in client_arguments(given)
    assert client_arguments(sa.make_url(URL))["connect_timeout"] == 10
    history = sa.make_url(dagster_url(given.render_as_string(hide_password=False)))
    assert history.query["connect_timeout"] == "99" and history.query["tcp_user_timeout"] == "30000"
    options = str(history.query["options"])
    assert options.index("idle=10") < options.index("idle=77") < options.index("search_path"), "the last one counts"
    assert engine_of(URL, os.getpid()).url.render_as_string(hide_password=False) == URL, "as users know it"
    for other in ("sqlite:///state.db", "postgresql+pg8000://host/archive"):
        assert client_arguments(sa.make_url(other)) == {}
