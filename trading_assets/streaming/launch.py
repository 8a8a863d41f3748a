"""Starting the recorder as a process of its own, which outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from trading_assets.permissions import PRIVATE_FILE, own_folder, private_folder
from trading_assets.settings import Settings

MODULE = "trading_assets.streaming.process"
"""What runs as the recorder."""

LOG_FOLDER = "logs"
LOG_FILE = "recorder.log"

LOG_BYTES = 1_000_000
"""A log that is longer begins anew with the next recorder; what came before is kept beside it once."""


def launch(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a recorder for the lake of the settings. It ends by itself when another one holds the lease, and when
    nobody wants streams any more. A session of its own: Ctrl-C at a terminal ends the command and not the recording
    that others may need."""
    descriptor = _log(settings.data_dir)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", MODULE],
            env=settings.child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def log_file(data_dir: Path) -> Path:
    """Where recorders of the lake that clients started write what happens."""
    return data_dir / LOG_FOLDER / LOG_FILE


def _log(data_dir: Path) -> int:
    path = log_file(data_dir)
    own_folder(private_folder(data_dir) / LOG_FOLDER)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
