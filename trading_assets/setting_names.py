"""What is said of settings that are wrong: a variable with a wrong name, a value, a database URL that is none. Secret
values are never said."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

PREFIX = "TRADING_ASSETS_"
"""How the variables of the platform begin."""

SECRETS = frozenset({"alert_channels", "celery_broker", "dagster_database_url", "database_url"})
"""Settings whose values carry passwords: no message repeats them, nothing shows them, no run is configured with
them."""

_OF_TESTS = ("TEST", "REQUIRE_ALL_TESTS", "IB_ASYNC_PYTHON", "NAUTILUS_PYTHON")
"""Variables of the test suite, without the prefix."""

_HOST = re.compile(r"[A-Za-z0-9._:-]*")
"""What may be the host of a database. Part of a password that was not escaped would be taken for one, and shown when it
is not found."""


def unknown_variables(given: Iterable[str], settings: Iterable[str]) -> list[str]:
    """A sentence for each variable among `given` that begins as ours do and is none of `settings` (both without regard
    to case)."""
    known = sorted(name.upper().removeprefix(PREFIX) for name in settings)
    sentences = []
    for name in sorted(given):
        own = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and own not in known and not own.startswith(_OF_TESTS):
            near = difflib.get_close_matches(own, known, n=1)
            meant = (
                f"did you mean {PREFIX}{near[0]}?"
                if near
                else "docs/settings.md and trading_assets/settings.py name all there are."
            )
            sentences.append(f"{name} is no setting and is ignored: {meant}")
    return sentences


def channels(value: Any) -> Any:
    """The value, when it is a table of names and URLs. Raises `ValueError`."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError(
            'TRADING_ASSETS_ALERT_CHANNELS is a table of names and Apprise URLs, for example {"desk": "slack://..."} '
            "(what was given is not repeated here: it may carry a password)."
        )
    return value


DATABASES = ("sqlite", "postgresql")
"""Databases that keep the state, by SQLAlchemy's names."""


def database_url(value: str) -> str:
    """The text, when it is a SQLAlchemy URL of SQLite or PostgreSQL whose driver is installed. Raises `ValueError`."""
    _check_form(value, "TRADING_ASSETS_DATABASE_URL")
    if (reason := _unusable_driver(value)) is not None:
        raise ValueError(
            f"TRADING_ASSETS_DATABASE_URL {reason}. The state is kept in SQLite (sqlite:///FILE) or in PostgreSQL"
            " (postgresql+psycopg2://..., whose driver comes with pip install 'trading-assets[postgres]')."
        )
    return value


HISTORY_DRIVER = "postgresql+psycopg2"
"""The one driver with which Dagster's PostgreSQL storage works: with psycopg 3, which SQLAlchemy 2.1 takes where none
is named, its `NOTIFY` fails."""


def dagster_database_url(value: str) -> str:
    """The text, when it is a SQLAlchemy URL with which Dagster can keep its history. Raises `ValueError`."""
    _check_form(value, "TRADING_ASSETS_DAGSTER_DATABASE_URL")
    if not value.startswith(f"{HISTORY_DRIVER}://"):
        raise ValueError(
            "TRADING_ASSETS_DAGSTER_DATABASE_URL names another database or driver than Dagster's history can be kept"
            f" with: write {HISTORY_DRIVER}://user:password@host/name. Without this setting the history is kept in"
            " SQLite files of the data folder."
        )
    if not all(map(importlib.util.find_spec, ("dagster_postgres", "psycopg2"))):
        raise ValueError(
            "TRADING_ASSETS_DAGSTER_DATABASE_URL needs dagster-postgres and psycopg2, which are not installed: pip"
            " install 'trading-assets[postgres]'."
        )
    return value


def _check_form(value: str, name: str) -> None:
    """Raise `ValueError` where a text is no URL of a database."""
    if not _is_database_url(value):
        raise ValueError(
            f"{name} is no SQLAlchemy URL (it is not repeated here: it may carry a password). An example:"
            " postgresql+psycopg2://user:password@host:5432/name; in a password @ is written %40, : %3A, / %2F, ? %3F,"
            " # %23."
        )


def _unusable_driver(value: str) -> str | None:
    """Why nothing can be connected to through the driver that the URL names; None where it can. Repeats no part of the
    URL."""
    import sqlalchemy as sa

    url = sa.make_url(value)
    if url.get_backend_name() not in DATABASES:
        return "names a database of another kind"
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError):
        return "names, or leaves SQLAlchemy to choose, a driver that is not installed"
    return "names an asynchronous driver" if dialect.is_async else None


def _is_database_url(value: str) -> bool:
    """Whether a text is a SQLAlchemy URL whose host can be one, and no part of a password stands behind it."""
    import sqlalchemy as sa  # late: most commands need no URL

    try:
        url = sa.make_url(value)
    except (sa.exc.ArgumentError, ValueError):
        return False
    if url.get_backend_name() != "sqlite" and not value.partition("://")[2].rpartition("@")[2].lstrip("[").startswith(
        url.host or ""
    ):
        return False  # the host that was found stands before the last @
    return _HOST.fullmatch(url.host or "") is not None


def wrong_value(error: ValidationError) -> str:
    """The first wrong value of settings or of a run config, as one sentence."""
    first = error.errors()[0]
    secret = str(first["loc"][0] if first["loc"] else "") in SECRETS
    hidden = secret or first["type"] == "extra_forbidden"
    # Below a secret setting even a name may be a value: a channel's URL where its name should be.
    name = ".".join(str(part) for part in (first["loc"][:1] if secret else first["loc"]))
    if first["type"] == "value_error":
        what = str(first["ctx"]["error"])
        return what if what.endswith(".") else f"{what}."
    said = (
        f"{first['msg'][0].lower()}{first['msg'][1:]}"
        if first["type"] != "extra_forbidden"
        else "there is no such setting"
    )
    given = "" if hidden else f" ({first['input']!r})"
    return f"The setting {name} is wrong{given}: {said}."
