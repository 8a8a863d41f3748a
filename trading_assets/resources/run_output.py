"""What runs print, where Dagster's history is on a server: every machine reads it there, also while the run goes on.

The output of a step is written into a file of this machine first, as ever. What is new in it goes into a table beside
Dagster's own every few seconds, and the file is deleted when all of it is there. A server that does not answer fails no
run: the file stays, and is shown on this machine.

A row of the table is never changed, and each begins where the one before it ends. So a piece whose answer was lost is
found again when it is sent anew, and what another process sent under the same key stays: the piece goes behind it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from trading_assets.resources.dagster_private import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    CapturedLogSubscription,
    CloudStorageComputeLogManager,
    ComputeIOType,
    LocalComputeLogManager,
    PollingComputeLogSubscriptionManager,
)
from trading_assets.resources.history_database import history_engine, output, place

SEND_SECONDS = 5.0
"""Between two looks at what a running step has printed."""

MOST_BYTES = 5 * 2**20
"""Of one stream of a step that the table keeps; the file with the rest stays on its machine."""

_ENDED = "end"
"""Stands in place of a stream in the row that says that a step's output is complete."""

_log = logging.getLogger("trading_assets.resources")


@dataclass(slots=True)
class _Sent:
    """How far a stream has been sent. A process that goes on with the output of another one begins behind it."""

    read: int
    """Bytes of the file that the table has."""
    at: int
    """Where the next piece begins in the table."""
    unanswered: int = 0
    """Bytes of the longest piece that was sent from there on without an answer: the table may have it."""


class ServerComputeLogManager(CloudStorageComputeLogManager):
    """Keeps what steps print in the database of the history."""

    def __init__(self, folder: str, url: str) -> None:
        """`folder`: for the files of this machine. `url`: that of the history."""
        self._local = LocalComputeLogManager(folder)
        self._url = url
        self._subscriptions = PollingComputeLogSubscriptionManager(self)
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._sending = threading.Lock()

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """The files of this machine."""
        return self._local

    @property
    def upload_interval(self) -> int | None:
        """None: `capture_logs` sends by itself."""
        return None

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Capture what this process prints within it."""
        ended = threading.Event()

        def send() -> None:
            while not ended.wait(SEND_SECONDS):
                self._send(log_key)

        sender = threading.Thread(target=send, name="run-output", daemon=True)
        sender.start()
        try:
            with self._local.capture_logs(log_key) as context:
                yield context
        finally:
            ended.set()
            sender.join()
            self._on_capture_complete(log_key)

    def _on_capture_complete(self, log_key: Sequence[str]) -> None:
        if self._send(log_key, ended=True):
            self._local.delete_logs(log_key=log_key)

    def _send(self, log_key: Sequence[str], *, ended: bool = False) -> bool:
        """Send what is new; whether the table has all of it."""
        key = _key(log_key)
        try:
            with self._sending, history_engine(self._url).connect() as connection:
                whole = [self._send_stream(connection, log_key, kind) for kind in ComputeIOType]
                if ended:
                    connection.execute(_adding(key, _ENDED, 0, b""))
        except (sa.exc.SQLAlchemyError, OSError) as error:
            _log.warning(
                "What the step %s prints could not be sent to %s (%s): it stays in a file of this machine.",
                key,
                place(self._url),
                str(error).partition("\n")[0],
            )
            return False
        if ended:
            for kind in ComputeIOType:
                self._sent.pop((key, kind.value), None)
        return all(whole)

    def _send_stream(self, connection: sa.Connection, log_key: Sequence[str], kind: ComputeIOType) -> bool:
        file, place_of = self._file(log_key, kind), (_key(log_key), kind.value)
        if not file.exists():
            return True
        if place_of not in self._sent:
            self._sent[place_of] = _begun(connection, *place_of, file)
        sent, size = self._sent[place_of], file.stat().st_size
        if size < sent.read:  # the file was begun anew: what is in it now is new
            sent.read = 0
        while sent.read < size:
            with file.open("rb") as printed:
                printed.seek(sent.read)
                content = printed.read(max(min(size - sent.read, MOST_BYTES - sent.at), 0))
            if not content:
                return False
            _add(connection, *place_of, sent, content)
        return True

    def _file(self, log_key: Sequence[str], kind: ComputeIOType) -> Path:
        return Path(self._local.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))

    def is_capture_complete(self, log_key: Sequence[str]) -> bool:
        """Whether the step has ended."""
        return self._local.is_capture_complete(log_key) or self.cloud_storage_has_logs(log_key, ComputeIOType.STDERR)

    def cloud_storage_has_logs(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> bool:
        """Whether the table has all of a step's output; with `partial`, any of the stream."""
        looked_for = io_type.value if partial else _ENDED
        query = sa.select(output.c.begins).where(output.c.log_key == _key(log_key), output.c.stream == looked_for)
        with history_engine(self._url).connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def upload_to_cloud_storage(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> None:
        """Send what is new of both streams."""
        self._send(log_key, ended=not partial)

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Write the stream into a file of this machine, for the download of the UI."""
        file = self._file(log_key, io_type)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self._kept(log_key, io_type, 0) or b"")

    def get_log_data_for_type(
        self, log_key: Sequence[str], io_type: ComputeIOType, offset: int, max_bytes: int | None
    ) -> tuple[bytes | None, int]:
        """What the stream has from `offset` on, at most `max_bytes`, and where that ends."""
        if self.has_local_file(log_key, io_type):
            found: tuple[bytes | None, int] = self._local.get_log_data_for_type(log_key, io_type, offset, max_bytes)
            return found
        content = self._kept(log_key, io_type, offset)
        if content is None:
            return None, offset
        chosen = content[:max_bytes]
        return chosen, offset + len(chosen)

    def _kept(self, log_key: Sequence[str], io_type: ComputeIOType, offset: int) -> bytes | None:
        """What the table has of a stream from `offset` on; None where it has nothing of it."""
        mine = sa.and_(output.c.log_key == _key(log_key), output.c.stream == io_type.value)
        query = sa.select(output.c.begins, output.c.content).where(mine).order_by(output.c.begins)
        with history_engine(self._url).connect() as connection:
            rows = connection.execute(query.where(output.c.begins + sa.func.length(output.c.content) > offset)).all()
            if not rows and connection.execute(sa.select(sa.literal(1)).where(mine).limit(1)).first() is None:
                return None
        return b"".join(bytes(content)[max(offset - begins, 0) :] for begins, content in rows)

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        """Delete the output of one step, or of all whose keys begin so (`[run_id]`)."""
        self._local.delete_logs(log_key=log_key, prefix=prefix)
        chosen = (
            output.c.log_key == _key(log_key)
            if log_key is not None
            else sa.func.starts_with(output.c.log_key, f"{_key(prefix or ())}/")
        )
        with history_engine(self._url).connect() as connection:
            connection.execute(output.delete().where(chosen))

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Where the stream is, for users."""
        return str(self._file(log_key, io_type)) if self.has_local_file(log_key, io_type) else place(self._url)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """Where the UI downloads the stream."""
        url: str = self._local.get_captured_log_download_url(log_key, io_type)
        return url

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Have an open page of the UI told of what is new."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """The page was closed."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """Stop watching."""
        self._subscriptions.dispose()
        super().dispose()


def _key(log_key: Sequence[str]) -> str:
    return "/".join(log_key)


def _begun(connection: sa.Connection, key: str, stream: str, file: Path) -> _Sent:
    """How far a stream was sent before this process looked at it. A file that begins with what the table has is the one
    that it was sent from."""
    end = _end(connection, key, stream)
    kept = b"".join(map(bytes, connection.execute(_pieces(key, stream)).scalars())) if end else b""
    with file.open("rb") as printed:
        return _Sent(read=end if printed.read(end) == kept else 0, at=end)


def _add(connection: sa.Connection, key: str, stream: str, sent: _Sent, content: bytes) -> None:
    """Add a piece, or learn from the row that stands in its place what is in the table already."""
    tried, sent.unanswered = sent.unanswered, max(sent.unanswered, len(content))
    there: bytes | None = content
    if not connection.execute(_adding(key, stream, sent.at, content)).rowcount:
        found = connection.execute(_pieces(key, stream).where(output.c.begins == sent.at)).scalar_one_or_none()
        there = bytes(found) if found is not None and len(found) <= tried else None
    if there is not None and content.startswith(there):
        sent.read, sent.at = sent.read + len(there), sent.at + len(there)
    else:  # of another process
        sent.at = _end(connection, key, stream)
    sent.unanswered = 0


def _pieces(key: str, stream: str) -> sa.Select[Any]:
    mine = output.c.log_key == key, output.c.stream == stream
    return sa.select(output.c.content).where(*mine).order_by(output.c.begins)


def _end(connection: sa.Connection, key: str, stream: str) -> int:
    """Bytes of a stream in the table."""
    ends = sa.func.max(output.c.begins + sa.func.length(output.c.content))
    mine = output.c.log_key == key, output.c.stream == stream
    return connection.execute(sa.select(ends).where(*mine)).scalar_one() or 0


def _adding(key: str, stream: str, begins: int, content: bytes) -> sa.Executable:
    return insert(output).values(log_key=key, stream=stream, begins=begins, content=content).on_conflict_do_nothing()
