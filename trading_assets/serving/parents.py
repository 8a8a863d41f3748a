"""Processes that do not outlive the process that started them, however it ended.

Linux signals a child when its parent dies, and hands orphans to the nearest ancestor that asks for them. Elsewhere a
pipe does the first: its reading end is at its end when the process that holds the writing end is gone (`supervisor`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
"""Options of prctl(2), from <linux/prctl.h>."""


def _prctl() -> Callable[[int, int], int] | None:
    """The system call, looked up before a fork: nothing may be loaded between fork and exec."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return lambda option, value: int(library.prctl(option, value, 0, 0, 0))


def ending_with_parent() -> Callable[[], None]:
    """A `preexec_fn`: the child gets SIGTERM when this process dies (Linux); SIGTERM and an ignored SIGINT are default
    ones again.

    Both are inherited where they are ignored or blocked: background jobs of a shell inherit an ignored SIGINT, and
    Dagster would then ignore SIGTERM as well.
    """
    return partial(_end_with, os.getpid(), _prctl())


def end_with_parent(parent: int) -> None:
    """The same, called by the child itself, which was started by the process `parent`: where that has several threads,
    nothing of ours may run between fork and exec. It ends when the thread ends that started it."""
    _end_with(parent, _prctl())


def _end_with(parent: int, prctl: Callable[[int, int], int] | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGTERM)


def adopt_orphans() -> None:
    """From now on descendants whose parent dies become children of this process (Linux), which can wait for them."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
