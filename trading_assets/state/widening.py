"""Columns whose text was limited in a PostgreSQL database that an earlier version made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

logger = logging.getLogger(__name__)

WAIT_SECONDS = 2.0
"""Seconds to wait for whoever reads the table. All other processes wait meanwhile, so that it is tried again when the
next one starts."""

_IS_READ = "55P03"
"""PostgreSQL's code for a lock that was not given in time: somebody reads the table."""

_LATER = {"42501", "0A000", _IS_READ}
"""Codes of PostgreSQL beside that: the table is another role's, a view uses the column."""


def widen(
    connection: sa.Connection, tables: Iterable[sa.Table], stored: Mapping[str, Mapping[str, sa.types.TypeEngine[Any]]]
) -> None:
    """Take the limit from the text columns that have none in `tables`. `stored`: types by table and column. Where that
    is refused the limit stays, and a warning has the statement. Text and varchar are stored alike: nothing is written
    anew."""
    preparer = connection.dialect.identifier_preparer
    for table in tables:
        limited = [column for column in table.columns if _is_limited(stored[table.name].get(column.name), column.type)]
        if not limited:
            continue
        changes = ", ".join(f"ALTER COLUMN {preparer.format_column(column)} TYPE TEXT" for column in limited)
        statement = f"ALTER TABLE {preparer.format_table(table)} {changes}"
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(WAIT_SECONDS * 1000)}ms'")
                connection.exec_driver_sql(statement)
        except sa.exc.DBAPIError as error:
            code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
            if code not in _LATER:
                raise
            why = str(error.orig).partition("\n")[0]
            logger.warning("Long names cannot be stored in %s (%s). Its owner can run: %s", table.name, why, statement)
            if code == _IS_READ:  # a backup reads all tables: the time to wait is not spent on each
                return


def _is_limited(stored: sa.types.TypeEngine[Any] | None, wanted: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(wanted, sa.Text) and isinstance(stored, sa.String) and stored.length is not None
