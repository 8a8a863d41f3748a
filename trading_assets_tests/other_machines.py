"""Processes as on another machine, for tests: with a boot, process numbers, a host name, folders and a clock of their
own. Not a test.

What is tested runs there as `python -m trading_assets_tests.other_machines WORK ...`, or as a command of the platform,
with settings from the environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from trading_assets.settings import Settings
from trading_assets_tests.leaving_out import leave_out

ROOT = Path(__file__).resolve().parent.parent
CLOCK = ROOT / "trading_assets_tests" / "world" / "clock"

WORKER = (sys.executable, "-m", "trading_assets_tests.other_machines")
"""A process that does what `_work` names."""

COMMAND = (sys.executable, "-m", "trading_assets.cli")
"""The command `trading-assets`."""

PATIENCE = 300.0
"""Seconds to wait for a process that ends by itself; it only ends a test that has failed."""

_BOOT = "/proc/sys/kernel/random/boot_id"
_NAME = "/proc/sys/kernel/hostname"
_NAMESPACES = ("unshare", "--pid", "--fork", "--kill-child", "--uts", "--mount", "--mount-proc")
_AS_ANOTHER = (
    f'mount --bind "$0" {_BOOT} && echo "$1" > {_NAME} && shift'
    ' && { test "$1" = / || mount -t tmpfs tmpfs "$1"; } && shift && exec "$@"'
)
"""A shell's words: boot id, host name, then the folder that is this machine's alone (`/` for none), the command."""


@cache
def _possible() -> bool:
    if shutil.which("unshare") is None:
        return False
    trial = [*_NAMESPACES, "sh", "-c", _AS_ANOTHER, "/etc/hostname", "other", "/", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


class OtherMachine:
    """A process on another machine, which does its work with the settings; its clock is `ahead` seconds ahead of this
    one's.

    `disk` is a folder of which each machine has one of its own, empty at first: two machines with the same name of it
    share nothing there. `name` is its host name (default: the one of this machine).
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        *work: str,
        program: Sequence[str] = WORKER,
        ahead: float = 0.0,
        name: str = "",
        disk: Path | None = None,
    ) -> None:
        if not _possible():
            leave_out("namespaces cannot be made here (unshare, as root): there is no other machine to test with")
        folder.mkdir(parents=True)
        if disk is not None:
            disk.mkdir(parents=True, exist_ok=True)
        boot, clock = folder / "boot_id", folder / "clock"
        boot.write_text(f"{uuid.uuid4()}\n")
        clock.write_bytes(struct.pack("=q", int(ahead * 1e9)))
        environment = settings.child_environment() | {
            "TEST_CLOCK": str(clock),
            "PYTHONPATH": os.pathsep.join(map(str, (CLOCK, ROOT))),
        }
        identity = (str(boot), name or socket.gethostname(), str(disk or "/"))
        self._folder = folder
        output = (folder / "errors").open("w")
        self.process = subprocess.Popen(
            [*_NAMESPACES, "sh", "-c", _AS_ANOTHER, *identity, *program, *work],
            env=environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if program == WORKER else output,
            stderr=output,
        )

    def say(self, text: str) -> None:
        """Send the process a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """The next message of the process."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline() or self._failed())

    def said(self) -> str:
        """What a command has printed, and what any process has complained of."""
        return (self._folder / "errors").read_text()

    def pid_here(self, pid: int) -> int:
        """The process that has this id there, by its id here."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with suppress(OSError):
                numbers = re.search(r"^NSpid:(.*)$", status.read_text(), re.MULTILINE)
                if numbers is None or numbers[1].split()[1:] != [str(pid)]:
                    continue
                if (status.parent / "ns" / "uts").readlink() == self._uts():
                    return int(status.parent.name)
        raise ProcessLookupError(pid)

    def _uts(self) -> Path:
        """What tells the machine's processes from those of others."""
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return Path(f"/proc/{child}/ns/uts").readlink()

    def end(self) -> None:
        """Wait for the end of the process."""
        assert self.process.wait(PATIENCE) == 0, self._failed()

    def kill(self) -> None:
        """End the machine at once: every process of it dies."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def _failed(self) -> str:
        self.process.wait(PATIENCE)
        raise AssertionError(self.said()[-4000:])


def _tell(message: Any, to: IO[str] = sys.stdout) -> None:
    to.write(json.dumps(message, default=str) + "\n")
    to.flush()


def _work(work: str, arguments: Sequence[str]) -> None:
    from trading_assets_tests.endurance.collect import by_the_steps
    from trading_assets_tests.endurance.test_overtaken import Overtaken

    def wait() -> None:
        _tell("planned")
        sys.stdin.readline()

    settings = Settings()
    if work == "collect":
        _tell(by_the_steps(settings, arguments))
    elif work == "collect late":  # stands still between its first plan and the first question
        _tell(by_the_steps(settings, arguments, lambda given: Overtaken(given, 1, wait)))
    elif work == "own":
        from trading_assets.state import connect_state
        from trading_assets.state.owners import Owner

        _tell(Owner(connect_state(settings.state_url)).ensure())
        sys.stdin.readline()
    else:
        raise ValueError(work)


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2:])
