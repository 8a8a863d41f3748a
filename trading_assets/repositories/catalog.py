"""DuckDB over the lake: a view for each dataset and for its revisions. DuckDB only reads; writing is
`repositories.store`.

A view lists its files anew at each query, so it sees what was written since, and it has the dataset's columns and types
also while there is no file. Times are `TIMESTAMP WITH TIME ZONE` shown in UTC, `session` is a `DATE`.

A connection reaches the folders of the datasets and nothing else: no other file (the state database lies beside them),
no network, no extension, and its settings cannot be changed. `connect(..., unrestricted=True)` lifts that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from trading_assets.errors import UnreadableFile
from trading_assets.folders import usable_folder
from trading_assets.repositories.damage import raise_if_unreadable
from trading_assets.repositories.dataset_sql import duckdb_type as duckdb_type
from trading_assets.repositories.dataset_sql import escaped, own_view_sql, quoted, view_sql
from trading_assets.repositories.empty_files import empty_file
from trading_assets.repositories.files import CATALOG_FILE, locked, replacing, variant_folders
from trading_assets.repositories.lake_files import lake_bytes as lake_bytes
from trading_assets.repositories.lake_files import lake_files as lake_files
from trading_assets.repositories.layout import settle
from trading_assets.repositories.layout_names import pinned_periods
from trading_assets.repositories.live.places import live_folder
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.research_views import research_views
from trading_assets.repositories.schemas import DATASETS, Dataset, Period
from trading_assets.repositories.select_only import check_select
from trading_assets.repositories.storage import refuse_object_store, storage_of
from trading_assets.repositories.versions import Fingerprint, fingerprint

READ_ATTEMPTS = 5
"""DuckDB opens a file anew after reading its footer, so a query can meet a file that was replaced in between. That
takes a writer within the same few milliseconds: five times in a row it does not happen."""

T = TypeVar("T")

Shape = tuple[Mapping[str, frozenset[Period]], list[str]]
"""What the views of a lake depend on: the periods that its files have by dataset, and its folders of layout version
1."""

MOST_FOLDERS = 8
"""Data folders whose databases a process keeps open, the latest used: each has threads and memory of its own."""

SMALL_LAKE = 16 * 2**20
"""Bytes of files up to which a lake is read by one thread: queries of it take milliseconds, and waking others costs
more than they save."""

LEFT_OUT_OF_SMALL_PLANS = "cte_inlining,projection_pullup"
"""DuckDB's optimizers that cost more than they save in a small lake: a seventh of the planning of its conditions."""

_connections: dict[tuple[int, Path, bool], duckdb.DuckDBPyConnection] = {}
_opened_links: dict[tuple[int, Path, bool], list[str]] = {}
_opened_shapes: dict[tuple[int, Path, bool], Shape] = {}
_opened_small: set[Path] = set()
_guard = threading.Lock()


_of_the_parent: list[duckdb.DuckDBPyConnection] = []


def _begin_anew() -> None:
    """In a forked child: another thread of the parent may have held the lock, and its databases must not be closed
    here, since their threads are not in this process."""
    global _guard
    _guard = threading.Lock()
    _of_the_parent.extend(_connections.values())
    _connections.clear()
    _opened_links.clear()
    _opened_shapes.clear()


os.register_at_fork(after_in_child=_begin_anew)


def connect(data_dir: Path | str, *, unrestricted: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for each dataset and `revisions_<dataset>` for each of their revisions.

    The datasets are `contracts`, `option_chains`, `equity_bars`, `option_bars`, `option_greeks`, `coverage`,
    `quality_metrics`, `position_snapshots`, `position_changes`, `live_quotes`, `live_bars` and `live_gaps`.

    The process keeps one database a data folder, of some folders (opening costs about 26 ms); what is returned is a
    cursor of it, cheap, with its own transaction, to be used by one thread and closed at will. The folder need not
    exist yet. After the periods of a dataset's files were changed by another process, call it again.

    It reads the files in the folders of the datasets, and temporary tables and registered frames (`register`) may be
    joined to them. Every other file, the network, extensions and DuckDB's settings are closed to it:
    `duckdb.PermissionException` or `duckdb.InvalidInputException`. With `unrestricted=True` it is a plain DuckDB
    connection with the same views.
    """
    key = (os.getpid(), usable_folder(Path(data_dir).expanduser().absolute()), unrestricted)
    storage_of(key[1]).refresh(lambda _: True)
    with _guard:
        if key not in _connections:
            settle(key[1])
            _opened_links[key], _opened_shapes[key] = _links(key[1]), _shape(key[1])
            _connections[key] = _open(key[1], unrestricted=unrestricted)
        _connections[key] = _connections.pop(key)  # the latest used is the last
        for oldest in list(_connections)[:-MOST_FOLDERS]:
            del _connections[oldest], _opened_links[oldest], _opened_shapes[oldest]  # cursors of it work on
        if _opened_shapes[key] != (shape := _shape(key[1])):  # cursors have the new views, too
            _create_views(_connections[key], key[1], own_view_sql)
            _opened_shapes[key] = shape
        return _connections[key].cursor()


def cursor(data_dir: Path | str) -> duckdb.DuckDBPyConnection:
    """The same as `connect(data_dir)`: each call gives a cursor of the process's one connection to that folder."""
    return connect(data_dir)


def query(
    data_dir: Path | str,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    few: bool = False,
    prepare: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
) -> pa.Table:
    """The result of one SELECT (or EXPLAIN of one) as an Arrow table; asked again when a file was replaced while it was
    read.

    `few`: few rows of a SELECT are expected, as always of a small lake. It is planned once and not twice, and the rows
    are copied once more.
    `prepare` is done before on the same connection, such as making temporary views.
    Raises `NotOneSelect` for any other statement, `duckdb.Error` for everything that is wrong with the query itself
    (`duckdb.PermissionException` for what is outside the lake's datasets), `UnreadableFile` for a damaged file.
    """
    few = few or Path(data_dir).expanduser().absolute() in _opened_small

    def run(connection: duckdb.DuckDBPyConnection) -> pa.Table:
        if prepare is not None:
            prepare(connection)
        return _result(connection, sql, parameters, few=few)

    return steadily(data_dir, run)


def steadily(data_dir: Path | str, action: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """What `action` returns for a cursor of the lake; done again from its beginning when a file was replaced while it
    was read.

    The cursor is the action's own, with the temporary tables it makes, and is closed at the end. Raises what the action
    raises.
    """
    root = Path(data_dir).expanduser().absolute()
    with storage_of(root).moment(), connect(root) as connection:
        return _steadily(
            root, connection, lambda: lake_files(root), lambda lake, _: action(lake), lambda: steadily(root, action)
        )


def steadily_among(
    root: Path,
    files: Callable[[], Iterable[tuple[Dataset, Path]]],
    action: Callable[[duckdb.DuckDBPyConnection, Fingerprint], T],
) -> T:
    """The same for an action that reads some `files` of the lake by their names: the others may change, or be damaged.

    It is done again also when it ended well and a file has another version afterwards: what the action looked at before
    it read is true then.
    """
    with ExitStack() as stack:
        stack.enter_context(storage_of(root).moment())
        try:
            connection = stack.enter_context(connect(root))
        except UnreadableFile:  # a view cannot be made: the file may be none of those that are read
            connection = stack.enter_context(_open(root, unrestricted=False, views=False))
        return _steadily(root, connection, files, action, lambda: steadily_among(root, files, action), strict=True)


def _steadily(
    root: Path,
    connection: duckdb.DuckDBPyConnection,
    files: Callable[[], Iterable[tuple[Dataset, Path]]],
    action: Callable[[duckdb.DuckDBPyConnection, Fingerprint], T],
    reopened: Callable[[], T],
    *,
    strict: bool = False,
) -> T:
    """The action over `files`, again while it fails and they change (`strict`: while they change); `reopened` does it
    with another connection."""
    for attempt in range(1, READ_ATTEMPTS + 1):
        before = fingerprint(files())
        if before.deceptive:
            _close(root)  # and its cached footers
            return reopened()
        if root in _opened_small and before.size > SMALL_LAKE:
            _close(root)  # the next query has more threads
        try:
            found = action(connection, before)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if isinstance(error, duckdb.PermissionException) and attempt == 1 and _forget_links(root):
                return reopened()
            if attempt == READ_ATTEMPTS or fingerprint(files()) == before:
                raise_if_unreadable(files(), error)
                raise
        else:
            # A lake of the older layout that may not be written is read as it is; somebody else may be moving its
            # folders.
            same = fingerprint(files()) == before if not settle(root) else not strict or before.holds()
            if same and not strict and not _views_fit(root):
                return reopened()
            if same or attempt == READ_ATTEMPTS:
                return found
    raise AssertionError("the last attempt returns or raises")


def _close(root: Path) -> None:
    """Let the process's connections to a data folder go; cursors of them work on."""
    with _guard:
        for key in [key for key in _connections if key[1] == root]:
            del _connections[key], _opened_links[key], _opened_shapes[key]


def _shape(root: Path) -> Shape:
    kinds = [kind for each in DATASETS.values() if each.variant for kind in (each, revisions_of(each))]
    return pinned_periods(root), [name for kind in kinds for name in variant_folders(root, kind) if "=" in name]


def _views_fit(root: Path) -> bool:
    """Whether the files have the periods that the process's views name, or it has none any more."""
    shape = _opened_shapes.get((os.getpid(), root, False))
    return shape is None or shape[0] == pinned_periods(root)


def _forget_links(root: Path) -> bool:
    """Close the process's connection when links were made in the lake since it was opened: what they name was closed to
    it."""
    key = (os.getpid(), root, False)
    with _guard:
        changed = key in _connections and _opened_links.get(key) != _links(root)
        if changed:
            del _connections[key], _opened_links[key], _opened_shapes[key]
    return changed


def _result(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None, *, few: bool
) -> pa.Table:
    check_select(connection, sql, parameters)
    if few:
        # Arrow output of `execute` makes DuckDB warn of the copy; a table of few rows costs no more.
        connection.execute(f"create or replace temp table answer as {sql}", parameters)
        return connection.sql("from answer").to_arrow_table()
    return connection.sql(sql, params=parameters).to_arrow_table()


def write_catalog(data_dir: Path | str) -> Path:
    """Write `lake.duckdb` into the data folder: the same views, for clients that open a database file. Replaces an
    older one at once.

    The views name the folder by its absolute path, so they work from any working directory; write the file again after
    the folder moved.
    """
    root = Path(data_dir).expanduser().absolute()
    path = root / CATALOG_FILE
    refuse_object_store(root, f"{CATALOG_FILE}, views for other clients,")
    settle(root)
    with locked(root, CATALOG_FILE), replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        with duckdb.connect(str(temporary)) as connection:
            _create_views(connection, root, view_sql)
            connection.execute(research_views(temporary=False))
    return path


def _open(data_dir: Path, *, unrestricted: bool, views: bool = True) -> duckdb.DuckDBPyConnection:
    small = lake_bytes(data_dir) <= SMALL_LAKE
    connection = duckdb.connect(config={"threads": 1} if small else {})
    (_opened_small.add if small else _opened_small.discard)(data_dir)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    if small:
        connection.execute(f"SET GLOBAL disabled_optimizers = '{LEFT_OUT_OF_SMALL_PLANS}'")
    # A footer is parsed once a version of its file: DuckDB compares inode, size and second of last change (see
    # `files.write_file`).
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    if views:
        _create_views(connection, data_dir, own_view_sql)
    if not unrestricted:
        _restrict(connection, data_dir)
    return connection


def _restrict(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Close everything but the folders of the datasets, and what links in them name, to the connection, for good."""
    folders = [data_dir / dataset.name for each in DATASETS.values() for dataset in (each, revisions_of(each))]
    folders += [live_folder(data_dir, dataset) for dataset in LIVE_DATASETS]
    # DuckDB compares the text of a path or pattern: the views name a folder as a pattern.
    allowed = {f"{text}/" for folder in folders for text in (str(folder), escaped(str(folder)))}
    linked = _links(data_dir)  # DuckDB looks at the place that a link names
    allowed |= {f"{place}/" for place in linked if os.path.isdir(place)}
    empty = [str(empty_file(dataset)) for each in DATASETS.values() for dataset in (each, revisions_of(each))]
    paths = sorted({text for path in (*linked, *empty) for text in (path, escaped(path))})
    for name, value in {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_persistent_secrets": "false",
        "allowed_directories": f"[{', '.join(map(quoted, sorted(allowed)))}]",
        "allowed_paths": f"[{', '.join(map(quoted, paths))}]",
        "enable_external_access": "false",
        "lock_configuration": "true",  # the last one: nothing can be changed after it
    }.items():
        connection.execute(f"SET GLOBAL {name} = {value}")


def _create_views(
    connection: duckdb.DuckDBPyConnection, data_dir: Path, statement: Callable[[Path, Dataset], str]
) -> None:
    """Make the views, which look at the files; again where one was replaced, or a damaged one mended, meanwhile."""
    for attempt in range(1, READ_ATTEMPTS + 1):
        try:
            for dataset in DATASETS.values():
                connection.execute(statement(data_dir, dataset))
                connection.execute(statement(data_dir, revisions_of(dataset)))
        except duckdb.Error as error:
            raise_if_unreadable(lake_files(data_dir), error)
            if attempt == READ_ATTEMPTS:
                raise
        else:
            return


def _links(data_dir: Path) -> list[str]:
    """The places that links among the folders and files of the datasets name."""
    places = {place for kind, path in lake_files(data_dir) for place in (data_dir / kind.name, path.parent, path)}
    return sorted(os.path.realpath(place) for place in places if place.is_symlink())
