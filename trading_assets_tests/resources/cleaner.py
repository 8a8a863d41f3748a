"""Clean-ups of the history that are killed. Run as a module, it reads `EVENT DIR` lines: a fork cleans up, a year and
more from now, and kills itself at that event, a file or a statement: `killed` or `ended EVENTS`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trading_assets.resources.history_cleanup import clean_history
from trading_assets.settings import Settings
from trading_assets_tests.endurance.instants import Instants


def main() -> None:
    """Fork a process for each line of standard input."""
    for line in sys.stdin:
        event, folder = line.rstrip("\n").split(" ", 1)
        count = Path(folder).parent / "events"
        if not (child := os.fork()):
            instants = Instants(Path(folder), int(event) or None, Path(folder).parent / "note")
            clean_history(Settings(data_dir=folder), dry_run=False, now=datetime.now(UTC) + timedelta(days=400))
            count.write_text(str(instants.count))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended {count.read_text()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
