"""What is wrong with the data folder itself: files that are none of the lake, files of a newer program, and other
machines or tools that write into it.

`status`, the doctor and the alerts say the same. Nothing is changed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from trading_assets.monitoring.wording import counted, minute
from trading_assets.repositories.catalog import lake_files
from trading_assets.repositories.file_schemas import is_newer
from trading_assets.repositories.foreign_files import foreign_beside, foreign_data, not_downloaded
from trading_assets.repositories.machines import synchronised_by, writing_in_turn
from trading_assets.settings import Settings, system_clock

NAMED = 3
"""Files that one sentence names."""


@dataclass(frozen=True)
class FolderState:
    """Files relative to the data folder: `foreign` ones, which nothing reads, and `newer` ones, which this program does
    not rewrite; the sentences of what is `wrong`, and the `tool` that synchronises the folder (empty: none shows)."""

    foreign: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tool: str = ""

    @property
    def note(self) -> str:
        """A sentence about the tool; empty without one."""
        return (
            f"{self.tool} synchronises the data folder: it knows no lock and copies files one by one. Collect on one"
            " machine only, pause it while you do, and make copies with trading-assets backup PATH instead."
            if self.tool
            else ""
        )


def folder_state(settings: Settings) -> FolderState:
    """The state of the data folder of the settings. The footers of all files are read."""
    root = settings.data_dir
    foreign = [_name(root, path) for _, path in foreign_data(root)]
    foreign += [_name(root, path) for path in foreign_beside(root)]
    newer = [_name(root, path) for _, path in lake_files(root) if _is_newer(path)]
    wrong = [_foreign(foreign)] if foreign else []
    if newer:
        wrong.append(
            f"{_listed(newer)} {'was' if len(newer) == 1 else 'were'} written by a newer version of the program: what"
            " belongs there is read and not stored. Use that version (pip install --upgrade trading-assets)."
        )
    if absent := [_name(root, path) for path in not_downloaded(root)]:
        wrong.append(
            f"{_listed(absent)} {'is' if len(absent) == 1 else 'are'} not on this disk: iCloud has moved"
            f" {'it' if len(absent) == 1 else 'them'} to its servers, and nothing is read of"
            f" {'it' if len(absent) == 1 else 'them'} or written there. Download"
            f" {'it' if len(absent) == 1 else 'them'} in the Finder (Download Now), and keep the data folder out of"
            " iCloud."
        )
    if machines := second_machine(settings):
        wrong.append(machines)
    return FolderState(foreign, newer, wrong, synchronised_by(root))


def second_machine(settings: Settings) -> str:
    """A sentence when two machines write into the data folder in turn and share no database server; empty when not."""
    found = writing_in_turn(settings.data_dir, system_clock())
    if found is None or sa.make_url(str(settings.state_url)).get_backend_name() != "sqlite":
        return ""
    writer, other = found
    assert writer.in_turn_at is not None
    return (
        f"Two machines write into {settings.data_dir}: {writer.host} wrote on {minute(writer.in_turn_at)} after {other}"
        " had. Each may ask the broker for the same, and of two changes of a file one is lost. Collect on one of them,"
        " or give both a state database on a server (TRADING_ASSETS_DATABASE_URL) and a shared disk."
    )


def _foreign(names: list[str]) -> str:
    one = len(names) == 1
    return (
        f"{_listed(names)} {'is no file' if one else 'are no files'} of the lake and {'is' if one else 'are'} not read:"
        " a synchronisation tool or a person left a copy there. trading-assets doctor --fix merges rows of data that"
        f" only {'the copy has' if one else 'the copies have'} and sets {'it' if one else 'them'} aside."
    )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {counted(more, 'more file')}" if more > 0 else "")


def _is_newer(path: Path) -> bool:
    with suppress(OSError, pa.ArrowException):  # a damaged file is reported as such
        return is_newer(pq.read_schema(path))
    return False


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
