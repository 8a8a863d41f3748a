"""`LiveTail`: the updates of quotes as they are recorded, for any number of followers in any process.

A follower reads the segments as they grow. It costs the recorder nothing, and cannot hold it up.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

import pyarrow as pa

from trading_assets.errors import LakeError
from trading_assets.repositories.files import read_file
from trading_assets.repositories.live.places import Place, parts, segments
from trading_assets.repositories.live.segments import END, read_batches, schema_of
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.streaming.store import rows
from trading_assets.streaming.updates import QuoteUpdate

LOOK_SECONDS = 1.0
"""Between two looks at the parts, of which there are hundreds in the evening, while no segment comes or goes."""

ATTEMPTS = 10
"""After so many looks that failed a file is left out."""

logger = logging.getLogger(__name__)


class LiveTail(AbstractContextManager["LiveTail"]):
    """Gives what is recorded from its making on (`from_start`: also what is not sealed yet), each update once, in the
    order in which it was written.

    It may be polled as seldom as one likes until the day is merged: what was sealed meanwhile is read from the parts.
    For one thread. Close it, or use it in a `with`.
    """

    def __init__(self, data_dir: Path | str, *, from_start: bool = False) -> None:
        self._data_dir = Path(data_dir)
        self._last_name = max((place.name for place in parts(self._data_dir, LIVE_QUOTES)), default="")
        self._followed: dict[str, _Followed | _Part] = {}
        self._listed: list[Place] | None = None
        self._look_at_parts = 0.0
        self._find()
        if not from_start:
            for name in list(self._followed):
                self._new(name)

    def poll(self) -> list[QuoteUpdate]:
        """The updates since the last call; empty when there are none. A file that cannot be read is named in the log
        and left out: the others go on."""
        self._find()
        return [update for name in list(self._followed) for batch in self._new(name) for update in rows.quotes(batch)]

    def _new(self, name: str) -> Sequence[pa.RecordBatch]:
        """What has come in a file since the last look."""
        followed = self._followed[name]
        batches: Sequence[pa.RecordBatch] = ()
        try:
            batches = followed.read()
            ended = followed.ended
        except OSError as error:  # of the machine, which may pass: too many open files
            followed.failures += 1
            ended = followed.failures == ATTEMPTS
            if ended:
                _leave_out(followed.path, error)
        except (LakeError, pa.ArrowException) as error:
            ended = True
            _leave_out(followed.path, error)
        if ended:
            self._followed.pop(name).close()
        return batches

    def _find(self) -> None:
        """Follow the segments that were begun since the last look, and the parts that took the place of such ones."""
        there = segments(self._data_dir, LIVE_QUOTES)
        if there == self._listed and monotonic() < self._look_at_parts:
            return
        self._listed, self._look_at_parts = there, monotonic() + LOOK_SECONDS
        begun = {place.name: place for place in there if place.name > self._last_name}
        # After the segments: what was sealed since is among the parts.
        sealed = {place.name: place for place in parts(self._data_dir, LIVE_QUOTES) if place.name > self._last_name}
        for name, place in sorted((begun | sealed).items()):
            try:
                self._followed[name] = _Followed(place)
            except FileNotFoundError:
                self._followed[name] = _Part(place)
            self._last_name = name

    def close(self) -> None:
        """Close the files."""
        while self._followed:
            self._followed.popitem()[1].close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _leave_out(path: Path, error: Exception) -> None:
    logger.warning("The live updates in %s are left out, since it cannot be read: %s", path, error)


class _Followed:
    """A segment that is read as it grows. It is read to its end also when it is sealed, and removed, meanwhile."""

    def __init__(self, place: Place) -> None:
        self.path = place.segment
        self.failures = 0
        self._descriptor = os.open(self.path, os.O_RDONLY)
        self._at = 0
        self._schema: pa.Schema | None = None
        self.ended = False

    def read(self) -> Sequence[pa.RecordBatch]:
        """The batches that are complete since the last call."""
        status = os.fstat(self._descriptor)
        removed = status.st_nlink == 0
        if status.st_size == self._at and not removed:
            return ()
        data = os.pread(self._descriptor, max(0, status.st_size - self._at), self._at)
        if self._schema is None:
            begin = schema_of(pa.py_buffer(data))
            if begin is None:
                self.ended = removed
                return ()
            self._schema, end = begin
            self._at, data = end, data[end:]
        found = list(read_batches(LIVE_QUOTES, self._schema, pa.py_buffer(data)))
        end = found[-1][1] if found else 0
        self._at += end
        self.ended = removed or data[end : end + len(END)] == END
        return [batch for batch, _ in found]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class _Part:
    """A segment that was sealed before it was opened: its part is read once."""

    def __init__(self, place: Place) -> None:
        self.path = place.part
        self.failures = 0
        self.ended = True

    def read(self) -> Sequence[pa.RecordBatch]:
        """All rows, in the order in which they came."""
        try:
            table = read_file(self.path, LIVE_QUOTES)
        except FileNotFoundError:  # merged: the day is over
            return ()
        return table.sort_by([("received_at", "ascending"), ("seq", "ascending")]).to_batches()

    def close(self) -> None:
        """Nothing is open."""
