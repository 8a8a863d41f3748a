"""Where a folder is mounted from, by the mount table of Linux; nothing is known elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

MOUNT_TABLE = Path("/proc/self/mountinfo")
"""One line a mount, see proc_pid_mountinfo(5): the mount point is the fifth field, the kind follows the lone hyphen."""

NETWORK_KINDS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "davfs", "coda"),
        *("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "pvfs2", "orangefs", "ocfs2", "gfs2", "moosefs"),
        *("fuse.sshfs", "fuse.rclone", "fuse.davfs", "fuse.davfs2", "fuse.curlftpfs", "fuse.smbnetfs"),
        *("fuse.glusterfs", "fuse.ceph", "fuse.cephfs", "fuse.ceph-fuse", "fuse.juicefs", "fuse.moosefs"),
        *("fuse.s3fs", "fuse.goofys", "fuse.gcsfuse", "fuse.mountpoint-s3", "fuse.seaweedfs", "fuse.google-drive"),
    }
)
"""File systems that several machines use at once. Folders that a virtual machine or a container shares with its host
(9p, virtiofs) are none: its kernel is the only one that works there."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system: where, and of which kind."""

    point: str
    kind: str


def network_mount(folder: Path) -> Mount | None:
    """The network file system that a folder is on; None where it is on a local one, or where nothing is known. The
    folder need not be there yet."""
    try:
        table = MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    found = mount_of(os.path.realpath(folder), table)
    return found if found is not None and found.kind in NETWORK_KINDS else None


def mount_of(path: str, table: str) -> Mount | None:
    """The mount of the table that holds an absolute path without links: the one nearest to it, of several at one place
    the last, which hides the others."""
    nearest = None
    for line in table.splitlines():
        before, hyphen, after = line.partition(" - ")
        fields = before.split(" ")
        if not hyphen or len(fields) < 5:
            continue
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (nearest is None or len(point) >= len(nearest.point)):
            nearest = Mount(point, after.split(" ")[0])
    return nearest
