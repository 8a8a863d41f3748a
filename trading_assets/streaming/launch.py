"""Starting the recorder as a process of its own, which outlives the one that started it."""

from __future__ import annotations

import logging
import subprocess
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from trading_assets.permissions import own_file, own_folder, private_folder
from trading_assets.settings import Settings

MODULE = "trading_assets.streaming.process"
"""What runs as the recorder."""

TO_FILE = "--log-to-file"
"""Argument with which a recorder writes its log to a file: nobody reads what it prints."""

LOG_FOLDER = "logs"
LOG_FILE = "recorder.log"

LOG_BYTES = 1_000_000
"""A log that is longer begins anew; what came before is kept beside it once."""


def launch(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a recorder for the lake of the settings. It ends by itself when another one holds the lease, and when
    nobody wants streams any more. A session of its own: Ctrl-C at a terminal ends the command and not the recording
    that others may need."""
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, TO_FILE],
        env=settings.child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def log_file(data_dir: Path) -> Path:
    """Where recorders of the lake that clients started write what happens."""
    return data_dir / LOG_FOLDER / LOG_FILE


def file_handler(data_dir: Path) -> logging.Handler:
    """Writes the log to that file, which stays short."""
    own_folder(private_folder(data_dir) / LOG_FOLDER)
    path = own_file(log_file(data_dir))
    return RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
