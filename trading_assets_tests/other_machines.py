"""Processes as on another machine, for tests: with a boot, process numbers and a clock of their own, and the host name
of this one. Not a test.

What is tested runs there as `python -m trading_assets_tests.other_machines WORK ...`, with settings from the
environment.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from trading_assets.settings import Settings
from trading_assets_tests.leaving_out import leave_out

ROOT = Path(__file__).resolve().parent.parent
CLOCK = ROOT / "trading_assets_tests" / "world" / "clock"

_BOOT = "/proc/sys/kernel/random/boot_id"
_NAMESPACES = ("unshare", "--pid", "--fork", "--kill-child", "--uts", "--mount", "--mount-proc")
_AS_ANOTHER = f'mount --bind "$0" {_BOOT} && exec "$@"'


@cache
def _possible() -> bool:
    if shutil.which("unshare") is None:
        return False
    trial = [*_NAMESPACES, "sh", "-c", _AS_ANOTHER, "/etc/hostname", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


class OtherMachine:
    """A process on another machine that does `work` for the settings; its clock is `ahead` seconds ahead of this
    one's."""

    def __init__(self, folder: Path, settings: Settings, work: str, arguments: Sequence[str], *, ahead: float) -> None:
        if not _possible():
            leave_out("namespaces cannot be made here (unshare, as root): there is no other machine to test with")
        folder.mkdir(parents=True)
        boot, clock = folder / "boot_id", folder / "clock"
        boot.write_text(f"{uuid.uuid4()}\n")
        clock.write_bytes(struct.pack("=q", int(ahead * 1e9)))
        environment = settings.child_environment() | {
            "TEST_CLOCK": str(clock),
            "PYTHONPATH": os.pathsep.join(map(str, (CLOCK, ROOT))),
        }
        python = (sys.executable, "-m", "trading_assets_tests.other_machines", work, *arguments)
        self._errors = (folder / "errors").open("w+")
        self.process = subprocess.Popen(
            [*_NAMESPACES, "sh", "-c", _AS_ANOTHER, str(boot), *python],
            env=environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
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

    def end(self) -> None:
        """Wait for the end of the process."""
        assert self.process.wait(300) == 0, self._failed()

    def kill(self) -> None:
        """End the machine at once: every process of it dies."""
        self.process.kill()
        self.process.wait(300)

    def _failed(self) -> str:
        self.process.wait(300)
        self._errors.seek(0)
        raise AssertionError(self._errors.read()[-4000:])


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
