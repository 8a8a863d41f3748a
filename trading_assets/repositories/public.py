"""DuckDB over the lake for users: the functions of `catalog`, which refuse a folder without a lake, with the views for
research (`research_views.sql`) and with the archive as it was known at an instant.

Inside of the platform a lake may not exist yet, and `catalog` is used itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from trading_assets.arguments import lake_folder
from trading_assets.errors import InvalidRequest
from trading_assets.repositories import catalog
from trading_assets.repositories.as_of import AsOf, as_of_views, checked
from trading_assets.repositories.live.moving import while_files_move
from trading_assets.repositories.live.views import create_live_views
from trading_assets.repositories.research_views import research_views


def connect(
    data_dir: Path | str | None = None,
    *,
    unrestricted: bool = False,
    as_of: AsOf | str | None = None,
    live: bool = False,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for each dataset, `revisions_<dataset>` for each of their revisions, and the
    views for research; see `catalog.connect`.

    It reads the datasets and what is registered with it; with `unrestricted=True` it is a plain DuckDB connection with
    the same views. `as_of`: the datasets as they were known at an instant (with a zone), or "first": each row as it was
    first collected. `live`: `live_quotes`, `live_bars` and `live_gaps` with all that is recorded up to now; without it
    they have what is merged, at the end of the day. Connect again for what was recorded since. Without `data_dir` it is
    the data folder of the settings. Raises `NotALake` for a folder without a lake; nothing is created.
    """
    if data_dir is None:
        from trading_assets.settings import folder_of  # late: where the folder is named nothing else reads them

        data_dir = folder_of(None)
    views = views_for(data_dir, as_of, live=live)
    folder = lake_folder(data_dir)

    def connected() -> duckdb.DuckDBPyConnection:
        connection = catalog.connect(folder, unrestricted=unrestricted)
        views(connection)
        return connection

    return while_files_move(folder, connected) if live else connected()


def cursor(data_dir: Path | str | None = None) -> duckdb.DuckDBPyConnection:
    """The same as `connect(data_dir)`: each call gives a cursor of the process's one connection to that folder."""
    return connect(data_dir)


def query(
    data_dir: Path | str,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    few: bool = False,
    as_of: AsOf | str | None = None,
    live: bool = False,
) -> pa.Table:
    """The result of one SELECT (or EXPLAIN of one) as an Arrow table; see `catalog.query`, and `connect` for
    `as_of` and `live`.

    Raises `NotALake` for a folder without a lake, `NotOneSelect` for any other statement, `duckdb.Error` for what is
    wrong with the query itself, `UnreadableFile` for a damaged file.
    """
    views = views_for(data_dir, as_of, live=live)
    folder = lake_folder(data_dir)
    if not live:
        return catalog.query(folder, sql, parameters, few=few, prepare=views)
    return while_files_move(folder, lambda: catalog.query(folder, sql, parameters, few=few, prepare=views))


def write_catalog(data_dir: Path | str) -> Path:
    """Write `lake.duckdb` with the views into the data folder, for clients that open a database file; see
    `catalog.write_catalog`. Raises `NotALake` for a folder without a lake."""
    return catalog.write_catalog(lake_folder(data_dir))


def views_for(
    data_dir: Path | str, as_of: AsOf | str | None, *, live: bool = False
) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """Makes a user's temporary views on a connection: the datasets as of an instant or with all live data, and the
    views for research. Raises `InvalidRequest`."""
    if live and as_of is not None:
        raise InvalidRequest("as_of and live were both given: the archive as of an instant has no live rows of now.")
    statements = (as_of_views(checked(as_of)) if as_of is not None else "") + research_views(temporary=True)

    def make(connection: duckdb.DuckDBPyConnection) -> None:
        if live:
            create_live_views(connection, Path(data_dir).expanduser().absolute())
        connection.execute(statements)

    return make
