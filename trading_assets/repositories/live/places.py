"""Where live data stands until it is merged: `live_segments/<dataset>/<session>/<name>.arrows` and `<name>.parquet`.

A segment (`.arrows`) is appended to by one recorder and then sealed into the part (`.parquet`) of the same name. Names
sort in the order in which the segments were begun: instant of the system's clock, recorder, number. The rows of a part
that a period file names as merged are in that file (see `merging`).
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from trading_assets.repositories.schemas import Dataset

FOLDER = "live_segments"
"""Folder of the live store, under the data folder."""

SEGMENT = ".arrows"
PART = ".parquet"
NAMES = "????????T????????????-????????"
"""Pattern of the names of segments and parts. A copy that another program made has another name, and is not read."""

SEAL_WANTED = "seal-wanted"
"""A file in that folder: somebody wants the recorder to seal its segments now."""

WRITER_LOCK = "live/writer"
"""Held by the recorder that writes; whoever may judge that a segment has no writer any more holds it too."""

SEALING_LOCK = "live/sealing"
"""Held by who seals segments: one at a time."""

_SESSION = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One segment or part of a dataset."""

    session: str
    name: str
    path: Path

    @property
    def day(self) -> date:
        """The session as a date."""
        return date.fromisoformat(self.session)

    @property
    def part(self) -> Path:
        """The part of that name."""
        return self.path.with_name(self.name + PART)

    @property
    def segment(self) -> Path:
        """The segment of that name."""
        return self.path.with_name(self.name + SEGMENT)


def live_folder(data_dir: Path, dataset: Dataset) -> Path:
    """The folder of a dataset's segments and parts."""
    return data_dir / FOLDER / dataset.name


def segments(data_dir: Path, dataset: Dataset, session: date | None = None) -> list[Place]:
    """The segments of a dataset, in the order in which they were begun; of one session where it is named."""
    return sorted(_places(data_dir, dataset, session, SEGMENT))


def parts(data_dir: Path, dataset: Dataset, session: date | None = None) -> list[Place]:
    """The same of the parts."""
    return sorted(_places(data_dir, dataset, session, PART))


def live_sessions(data_dir: Path, dataset: Dataset) -> list[date]:
    """The sessions of which there are segments or parts, in order."""
    found = {place.session for suffix in (SEGMENT, PART) for place in _places(data_dir, dataset, None, suffix)}
    return [date.fromisoformat(session) for session in sorted(found)]


def _places(data_dir: Path, dataset: Dataset, session: date | None, suffix: str) -> Iterator[Place]:
    root = live_folder(data_dir, dataset)
    for folder in filter(_SESSION.fullmatch, _names(root)) if session is None else [session.isoformat()]:
        for name in fnmatch.filter(_names(root / folder), NAMES + suffix):
            yield Place(folder, name.removesuffix(suffix), root / folder / name)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
