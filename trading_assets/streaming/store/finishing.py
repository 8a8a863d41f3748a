"""Sealing on demand, by another process than the recorder: what is recorded so far becomes parts, to be merged.

A recorder that runs seals its own segments when it is asked to (a file that it looks for once a second). What a
recorder that died left behind is sealed here; that it died is still found by the next one, which says so in
`live_gaps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import monotonic, sleep

from trading_assets.errors import LakeBusy
from trading_assets.permissions import folder_like_parent
from trading_assets.repositories.live.places import FOLDER, SEAL_WANTED, Place, segments
from trading_assets.repositories.live.writer_lock import WriterLock
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.streaming.store.recovery import seal_left_behind

WAIT_SECONDS = 15.0
"""How long a recorder is waited for: it looks once a second, and seals 100,000 rows in less than a second."""

_LOOK_SECONDS = 0.05


def seal_recorded(data_dir: Path, sessions: Sequence[date], wait_seconds: float = WAIT_SECONDS) -> bool:
    """Seal what is recorded of the sessions so far. False: a recorder holds some of it still; it seals it within some
    minutes by itself.

    Raises `OSError`.
    """
    wanted = _open(data_dir, sessions)
    if not wanted:
        return True
    try:
        lock = WriterLock(data_dir)
    except LakeBusy:
        return _ask(data_dir, sessions, wanted, wait_seconds)
    try:
        seal_left_behind(data_dir)
    finally:
        lock.release()
    return True


def _ask(data_dir: Path, sessions: Sequence[date], wanted: set[Place], wait_seconds: float) -> bool:
    (folder_like_parent(data_dir / FOLDER) / SEAL_WANTED).touch()
    end = monotonic() + wait_seconds
    while monotonic() < end:
        if not wanted & _open(data_dir, sessions):
            return True
        sleep(_LOOK_SECONDS)
    return False


def _open(data_dir: Path, sessions: Sequence[date]) -> set[Place]:
    return {
        place for dataset in LIVE_DATASETS for session in sessions for place in segments(data_dir, dataset, session)
    }
