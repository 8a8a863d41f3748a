"""Which process a record names, and whether it has ended: a process of another machine is never looked up here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets import machine
from trading_assets.state import connect_state, processes
from trading_assets.state.owners import OWNER_TIMEOUT, Owner, live_owners, release_dead_owners
from trading_assets.state.processes import has_ended, process_birth, this_host
from trading_assets.state.tables import owners

EARLIER = "vmpid:[4026531836]"
"""A host as version 0.1 wrote it; outside of containers the same on every machine of that name."""

CACHES = (machine.boot_id, machine.machine_id, processes._boot, processes._namespaces, processes._has_own_proc)

On = Callable[[str, str], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[On]:
    """Makes this process one of another machine or boot: `on(machine id, boot id)`. The host's name stays."""

    def become(machine_id: str, boot_id: str) -> None:
        for name, value in (("machine-id", machine_id), ("boot_id", boot_id)):
            (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setattr(machine, "MACHINE_IDS", (tmp_path / "machine-id",))
        monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "boot_id")
        forget()

    def forget() -> None:
        for cached in CACHES:
            cached.cache_clear()

    yield become
    monkeypatch.undo()
    forget()


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def waiting() -> Iterator[int]:
    """The id of a process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def test_a_process_of_this_host_is_looked_up(ended: int, waiting: int) -> None:
    birth = process_birth(waiting)
    assert birth
    assert has_ended(this_host(), waiting, birth) is False
    assert has_ended(this_host(), waiting, f"{birth}0") is True, "another process has been given its id"
    assert has_ended(this_host(), ended, birth) is True
    assert has_ended(this_host(), waiting, "") is None, "without its start it may be another one"


@pytest.mark.parametrize("other", [("machine b", "boot a"), ("machine a", "boot b"), ("machine b", "boot b")])
def test_a_machine_of_the_same_name_is_another_one(on: On, other: tuple[str, str], ended: int) -> None:
    """Two machines made of one image have one machine id, too; containers of some kinds have a boot id of their own."""
    on("machine a", "boot a")
    there = this_host()
    on(*other)
    assert has_ended(there, ended, "123") is None
    assert has_ended(EARLIER, ended, "123") is None
    on("machine a", "boot a")
    assert has_ended(there, ended, "123") is True


def test_the_ids_of_the_machine_are_not_told(on: On) -> None:
    on("machine a", "boot a")
    assert "machine a" not in this_host() and "boot a" not in this_host()


@pytest.mark.parametrize("host", ["another machine of this name", EARLIER])
def test_an_owner_elsewhere_dies_with_its_heartbeat_alone(on: On, host: str, ended: int, tmp_path: Path) -> None:
    engine = connect_state(f"sqlite:///{tmp_path / 'state.db'}")
    if host != EARLIER:
        on("machine b", "boot b")
        host = this_host()
        on("machine a", "boot a")
    owner = Owner(engine, "there")
    owner._beat()
    elsewhere = owners.update().values(host=host, pid=ended, birth="123")

    def alive(seconds_ago: float) -> bool:
        """Whether it counts as alive when its heart last beat so long ago."""
        with engine.begin() as connection:
            connection.execute(elsewhere.values(heartbeat=owners.c.heartbeat - seconds_ago))
            release_dead_owners(connection)
            return owner.name in live_owners(connection)

    assert alive(OWNER_TIMEOUT / 2), "no process has that id here, and that says nothing"
    assert not alive(OWNER_TIMEOUT)
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(owners)).scalar_one() == 0


def test_a_process_that_another_user_hides_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch, waiting: int) -> None:
    """/proc mounted with hidepid=2 shows a user's own processes only."""

    def hidden(_path: Path, *_: object) -> str:
        raise FileNotFoundError

    host, birth = this_host(), process_birth(waiting) or ""
    monkeypatch.setattr(Path, "read_text", hidden)
    assert process_birth(waiting) == ""
    assert has_ended(host, waiting, birth) is None
