"""Which machine this is, and which boot of it. Two machines with one host name, or with one disk image, differ."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Drawn by the kernel when it starts: the same in all containers of a machine (source: random(4))."""

MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
"""Drawn when the system was installed, see machine-id(5). Machines made of one image may have the same."""


@cache
def boot_id() -> str:
    """An id of the running kernel, the same in its containers; without one (not Linux), of the machine's network
    card."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"{uuid.getnode():x}"


@cache
def machine_id() -> str:
    """An id of the installed system that outlives a boot; without one (not Linux, many containers), of the machine's
    network card."""
    for path in MACHINE_IDS:
        try:
            found = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            return found
    return f"{uuid.getnode():x}"
