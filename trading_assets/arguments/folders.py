"""The data folder as users give it: one with a lake, to read; one in which a lake may be made, to collect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from trading_assets.arguments.words import STORED
from trading_assets.errors import InvalidRequest, NotALake
from trading_assets.folders import lake_location, usable_folder

_IDENTITY = "lake.json"

REPORTS = "reports"
"""Folder of the data folder in which reports are written, and users may write."""


def holds_lake(folder: Path) -> bool:
    """Whether there is a lake in the folder: its `lake.json`, or data without it (lost, or of an early version); or in
    an object store, of which the folder holds copies."""
    return (
        (folder / _IDENTITY).is_file()
        or any(_has_files(folder / name) for name in STORED)
        or lake_location(folder) is not None
    )


def lake_folder(value: Any, name: str = "data_dir") -> Path:
    """The absolute path of a folder that holds a lake. Nothing is created.

    Raises `NotALake`, which names lakes beside or below it, and `InvalidRequest` for what is no path.
    """
    folder = _folder(value, name)
    if holds_lake(folder):
        return folder
    raise NotALake(folder, _why(folder), _near(folder))


def new_lake_folder(value: Any, name: str = "base_path") -> Path:
    """The path of a folder that holds a lake, or in which one may be made. Nothing is created.

    Raises `NotALake` for a file and for the folder of a dataset inside a lake, `InvalidRequest` for what is no path.
    """
    folder = _folder(value, name)
    if (folder.exists() and not folder.is_dir()) or (folder.name in STORED and holds_lake(folder.parent)):
        raise NotALake(folder, _why(folder), _near(folder))
    return Path(value).expanduser()


def output_file(value: Any, data_dir: Path | str, name: str = "path", *, is_folder: bool = False) -> Path:
    """The path of a file (`is_folder`: of a folder of files) that a user wants written.

    In the data folder it may be in `reports` only: elsewhere there it would be read as data, or take the place of a
    file of the archive. A device or a pipe is refused: the file would take its place. Raises `InvalidRequest`.
    """
    if not isinstance(value, str | os.PathLike) or not str(value).strip():
        raise InvalidRequest(f"{name} is {value!r}, and the path of a file is wanted.")
    path = Path(value).expanduser()
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(data_dir))
    if real.is_relative_to(root) and not real.is_relative_to(root / REPORTS):
        raise InvalidRequest(
            f"{name} is {str(path)!r}, in the data folder {root}, whose files are the archive's own: name a file"
            f" elsewhere, or in {root / REPORTS}."
        )
    if path.is_dir() and not is_folder:
        raise InvalidRequest(f"{name} is {str(path)!r}, and this is a folder: name a file in it.")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InvalidRequest(
            f"{name} is {str(path)!r}, and this is a device or a pipe, whose place a file would take: name a file."
        )
    return path


def _folder(value: Any, name: str) -> Path:
    if not isinstance(value, str | os.PathLike) or (isinstance(value, str) and not value.strip()):
        raise InvalidRequest(f"{name} is {value!r}, and the path of a data folder is wanted, for example 'data'.")
    return usable_folder(Path(value).expanduser().absolute())


def _has_files(folder: Path) -> bool:
    """Whether there is a Parquet file in the folder of a dataset, or in that of one of its variants."""
    return any(next(folder.glob(pattern), None) is not None for pattern in ("*.parquet", "*/*.parquet"))


def _why(folder: Path) -> str:
    if not folder.exists():
        return "there is no such folder"
    if not folder.is_dir():
        return "it is a file"
    return (
        f"it has neither {_IDENTITY} nor data"
        if folder.name not in STORED
        else "it is the folder of one dataset, and not the data folder above it"
    )


def _near(folder: Path) -> list[Path]:
    """Lakes that may have been meant: the folders above it, and those in it or beside it."""
    above = [parent for parent in folder.parents[:2] if holds_lake(parent)]
    return [*above, *(inner for inner in _folders(folder) if holds_lake(inner))][:3]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
