"""Which machines write into a data folder, and which synchronisation tools copy it.

The locks of the lake and its state database hold among the processes of one machine, and of several that share a disk
with such locks. A tool that copies the folder between machines knows no lock: each machine then has a state database of
its own, and of two changes of a file one is lost. So each machine leaves a record of its writing in the folder, under
the boot of its kernel, which the containers of one machine share. Two that write in turn find the other's record.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from trading_assets.errors import LakeBusy
from trading_assets.machine import boot_id
from trading_assets.permissions import own_folder, private_folder
from trading_assets.repositories.files import locked, remove_leftovers, replacing

WRITERS = ".writers"
"""Folder of the records, under the data folder: one file a machine and boot."""

RECORD_SECONDS = 60.0
"""How often a process writes its machine's record at most."""

IN_TURN = timedelta(hours=24)
"""Two machines work on a folder at the same time when one writes, the other, and the first again within so long: a lake
that was moved once is not meant."""

REPORTED_FOR = timedelta(days=7)
"""How long after the last such turn it is reported."""

KEPT_FOR = timedelta(days=30)
"""How long the record of a machine that writes no more is kept: each boot makes a new one."""

_MARKERS = {
    ".stfolder": "Syncthing",
    ".dropbox": "Dropbox",
    ".dropbox.cache": "Dropbox",
    ".owncloudsync.log": "ownCloud",
    ".nextcloudsync.log": "Nextcloud",
    ".tmp.drivedownload": "Google Drive",
    ".tmp.driveupload": "Google Drive",
    ".SynologyWorkingDirectory": "Synology Drive",
}
"""Files and folders that a tool leaves in the folder it synchronises."""

_FOLDERS = re.compile(
    r"(Dropbox|OneDrive|Google ?Drive|iCloud ?Drive|Nextcloud|ownCloud|SynologyDrive|pCloud ?Drive)(?: ?[-(].*)?"
    r"|(com~apple~CloudDocs)"
)
"""Names of folders that a tool synchronises."""

_written: dict[Path, float] = {}


@dataclass(frozen=True)
class Writer:
    """The record of one machine since its last boot: its host name, its last write (UTC), and when and after whom it
    last wrote in turn with another machine (empty: never)."""

    host: str
    last: datetime
    in_turn_at: datetime | None = None
    in_turn_with: str = ""


def record_writing(data_dir: Path) -> None:
    """Leave this machine's record in the data folder; once in `RECORD_SECONDS` a process."""
    began = _written.get(data_dir)
    if began is not None and time.monotonic() - began < RECORD_SECONDS:
        return
    _written[data_dir] = time.monotonic()
    boot = _this_boot()
    # The folder may be another user's, and another process may write the same record: data may be written all the same.
    with suppress(OSError, LakeBusy), locked(data_dir, f"{WRITERS}/{boot}.json", 0):
        note_writer(data_dir, boot, socket.gethostname(), datetime.now(UTC))


def note_writer(data_dir: Path, boot: str, host: str, now: datetime) -> None:
    """Write the record of a machine that writes at the instant `now`."""
    records = dict(_records(data_dir))
    mine = records.pop(boot, None)
    turn = (mine.in_turn_at, mine.in_turn_with) if mine is not None else (None, "")
    if mine is not None and now - mine.last < IN_TURN:
        between = [other for other in records.values() if mine.last < other.last]
        if between:
            turn = now, max(between, key=lambda other: other.last).host
    own_folder(private_folder(data_dir) / WRITERS)
    for old in [name for name, other in records.items() if now - other.last > KEPT_FOR]:
        (data_dir / WRITERS / f"{old}.json").unlink(missing_ok=True)
    document = {name: _text(value) for name, value in asdict(Writer(host, now, *turn)).items()}
    path = data_dir / WRITERS / f"{boot}.json"
    remove_leftovers(path)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")


def writing_in_turn(data_dir: Path, now: datetime) -> tuple[Writer, str] | None:
    """The machine that last wrote in turn with another one within `REPORTED_FOR`, and that one's host; None where one
    machine writes."""
    found = [
        writer
        for _, writer in _records(data_dir)
        if writer.in_turn_at is not None and now - writer.in_turn_at < REPORTED_FOR
    ]
    latest = max(found, key=lambda writer: writer.last, default=None)
    return (latest, latest.in_turn_with) if latest is not None else None


def synchronised_by(data_dir: Path) -> str:
    """The tool that synchronises the data folder or a folder above it, by what it leaves there or by its folder's name;
    empty where none shows."""
    real = Path(os.path.realpath(data_dir))
    for folder in (real, *real.parents):
        for marker, tool in _MARKERS.items():
            if (folder / marker).exists():
                return tool
        if named := _FOLDERS.fullmatch(folder.name):
            return named[1] or "iCloud Drive"
    return ""


def _records(data_dir: Path) -> Iterator[tuple[str, Writer]]:
    """The records that can be read; a conflict copy of one has a name of its own and counts as one more."""
    try:
        names = sorted(name for name in os.listdir(data_dir / WRITERS) if name.endswith(".json") and name[0] != ".")
    except OSError:
        return
    for name in names:
        try:
            said = json.loads((data_dir / WRITERS / name).read_text(encoding="utf-8"))
            turn = datetime.fromisoformat(said["in_turn_at"]) if said["in_turn_at"] else None
            last = datetime.fromisoformat(said["last"])
            yield name.removesuffix(".json"), Writer(str(said["host"]), last, turn, str(said["in_turn_with"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _text(value: str | datetime | None) -> str:
    return value.isoformat() if isinstance(value, datetime) else value or ""


@cache
def _this_boot() -> str:
    return hashlib.sha256(boot_id().encode()).hexdigest()[:16]
