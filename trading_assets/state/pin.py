"""The state database belongs to one lake: what it knows of it, and the check at every opening.

The table `lake` has one row: the id in the lake's `lake.json`, and what else that file says, so that it can be rebuilt.
Another lake is refused: request ids of two lakes would mix, and what was asked for one would count as asked for the
other.

A state database without a row is either of a lake made before there were ids, which is adopted, or new. A new one
beside rows of requests means that the earlier one was lost: its request ids go on above those in the lake, and
`restore_due` says until the user has acted that the universe has to be restored (`monitoring.recovery`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from trading_assets.errors import StateMismatch
from trading_assets.state.engine import metadata, read_transaction, write_transaction
from trading_assets.state.tables import requests

if TYPE_CHECKING:
    from trading_assets.repositories.identity import LakeFile, LakeIdentity

lake = sa.Table(
    "lake",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, doc="Always 1: there is one row"),
    sa.Column("lake_id", sa.Text, nullable=False),
    sa.Column("identity", sa.Text, nullable=False, doc="Broker identity; empty while none is pinned"),
    sa.Column("periods", sa.Text, nullable=False, doc="JSON: period by dataset"),
    sa.Column(
        "ids_above", sa.BigInteger, nullable=False, doc="Request ids up to this one are those of a lost state database"
    ),
    sa.Column(
        "restore_due", sa.Boolean, nullable=False, doc="An earlier state database was lost, and nobody has acted yet"
    ),
)

_FILE = "lake.json"

_Mark = tuple[int, int, int]

_agreeing: dict[tuple[sa.Engine, Path], _Mark] = {}
"""Inode, time and size of the `lake.json` that agreed with the state database: while it is the same file nothing is
read."""


def pin_lake(engine: sa.Engine, data_dir: Path) -> None:
    """Make the state database belong to the lake in the folder, or see that it does. Safe to repeat, and among
    processes.

    A folder without data gets a `lake.json` with an id. Data without that file is left alone while no database is
    pinned. Raises `StateMismatch`, `LostIdentity`, `DamagedIdentity`, `LayoutMismatch`, `UnreadableFile` at the first
    pin.
    """
    path = data_dir / _FILE
    mark = _mark(path)
    if mark is not None and _agreeing.get((engine, path)) == mark:
        return
    if not _agree(pinned(engine), path):
        _settle(engine, data_dir)
        mark = _mark(path)
    if mark is not None:
        _agreeing[engine, path] = mark


def check_lake(engine: sa.Engine, data_dir: Path, connection: sa.Connection) -> None:
    """See on a connection of it that the state database belongs to the lake in the folder, without writing anything:
    one that is not pinned yet belongs to any. Raises as `pin_lake`."""
    row, path = _row(connection), data_dir / _FILE
    if row is None or _agree(row, path):
        return
    from trading_assets.repositories.identity import LakeIdentity

    identity = LakeIdentity(data_dir)
    _refuse_another(engine, identity, row, identity.held())


def pinned(engine: sa.Engine) -> sa.Row[Any] | None:
    """The row of the table `lake`, if there is one."""
    with read_transaction(engine) as connection:
        return _row(connection)


def pinned_lake(connection: sa.Connection) -> str:
    """The id of the lake that the state database belongs to; empty while it is not pinned."""
    row = _row(connection)
    return row.lake_id if row is not None else ""


def _row(connection: sa.Connection) -> sa.Row[Any] | None:
    return connection.execute(sa.select(lake)).one_or_none()


def largest_id(connection: sa.Connection) -> int:
    """The largest request id in use, in the journal or by a lost one."""
    used = (
        sa.select(sa.func.max(requests.c.id)).scalar_subquery(),
        sa.select(sa.func.max(lake.c.ids_above)).scalar_subquery(),
    )
    row = connection.execute(sa.select(*used)).one()
    return max(row[0] or 0, row[1] or 0)


def place(engine: sa.Engine) -> str:
    """The state database as a user names it: the file, or the URL without its password."""
    return (
        str(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string(hide_password=True)
    )


def _mark(path: Path) -> _Mark | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _agree(row: sa.Row[Any] | None, path: Path) -> bool:
    """Whether row and file say the same. Read without the modules of the lake: most commands need nothing else of
    it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        said = document["lake_id"], document.get("identity", ""), document.get("periods", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return row is not None and (row.lake_id, row.identity, json.loads(row.periods)) == said


def _settle(engine: sa.Engine, data_dir: Path) -> None:
    """Pin, adopt or complete, one process after the other; refuse what does not belong together."""
    from trading_assets.repositories.identity import LakeFile, LakeIdentity

    identity = LakeIdentity(data_dir)
    with identity.changing():
        row, found = pinned(engine), identity.held()
        if row is None:
            # With data nobody knows whose it is: it can be looked at, and nothing can be collected
            # (`LakeIdentity.pin`).
            if found is not None or not identity.has_data():
                _insert(engine, data_dir, identity.ensure())
            return
        _refuse_another(engine, identity, row, found)
        found = found or LakeFile()  # there is nothing in the folder but this state database
        periods = dict(found.periods or json.loads(row.periods))
        agreed = replace(found, lake_id=row.lake_id, identity=found.identity or row.identity, periods=periods)
        if agreed != found:
            identity.rewrite(agreed)
        with write_transaction(engine) as connection:
            connection.execute(lake.update().values(identity=agreed.identity, periods=json.dumps(periods)))


def _refuse_another(engine: sa.Engine, identity: LakeIdentity, row: sa.Row[Any], found: LakeFile | None) -> None:
    """Raise where the pinned lake is not the one in the folder."""
    from trading_assets.errors import LostIdentity

    data_dir = identity.path.parent
    inside = _inside(engine, data_dir)
    if found is None and identity.has_data():
        raise LostIdentity(identity.path)
    if (found is None and not inside) or (found is not None and not _belongs(found, row, inside=inside)):
        raise _foreign(engine, data_dir, row, found)


def _belongs(found: LakeFile, row: sa.Row[Any], *, inside: bool) -> bool:
    """Whether the file is that of the pinned lake. One without an id (put back from before there were ids, or begun
    anew by a write) is when the database is in its folder: on a server, two lakes of one account would pass for one."""
    same_broker = not found.identity or not row.identity or found.identity == row.identity
    return same_broker and (found.lake_id == row.lake_id if found.lake_id else inside)


def _insert(engine: sa.Engine, data_dir: Path, found: LakeFile) -> None:
    """The first pin. Another folder may have been quicker on a server: its lake stays the one."""
    from trading_assets.repositories.provenance import largest_request

    above = largest_request(data_dir)
    with write_transaction(engine) as connection:
        other = connection.execute(sa.select(lake)).one_or_none()
        if other is None:
            new = connection.execute(sa.select(sa.func.count()).select_from(requests)).scalar_one() == 0
            values = {"lake_id": found.lake_id, "identity": found.identity, "periods": json.dumps(dict(found.periods))}
            connection.execute(lake.insert().values(one=1, **values, ids_above=above, restore_due=new and above > 0))
    if other is not None and other.lake_id != found.lake_id:
        raise _foreign(engine, data_dir, other, found)


def _inside(engine: sa.Engine, data_dir: Path) -> bool:
    return engine.dialect.name == "sqlite" and Path(str(engine.url.database)).absolute().is_relative_to(
        data_dir.absolute()
    )


def _foreign(engine: sa.Engine, data_dir: Path, row: sa.Row[Any], found: LakeFile | None) -> StateMismatch:
    def lake_of(lake_id: str, identity: str) -> str:
        return f"lake {lake_id[:8] or 'without an id'}{f' of `{identity}`' if identity else ''}"

    there = f"holds {lake_of(found.lake_id, found.identity)}" if found is not None else "holds no lake"
    remedy = (
        "Put the files of one lake together again from a backup, or set TRADING_ASSETS_DATA_DIR to its folder"
        if _inside(engine, data_dir)
        else (
            "Set TRADING_ASSETS_DATA_DIR and TRADING_ASSETS_DATABASE_URL so that they belong together, or give this"
            " folder a database of its own"
        )
    )
    return StateMismatch(
        f"The state database {place(engine)} belongs to {lake_of(row.lake_id, row.identity)}, and {data_dir} {there}: "
        f"one state database serves one lake. {remedy}."
    )


__all__ = ["StateMismatch", "check_lake", "lake", "largest_id", "pin_lake", "pinned", "pinned_lake", "place"]
