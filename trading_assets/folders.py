"""Which folders can hold a lake: their names are handed on to DuckDB, to Dagster and to URLs of databases.

Most characters can be quoted for all of them; a name with one that cannot is refused before anything is made. The lake
of a data folder may be in an object store; the folder then holds copies of its files, and a file that names the store.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple, Self

_REFUSED = (
    (re.compile(r"\\"), "a backslash", "DuckDB takes it for a separator of folders"),
    (re.compile(r"\?"), "a question mark", "Dagster and DuckDB take it for the begin of options"),
    (
        re.compile(r"%[0-9A-Fa-f]{2}"),
        "a percent sign before two hexadecimal digits",
        "Dagster takes it for an encoded character",
    ),
    (
        re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"),
        "a line break or another control character",
        "no message could name the folder",
    ),
    (re.compile(r"[\ud800-\udfff]"), "a byte that is not UTF-8", "Dagster and DuckDB take names as UTF-8"),
)


def usable_folder(path: Path) -> Path:
    """The path, when a lake can be kept there. Raises `ValueError` that names the character that is in the way."""
    text = str(path)
    for pattern, what, why in _REFUSED:
        if pattern.search(text):
            raise ValueError(
                f"The data folder {text!a} cannot be used: its path has {what} ({why}). Rename the folder, or choose"
                " another one."
            )
    return path


class StateUrl(str):
    """The URL of a state database as SQLAlchemy reads it, with the data folder of the lake that it belongs to."""

    data_dir: Path

    def __new__(cls, text: str, data_dir: Path) -> Self:
        """The text, and the folder beside it."""
        url = super().__new__(cls, text)
        url.data_dir = data_dir
        return url


LOCATION_FILE = ".object_store.json"
"""In a data folder whose lake is in an object store: the URL, and how many bytes of it the folder may hold."""

OBJECT_STORE = "s3://"
"""How the URL of a lake in an object store begins."""


class LakeLocation(NamedTuple):
    """Where the lake of a data folder is: `s3://bucket/prefix`, of which the folder holds copies of at most
    `copy_bytes`."""

    url: str
    copy_bytes: int


_locations: dict[Path, LakeLocation] = {}
"""What the settings of this process say of data folders."""


def set_lake_location(data_dir: Path, location: LakeLocation | None) -> None:
    """Note what the settings say of a data folder; None: its lake is in the folder itself. Nothing is written.

    Raises `ValueError` where the folder belongs to another lake already.
    """
    held = _written_location(data_dir)
    if held is not None and (location is None or held.url != location.url):
        there = "names no object store" if location is None else f"names {location.url}"
        raise ValueError(
            f"The data folder {data_dir} holds copies of the lake in {held.url}, and TRADING_ASSETS_LAKE {there}: set"
            f" TRADING_ASSETS_LAKE to {held.url}, or TRADING_ASSETS_DATA_DIR to another folder."
        )
    if location is None:
        _locations.pop(data_dir, None)
        return
    if held is None and (data_dir / "lake.json").exists():
        raise ValueError(
            f"The data folder {data_dir} holds a lake of its own, and TRADING_ASSETS_LAKE names {location.url}: set"
            " TRADING_ASSETS_DATA_DIR to an empty folder, or leave TRADING_ASSETS_LAKE out."
        )
    _locations[data_dir] = location


def lake_location(data_dir: Path) -> LakeLocation | None:
    """Where the lake of a data folder (an absolute path) is when that is an object store: by the settings of this
    process, else by what an earlier one wrote down; None where it is in the folder itself."""
    return _locations.get(data_dir) or _written_location(data_dir)


def location_text(location: LakeLocation) -> str:
    """What `LOCATION_FILE` holds."""
    return json.dumps(location._asdict()) + "\n"


def _written_location(data_dir: Path) -> LakeLocation | None:
    file = data_dir / LOCATION_FILE
    if not os.path.exists(file):
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return LakeLocation(str(said["url"]), int(said["copy_bytes"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged: delete it, and set TRADING_ASSETS_LAKE to the lake's object store."
        ) from error
