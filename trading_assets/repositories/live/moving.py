"""Reading live data while it moves from segments to parts and into period files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from trading_assets.repositories.damage import raise_if_unreadable
from trading_assets.repositories.live.merging import period_file
from trading_assets.repositories.live.places import Place, live_sessions, parts, segments
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.schemas import Dataset

T = TypeVar("T")

ATTEMPTS = 20
"""A session is merged seldom, and sealed every five minutes: so often in a row it does not happen."""


def while_files_move(data_dir: Path, read: Callable[[], T]) -> T:
    """What `read` returns; read again where files of live data were sealed, merged or removed meanwhile: it may have
    missed rows that moved, or files that it had listed.

    Raises what `read` raises while nothing moves, and `UnreadableFile` where that is about a damaged part.
    """
    for attempt in range(1, ATTEMPTS + 1):
        before = _state(data_dir)
        try:
            found = read()
        except (duckdb.Error, OSError) as error:
            if attempt == ATTEMPTS or _state(data_dir) == before:
                raise_if_unreadable(_parts(data_dir), error)
                raise
        else:
            if attempt == ATTEMPTS or _state(data_dir) == before:
                return found
    raise AssertionError("the last attempt returns or raises")


def _state(data_dir: Path) -> tuple[list[Place], list[tuple[str, int, int]]]:
    """The segments and parts that there are, and which version of their sessions' period files."""
    places, files = [], []
    for dataset in LIVE_DATASETS:
        places += [place for find in (segments, parts) for place in find(data_dir, dataset)]
        for session in live_sessions(data_dir, dataset):
            path = data_dir / period_file(dataset, session)
            with suppress(OSError):
                found = os.stat(path)
                files.append((str(path), found.st_ino, found.st_mtime_ns))
    return places, files


def _parts(data_dir: Path) -> Iterator[tuple[Dataset, Path]]:
    for dataset in LIVE_DATASETS:
        for place in parts(data_dir, dataset):
            yield dataset, place.part
