"""Output of processes that colour their lines whoever reads them, without the colours where nobody sees them.

The logs of Dagster's commands are coloured into files and pipes, too, and have no setting for it
(https://github.com/dagster-io/dagster/issues/14012).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Any, TextIO

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""A terminal's code for a colour, or for its end."""

LAST_LINES = 5.0
"""Seconds that the last lines may take once the process has ended: something it started may still hold the pipe."""


def start(
    command: Sequence[str], *, colours: bool, **options: Any
) -> tuple[subprocess.Popen[bytes], Callable[[], None]]:
    """Start a process that prints where this one prints: with `colours` unchanged in a terminal, otherwise and
    elsewhere without colours. The options are those of `subprocess.Popen`. The function returned waits for the last
    lines of a process that has ended."""
    plain_output, plain_errors = (not (colours and os.isatty(descriptor)) for descriptor in (1, 2))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE if plain_output else None,
        # both into one file: their order is kept
        stderr=(subprocess.STDOUT if os.path.sameopenfile(1, 2) else subprocess.PIPE) if plain_errors else None,
        **options,
    )
    copied = [(process.stdout, sys.stdout), (process.stderr, sys.stderr)]
    threads = [
        threading.Thread(target=_copy, args=(source, target), daemon=True) for source, target in copied if source
    ]
    for thread in threads:
        thread.start()

    def finish() -> None:
        for thread in threads:
            thread.join(LAST_LINES)

    return process, finish


def _copy(source: IO[bytes], target: TextIO) -> None:
    with source:
        for line in source:
            target.write(COLOUR.sub("", line.decode("utf-8", "backslashreplace")))
            target.flush()
