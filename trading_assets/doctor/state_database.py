"""`lake.json` and the state database: lost, damaged, of another lake, of an older version."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import sqlalchemy as sa

from trading_assets.backup.databases import damage_of, load_state, reading, register_tables
from trading_assets.backup.manifest import STATE, Entry
from trading_assets.backup.objects import digest_of
from trading_assets.backup.restore import restore_file
from trading_assets.doctor.files import readable_files
from trading_assets.doctor.findings import Finding, Source, set_aside
from trading_assets.errors import DamagedIdentity, LayoutMismatch
from trading_assets.monitoring.recovery import rebuild_identity, restore_universe
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.catalog import lake_files
from trading_assets.repositories.files import read_file
from trading_assets.repositories.identity import LAKE_VERSION, LakeFile, LakeIdentity
from trading_assets.repositories.layout import settle
from trading_assets.repositories.schemas import COVERAGE
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.state.engine import engine_of, metadata
from trading_assets.state.pin import lake, largest_id, place
from trading_assets.state.tables import requests

_GONE = "the journal of requests, the universe, alerts and reviews"


def find_identity_faults(settings: Settings, source: Source | None = None) -> list[Finding]:
    """The faults of `lake.json`. Nothing is written."""
    return _identity(settings, source)[1]


def find_state_faults(settings: Settings, source: Source | None = None) -> list[Finding]:
    """The faults of the state database. Nothing is written."""
    return _state(settings, _identity(settings, source)[0], source)


def _identity(settings: Settings, source: Source | None) -> tuple[LakeFile | None, list[Finding]]:
    """What `lake.json` says, and its faults."""
    identity = LakeIdentity(settings.data_dir)
    try:
        held = identity.held()
    except LayoutMismatch as error:
        return None, [Finding("newer_lake", identity.path.name, "Nothing.", str(error))]
    except DamagedIdentity as error:
        return None, [_lost_identity(settings, source, str(error))]
    if held is None:
        if not identity.has_data():
            return None, []
        return None, [_lost_identity(settings, source, "The file is missing: it does not say whose data it is.")]
    if held.version == LAKE_VERSION and not held.migrating:
        return held, []

    def move() -> str:
        return "Brought to the present layout." if settle(settings.data_dir) else ""

    lost = f"Nothing: the lake has layout version {held.version}."
    remedy = "trading-assets doctor --fix moves the folders of the present layout; so does the next opening."
    return held, [Finding("older_layout", identity.path.name, lost, remedy, move)]


def _lost_identity(settings: Settings, source: Source | None, lost: str) -> Finding:
    path = LakeIdentity(settings.data_dir).path
    kept = source.newest(path.name) if source is not None else None
    ours = kept is not None and any(
        entry.path.endswith(".parquet")
        and (settings.data_dir / entry.path).is_file()
        and digest_of(settings.data_dir / entry.path) == entry.sha256
        for entry in kept[0].files
    )

    def mend() -> str:
        if kept is not None and source is not None and ours:
            restore_file(source.repository, kept[1], path)
            return f"Put back from snapshot {kept[0].id}."
        held = rebuild_identity(settings)
        return f"Rebuilt: lake {held.lake_id[:8]} of {held.identity}."

    if ours or _has_state(settings):
        remedy = "trading-assets doctor --fix rebuilds it, from the state database or the backup."
        return Finding("lost_identity", path.name, lost, remedy, mend)
    remedy = (
        "Put it back from a backup (trading-assets doctor --fix --from PATH): the state database that knows the lake is"
        " gone as well."
    )
    return Finding("lost_identity", path.name, lost, remedy)


def _has_state(settings: Settings) -> bool:
    try:
        with reading(str(settings.state_url), untouched=True) as state:
            return state.execute(sa.select(lake.c.lake_id)).first() is not None
    except (sa.exc.SQLAlchemyError, OSError):
        return False


def _state(settings: Settings, held: LakeFile | None, source: Source | None) -> list[Finding]:
    url = sa.make_url(str(settings.state_url))
    file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
    subject = file.name if file is not None else url.render_as_string(hide_password=True)
    if file is not None and not file.exists():
        return [_lost_state(settings, subject, source, held)]
    if file is not None and (why := damage_of(file)):
        return [_lost_state(settings, subject, source, held, damaged=why)]
    try:
        with reading(str(settings.state_url), untouched=True) as state:
            tables = set(sa.inspect(state).get_table_names())
            row = state.execute(sa.select(lake)).first() if lake.name in tables else None
            if row is None and requests.name in tables and state.execute(sa.select(requests.c.id)).first() is not None:
                return [_older_tables(settings, subject, ["the id of its lake"])]
            if row is None:
                return [_lost_state(settings, subject, source, held)]
            known = largest_id(state)
            lacking = _lacking(state, tables)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        said = str(error).partition("\n")[0]
        remedy = "See that the server runs and that TRADING_ASSETS_DATABASE_URL is right."
        return [Finding("state_unreachable", subject, f"It cannot be read: {said}.", remedy)]
    if held is not None and _foreign(held, row):
        return [
            Finding(
                "foreign_identity",
                subject,
                f"Nothing: it belongs to lake {row.lake_id[:8]} ({row.identity or 'no broker yet'}), and lake.json says"
                f" {held.lake_id[:8] or 'no id'} ({held.identity or 'no broker yet'}).",
                "Put the files of one lake together again, or set TRADING_ASSETS_DATA_DIR and"
                " TRADING_ASSETS_DATABASE_URL so that they belong together. The doctor mixes no two lakes.",
            )
        ]
    found = [_older_tables(settings, subject, lacking)] if lacking else []
    newest = max(_request_ids(settings), default=0)
    if row.restore_due or newest > known > 0:
        found.append(_unfinished(settings, subject, newest=newest, known=known))
    return found


def _foreign(held: LakeFile, row: sa.Row[tuple[object, ...]]) -> bool:
    other_id = bool(held.lake_id) and held.lake_id != row.lake_id
    return other_id or bool(held.identity and row.identity and held.identity != row.identity)


def _request_ids(settings: Settings) -> set[int]:
    """The requests that coverage names, in the files that can be read."""
    found: set[int] = set()
    for path in readable_files(settings.data_dir, COVERAGE):
        found |= set(read_file(path, COVERAGE, ["request_id"], pc.field("request_id") > 0)["request_id"].to_pylist())
    return found


def _lost_state(
    settings: Settings, subject: str, source: Source | None, held: LakeFile | None, damaged: str = ""
) -> Finding:
    kept = source.newest(STATE) if source is not None and held is not None else None
    named = len(_request_ids(settings))
    what = f"damaged ({damaged})" if damaged else "lost"
    lost = (
        f"The state database is {what}: {_GONE}, and answers that were on their way to the lake. Coverage names"
        f" {counted(named, 'request')}; which questions they were is known from it alone."
    )
    back = f"from snapshot {kept[0].id}" if kept is not None else "with the symbols that the lake has"
    if held is None:
        remedy = "Put lake.json back first (see there): without it nobody knows whose data the lake holds."
        return Finding("lost_state", subject, lost, remedy)
    remedy = f"trading-assets doctor --fix begins a new one {back}; nothing is requested again that coverage knows." + (
        "" if kept is not None else " With a backup: trading-assets doctor --fix --from PATH."
    )

    def mend() -> str:
        url = sa.make_url(str(settings.state_url))
        said = ""
        if url.get_backend_name() == "sqlite":
            engine_of(settings.state_url, os.getpid()).dispose()
            engine_of.cache_clear()  # it may hold the lost file open
            file = Path(str(url.database))
            aside = [
                set_aside(settings.data_dir, path)
                for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm"))
                if damaged and path.exists() and path.is_relative_to(settings.data_dir)
            ]
            said = f" The damaged one is in {aside[0]}." if aside else ""
        if kept is not None and source is not None:
            _put_back(settings, source, kept[1])
        connect_state(settings.state_url)
        kept_symbols: Sequence[str] | None = [] if kept is not None else None
        restored = [entry.symbol for entry in restore_universe(settings, kept_symbols)]
        universe = f"as in snapshot {kept[0].id}" if kept is not None else ", ".join(restored) or "empty"
        return f"{'Put back' if kept is not None else 'Begun anew'}; universe: {universe}.{said}"

    return Finding("lost_state", subject, lost, remedy, mend)


def _put_back(settings: Settings, source: Source, entry: Entry) -> None:
    """The state database of a snapshot, in its file or on its server."""
    url = sa.make_url(str(settings.state_url))
    if url.get_backend_name() == "sqlite":
        restore_file(source.repository, entry, Path(str(url.database)))
        return
    beside = settings.data_dir / f".{STATE}.from-backup.tmp"
    try:
        restore_file(source.repository, entry, beside)
        load_state(beside, str(settings.state_url))
    finally:
        beside.unlink(missing_ok=True)


def _lacking(state: sa.Connection, tables: set[str]) -> list[str]:
    """Columns of the present version that tables of the database have not. A table is made when it is first used."""
    register_tables()
    lacking: list[str] = []
    for name, table in metadata.tables.items():
        if name in tables:
            have = {column["name"] for column in sa.inspect(state).get_columns(name)}
            lacking += [f"{name}.{column.name}" for column in table.columns if column.name not in have]
    return sorted(lacking)


def _older_tables(settings: Settings, subject: str, lacking: Sequence[str]) -> Finding:
    def add() -> str:
        connect_state(settings.state_url)
        return f"Added: {', '.join(lacking)}."

    return Finding(
        "older_state",
        subject,
        f"Nothing: an older version made it, without {', '.join(lacking)}.",
        "trading-assets doctor --fix adds them; so does the next use of them.",
        add,
    )


def _unfinished(settings: Settings, subject: str, *, newest: int, known: int) -> Finding:
    older = newest > known > 0
    why = (
        f"is older than the lake: its last request is {known}, the lake has rows of request {newest}"
        if older
        else "is new, and the lake was filled with an earlier one"
    )

    def go_on() -> str:
        restored = restore_universe(settings)
        return f"{place(connect_state(settings.state_url))} goes on; universe: {', '.join(e.symbol for e in restored)}."

    return Finding(
        "replaced_state",
        subject,
        f"The state database {why}. What the earlier one had of {_GONE} is lost.",
        "Put it back from a backup, or go on with this one: trading-assets doctor --fix, or trading-assets universe"
        " restore for chosen symbols.",
        go_on,
    )


def has_lake(settings: Settings) -> bool:
    """Whether there is anything to look at: data, `lake.json` or files of a dataset."""
    return LakeIdentity(settings.data_dir).path.exists() or next(lake_files(settings.data_dir), None) is not None
