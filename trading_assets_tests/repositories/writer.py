"""Writers in processes of their own, for the tests of kills, locks and readers. Run as a module:

| python -m trading_assets_tests.repositories.writer | |
| --- | --- |
| killed | reads `DIR EVENT VERSION` lines; a fork writes, kills itself at that event: `killed` or `ended EVENTS` |
| versions DIR N | writes versions 1 to N, saying each when it is written |
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, bar, table

SESSIONS = calendar().sessions(date(2014, 1, 1), date(2014, 3, 31))


def version(number: int, symbols: int = 40) -> pa.Table:
    """The same bars in every version, with a value (and so a file size) that tells the version."""
    when = NOON + timedelta(minutes=number)
    rows = [
        bar(s, 100.0 + number + i % (number + 1), symbol=f"S{i:02d}", volume=float(number), collected_at=when)
        for i in range(symbols)
        for s in SESSIONS
    ]
    return table(EQUITY_BARS, [{**row, "request_id": number} for row in rows])


def killed_writers() -> None:
    """Fork a writer for each line of standard input."""
    for line in sys.stdin:
        folder, event, number = line.rsplit(maxsplit=2)
        frame = version(int(number))
        if not (child := os.fork()):
            _write_until(Path(folder), int(event), frame)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}\n")
        sys.stdout.flush()


def _write_until(folder: Path, last: int, frame: pa.Table) -> None:
    events = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        """Die just before the `last`-th opening, renaming or removing of a file of the lake."""
        nonlocal events
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(folder)):
            events += 1
            if events == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    ParquetStore(folder).upsert(EQUITY_BARS, frame)
    os._exit(events)


def write_versions(folder: Path, last: int) -> None:
    """Write version after version."""
    store = ParquetStore(folder)
    for number in range(1, last + 1):
        store.upsert(EQUITY_BARS, version(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "killed":
        killed_writers()
    else:
        write_versions(Path(sys.argv[2]), int(sys.argv[3]))
