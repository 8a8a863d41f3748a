"""Writers in processes of their own, for the tests of kills, locks and readers. Not a test."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets_tests.killing.forks import answer
from trading_assets_tests.repositories.frames import NOON, bar, table

SESSIONS = calendar().sessions(date(2014, 1, 1), date(2014, 3, 31))


@cache
def version(number: int, symbols: int = 40) -> pa.Table:
    """The same bars in every version, with a value (and so a file size) that tells the version."""
    when = NOON + timedelta(minutes=number)
    rows = [
        bar(s, 100.0 + number + i % (number + 1), symbol=f"S{i:02d}", volume=float(number), collected_at=when)
        for i in range(symbols)
        for s in SESSIONS
    ]
    return table(EQUITY_BARS, [{**row, "request_id": number} for row in rows])


def write(folder: Path, frame: pa.Table) -> None:
    """Write a frame."""
    ParquetStore(folder).upsert(EQUITY_BARS, frame)


def write_versions(talk: Connection, folder: Path, last: int) -> None:
    """Write version after version, saying each when it is written."""
    for number in range(1, last + 1):
        write(folder, version(number))
        answer(talk, number)
