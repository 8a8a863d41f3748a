"""The process beside the recorder that tells Dagster how the streams are. It has an interpreter of its own: an event of
Dagster's takes up to a tenth of a second, and the recorder's event loop must not wait for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trading_assets.settings import Settings

MODULE = "trading_assets.serving.live_reports"
"""What runs there."""

END_SECONDS = 10.0


@contextmanager
def reporting(settings: Settings) -> Iterator[None]:
    """Have the streams reported for the time of a block, where the data folder has a Dagster instance. The process ends
    with its standard input, so also when this one is killed."""
    if not settings.has_history(settings.data_dir):
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", MODULE], env=settings.child_environment(), stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
