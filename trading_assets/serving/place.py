"""What `up` takes before it starts anything: its port, and its data folder. Both are handed to the processes that
serve.

The lock is the operating system's, on a file that stays: a process that was killed holds nothing. The services'
supervisor inherits it, so it is held until the last of them has ended, also when `up` itself was killed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trading_assets.errors import PlaceTaken
from trading_assets.permissions import PRIVATE_FILE, own_folder, private_folder
from trading_assets.repositories.files import LOCKS
from trading_assets.state.processes import this_host

LOCK_FILE = "up.lock"
"""Of a data folder that one machine works with; where machines share a history, each has one of its own."""

ENDING_SECONDS = 45.0
"""How long the services of an `up` that was killed may take to end; the next one waits for them."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `PlaceTaken` when the address is in use."""
    try:
        family, *_ = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PlaceTaken(
                f"Port {port} on {host} is in use by another program: end it, or choose another port with --port."
            ) from error
        raise PlaceTaken(
            f"{host} port {port} cannot be served ({error.strerror or error}): choose others with --host and --port."
        ) from error


def hold(data_dir: Path, *, shared: bool = False) -> int:
    """The descriptor of the data folder's lock, held until it is closed here and in every process that inherits it.
    With `shared` an `up` of another machine may hold its own, but none may run that began without a shared history: it
    has a history and a daemon of its own. (One that begins later is refused by what the folder notes of the server.)

    Raises `PlaceTaken` with the process that holds it. One that has ended is waited for: its services are ending.
    """
    folder = own_folder(private_folder(data_dir) / LOCKS)
    if shared:
        os.close(_lock(folder / LOCK_FILE, data_dir))
    descriptor = _lock(folder / (_own_lock_file() if shared else LOCK_FILE), data_dir)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _lock(path: Path, data_dir: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    deadline = time.monotonic() + ENDING_SECONDS
    while not _locked(descriptor):
        holder = _holder(descriptor)
        if time.monotonic() > deadline or _is_alive(holder):
            os.close(descriptor)
            raise PlaceTaken(
                f"{data_dir} is served already by trading-assets up (process {holder or 'unknown'}): use that one, or"
                " stop it first."
            )
        time.sleep(0.1)
    return descriptor


@contextmanager
def held(data_dir: Path, *, shared: bool = False) -> Iterator[int]:
    """`hold` for the time of a block."""
    descriptor = hold(data_dir, shared=shared)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _own_lock_file() -> str:
    """A name that no other machine uses: locks of a folder on a server hold among machines as well."""
    return f"up-{hashlib.sha256(this_host().encode()).hexdigest()[:16]}.lock"


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int:
    """The process that wrote itself into the lock file; 0 while it has not."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
