"""Processes as those of other machines can name them, and whether one has ended.

A process is named by its host, its id and its start. The host is the boot of a machine with the namespaces in which
processes are numbered and timed: within it each can look the other up. Host names are for readers, they do not count:
two machines may have the same. Of a process on another host only a heartbeat can tell whether it lives.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import uuid
from functools import cache
from pathlib import Path

from trading_assets.machine import boot_id, machine_id

_NAMESPACES = ("/proc/self/ns/pid", "/proc/self/ns/time")
"""Processes are numbered within the one; their start is measured by the clock of the other."""


def this_host() -> str:
    """The host of this process: `name#boot.namespaces`."""
    return f"{socket.gethostname()}#{_boot()}.{_namespaces()}"


def has_ended(host: str, pid: int, birth: str) -> bool | None:
    """Whether the process of that host, id and start has ended; None where only a heartbeat can tell.

    That is so of another host, also of an earlier boot of this machine: its id may be that of the image it was made
    from. A host as earlier versions wrote it (a name, and a namespace that is the same on most machines) is another
    one.
    """
    if "#" not in host or host.rpartition("#")[2] != this_host().rpartition("#")[2]:
        return None
    now = process_birth(pid)
    if now is None:
        return True
    return now != birth if now and birth else None  # without a start it may be another process with the same id


def process_birth(pid: int) -> str | None:
    """A mark of the running process with that id: equal marks are the same process. None when there is none; empty
    where the system tells no more than that there is one."""
    if not _has_own_proc():
        return _birth_without_proc(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # gone, or another user's that is hidden
        return _birth_without_proc(pid)
    # A zombie is dead, only not yet buried. Field 22 is the start in ticks since the kernel's: no clock moves it.
    return None if fields[0] in "ZX" else fields[19]


def _birth_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


@cache
def _boot() -> str:
    """The boot of this machine. Of the ids only a digest is stored: the one of the machine is not for everybody, see
    machine-id(5)."""
    return hashlib.sha256(f"{machine_id()} {boot_id()}".encode()).hexdigest()[:24]


@cache
def _namespaces() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    if not _has_own_proc():  # its numbers are those of other processes: nobody can be looked up
        return uuid.uuid4().hex
    return "-".join(os.readlink(path).strip("pidtme:[]") for path in _NAMESPACES if os.path.islink(path))


@cache
def _has_own_proc() -> bool:
    """Whether /proc is that of this process's namespace."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False
