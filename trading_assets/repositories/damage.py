"""Whether a failed query failed because a file of the lake is damaged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from trading_assets.errors import UnreadableFile
from trading_assets.repositories.dataset_sql import duckdb_type as duckdb_type
from trading_assets.repositories.dataset_sql import escaped, quoted
from trading_assets.repositories.files import check_file
from trading_assets.repositories.schemas import Dataset


def raise_if_unreadable(among: Iterable[tuple[Dataset, Path]], error: Exception) -> None:
    """Raise `UnreadableFile` when the error is about the content of one of the files: those it may be about are read
    whole to see that."""
    files = list(among)
    named = [(kind, path) for kind, path in files if str(path) in str(error)]
    # Of a damaged page DuckDB says neither the file nor that it is one: an error without a class of its own.
    unnamed = type(error) is duckdb.Error or isinstance(
        error, duckdb.IOException | duckdb.SerializationException | duckdb.InternalException
    )
    if not named and not unnamed:
        return
    for kind, path in named or files:
        try:
            check_file(path, kind, pages=True)
        except FileNotFoundError:
            continue  # it was removed since its folder was listed
        except UnreadableFile as damaged:
            raise damaged from error
        if unnamed and not _reads(path):
            raise UnreadableFile(path) from error


def _reads(path: Path) -> bool:
    """Whether DuckDB can read the whole file: it stumbles over some damage that Arrow passes by. One that was removed
    meanwhile has no damage."""
    try:
        with duckdb.connect() as connection:
            # A hash needs the values: counts are taken from the footer.
            connection.execute(
                f"SELECT bit_xor(hash(t)) FROM read_parquet({quoted(escaped(str(path)))}, hive_partitioning = false) t"
            ).fetchall()
    except duckdb.Error:
        return not path.exists()
    return True
