"""What is raised while Dagster's history or the state cannot be used, between Dagster's queue and the process of a run:
the run waits."""

from __future__ import annotations

import sqlalchemy as sa


def database_errors() -> tuple[type[Exception], ...]:
    """The errors of both databases. Of a server Dagster asks again for some ten seconds, and raises an error of its
    own."""
    try:
        from dagster_postgres.utils import DagsterPostgresException  # late: an extra
    except ModuleNotFoundError:
        return (sa.exc.SQLAlchemyError,)
    return sa.exc.SQLAlchemyError, DagsterPostgresException
