"""Children that end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from trading_assets.serving.parents import ending_with_parent
from trading_assets_tests.observing import eventually

PARENT = """
import subprocess, sys
from trading_assets.serving.parents import adopt_orphans, ending_with_parent
adopt_orphans()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], preexec_fn=ending_with_parent())
sys.stdout.write(f"{child.pid}\\n"); sys.stdout.flush()
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not signal a child when its parent dies")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.communicate()
    eventually(lambda: not alive(child))


def test_an_ignored_interrupt_is_a_default_one_in_the_child() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ask = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
        assert (
            subprocess.run(
                [sys.executable, "-c", ask], preexec_fn=ending_with_parent(), timeout=300, check=False
            ).returncode
            == 0
        )
    finally:
        signal.signal(signal.SIGINT, before)
