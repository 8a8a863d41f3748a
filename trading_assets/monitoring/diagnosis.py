"""What a report of a defect has to say, in one block of text that can be pasted: versions, settings, identity, counts,
the last errors of the broker.

It reads what is there and writes nothing. It holds no secret, no price, no position and no account number; the user's
home folder is written as `~`. A part that cannot be read is a sentence in its place.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sqlalchemy as sa

from trading_assets import __version__
from trading_assets.monitoring.broker_status import different_subscriptions, gateway_records
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.schemas import DATASETS
from trading_assets.settings import SECRETS, Settings
from trading_assets.state import read_state, reading_engine, tables
from trading_assets.universe import Universe

PACKAGES = ("dagster", "ib_insync", "ib_async", "duckdb", "pyarrow", "pandas", "numpy", "sqlalchemy", "numba")

ERRORS = 10
"""How many errors of the broker are listed: the last kinds, each once."""

_ACCOUNT = re.compile(r"\b(?:DU|DF|DI|[UFI])\d{5,}\b")
"""Account numbers as Interactive Brokers writes them; D stands before those of paper accounts."""


def diagnosis(settings: Settings) -> str:
    """The block of text, with a line for each thing that is known."""
    parts: list[tuple[str, Callable[[Settings], Iterator[str]]]] = [
        ("versions", _versions),
        ("settings that differ from the defaults", _settings),
        ("lake", _lake),
        ("journal", _journal),
        ("last errors of the broker", _errors),
    ]
    if settings.gateways:
        parts.insert(3, ("gateways", _gateways))
    lines = []
    for title, part in parts:
        lines.append(f"{title}:")
        try:
            lines += [f"  {line}" for line in part(settings)] or ["  none"]
        except (sa.exc.SQLAlchemyError, OSError, ValueError) as error:
            lines.append(f"  unavailable: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    return _private("\n".join(lines))


def _private(text: str) -> str:
    home = str(Path.home())
    shown = text.replace(home, "~") if home != "/" else text
    return _ACCOUNT.sub("(account)", shown)


def _versions(settings: Settings) -> Iterator[str]:
    yield f"trading-assets {__version__}, Python {platform.python_version()}, {platform.platform()}"
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _settings(settings: Settings) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value != field.get_default(call_default_factory=True):
            yield f"{name} = {'(set)' if name in SECRETS else value}"


def _lake(settings: Settings) -> Iterator[str]:
    yield f"data folder {settings.data_dir}, state in {settings.state_url.partition(':')[0]}"
    yield f"broker identity {LakeIdentity(settings.data_dir).read() or 'none yet'}"
    for dataset in DATASETS.values():
        if files := dataset_files(settings.data_dir, dataset):
            yield f"{dataset.name}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes"


def _gateways(settings: Settings) -> Iterator[str]:
    found = gateway_records(settings, reading_engine(settings.state_url), probe=False)
    for one in found:
        state = {True: "reachable", False: "not reachable", None: "not contacted yet"}[one["reachable"]]
        yield f"{one['name']} {one['endpoint']}: {state}, breaker {one['breaker']['phase']} {one['error']}".rstrip()
    if note := different_subscriptions(found):
        yield note


def _journal(settings: Settings) -> Iterator[str]:
    requests = tables.requests.c
    with read_state(settings.state_url) as connection:
        counted = connection.execute(
            sa.select(requests.kind, requests.outcome, sa.func.count())
            .group_by(requests.kind, requests.outcome)
            .order_by(requests.kind, requests.outcome)
        ).all()
        held = connection.execute(
            sa.select(sa.func.count()).where(tables.quarantine.c.closed_at.is_(None))
        ).scalar_one()
    yield f"{len(Universe(settings.state_url).entries())} symbols in the universe, {held} answers in quarantine"
    for kind, outcome, count in counted:
        yield f"{kind} {outcome or 'not ended'}: {count:,}"


def _errors(settings: Settings) -> Iterator[str]:
    requests = tables.requests.c
    last = sa.func.max(requests.id)
    kinds = (requests.kind, requests.outcome, requests.code)
    newest = (
        sa.select(last.label("id"), sa.func.count().label("times"))
        .where(requests.code.is_not(None))
        .group_by(*kinds)
        .order_by(last.desc())
        .limit(ERRORS)
        .subquery()
    )
    with read_state(settings.state_url) as connection:
        found = connection.execute(
            sa.select(*kinds, requests.text, requests.finished_at, newest.c.times)
            .join(newest, newest.c.id == requests.id)
            .order_by(requests.id.desc())
        ).all()
    for kind, outcome, code, text, at, times in found:
        when = "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC "
        yield f"{when}{kind} {outcome} {code}: {text} ({times:,} in all)"
