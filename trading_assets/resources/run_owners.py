"""Who works on a run, as other machines can tell: an owner in the state database whose heart beats while the run's
process has its resources open. It is there from the moment when that process is started.

It is the run's own, not the process's: a worker process that goes on to other runs does not keep a lost one alive.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa
from dagster import DagsterRun

from trading_assets.errors import TradingAssetsError
from trading_assets.settings import Settings
from trading_assets.state import connect_state, database_now, read_transaction, write_transaction
from trading_assets.state.outages import OutageRetry
from trading_assets.state.owners import OWNER_TIMEOUT, Owner
from trading_assets.state.pin import pinned_lake
from trading_assets.state.tables import owners

OWNER_TAG = "trading_assets/owner"
"""Says whose heartbeat tells that a run is worked on: the lake whose state database has it, and its name there."""


START_TIMEOUT = 120.0
"""Seconds that the process of a run has from its start until it has begun: some ten on a usual machine. After that it
counts as lost with its machine."""

_STARTING = " starting"
"""At the end of the tag of a run whose process is being started. It stays where the run opens no archive: nobody's
heartbeat tells of that one."""


class RunOwner(NamedTuple):
    """A run's owner: the id of the lake in whose state database it is, and its name; `beats` once a process has taken
    it over, which tells from then on whether the run is worked on."""

    lake_id: str
    name: str
    beats: bool


def owner_of(run: DagsterRun) -> RunOwner | None:
    """The owner of a run; None where no process was started that works on it. A repeated run has the tag of the run
    that it repeats until then."""
    lake_id, _, said = run.tags.get(OWNER_TAG, "").partition(" ")
    name = said.removesuffix(_STARTING)
    return RunOwner(lake_id, name, said == name) if name == _name(run.run_id) else None


def start(settings: Settings, run_id: str) -> dict[str, str]:
    """Let a run whose process is being started count as worked on for `START_TIMEOUT` seconds, within which its process
    has to begin; the tags that say so, none as with `begin`."""
    if not settings.data_dir.is_dir():
        return {}
    owner = _name(run_id)
    try:
        with write_transaction(connect_state(settings.state_url)) as connection:
            if not (lake_id := pinned_lake(connection)):
                return {}
            heartbeat = database_now(connection) + START_TIMEOUT - OWNER_TIMEOUT
            nobody = {"host": "", "pid": 0, "birth": "", "heartbeat": heartbeat}
            connection.execute(owners.delete().where(owners.c.owner == owner))
            connection.execute(owners.insert().values(owner=owner, **nobody))
    except (TradingAssetsError, sa.exc.SQLAlchemyError):
        return {}
    return {OWNER_TAG: f"{lake_id} {owner}{_STARTING}"}


def begin(settings: Settings, run_id: str) -> dict[str, str]:
    """Begin to work on a run in this process; the tags that say so, none where there is no lake yet or its state
    database cannot be used, which the step that needs it reports. `leave` as often."""
    if not settings.data_dir.is_dir():
        return {}
    with _lock:
        owner, users = _working.get(run_id, (None, 0))
        try:
            retry = OutageRetry()
            if owner is None:
                owner = Owner(retry(partial(connect_state, settings.state_url)), _name(run_id))
            lake_id = retry(partial(_lake_id, owner.engine))
            if not lake_id:
                return {}
            retry(owner.ensure)
        except (TradingAssetsError, sa.exc.SQLAlchemyError):
            if owner is not None and not users:
                owner.lapse()  # the answer may be lost, and the owner there
            return {}
        _working[run_id] = owner, users + 1
    return {OWNER_TAG: f"{lake_id} {owner.name}"}


def leave(run_id: str) -> None:
    """End the work on a run in this process. Its owner stays alive until its end must have been recorded."""
    with _lock:
        owner, users = _working.pop(run_id, (None, 0))
        if owner is None:
            return
        if users > 1:
            _working[run_id] = owner, users - 1
            return
    owner.lapse()


_lock = threading.Lock()

_working: dict[str, tuple[Owner, int]] = {}
"""The runs that this process works on, each with its owner and how many resources of it are open."""


def _lake_id(engine: sa.Engine) -> str:
    with read_transaction(engine) as connection:
        return pinned_lake(connection)


def _name(run_id: str) -> str:
    return f"run-{run_id}"
