"""Which folders can hold a lake: their names are handed on to DuckDB, to Dagster and to URLs of databases.

Most characters can be quoted for all of them; a name with one that cannot is refused before anything is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

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
