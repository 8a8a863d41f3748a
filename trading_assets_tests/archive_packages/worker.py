"""Processes for the tests of packages: operations that are killed, a reader and a writer beside them. Run as a module:

| python -m trading_assets_tests.archive_packages.worker | |
| --- | --- |
| operations | reads `OPERATION EVENT LAKE PLACE` lines; a fork kills itself at that event: `killed`, `ended N` |
| reader LAKE | reads the old sessions until its input ends; the distinct answers, and how many there were |
| writer LAKE | writes the newest session until its input ends; how often |
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.archive_packages.create import create
from trading_assets.archive_packages.periods import old_periods
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import remove
from trading_assets.archive_packages.restore import restore
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.repartition import repartition
from trading_assets.repositories.schemas import EQUITY_BARS, Period
from trading_assets_tests.repositories.frames import NOON, bar, table

CUTOFF = date(2016, 1, 1)
NEWEST = date(2016, 1, 4)
NOW = datetime(2016, 6, 1, tzinfo=UTC)

EVENTS = frozenset({"open", "os.rename", "os.remove", "os.symlink", "os.mkdir"})


def archive(lake: Path, place: Path) -> None:
    create(lake, old_periods(lake, CUTOFF), Place(place), now=NOW)


def take_out(lake: Path, place: Path) -> None:
    for package in Place(place).packages():
        remove(lake, package, dry_run=False)


def put_back(lake: Path, place: Path) -> None:
    for package in Place(place).packages():
        restore(lake, package)


def to_months(lake: Path, _place: Path) -> None:
    repartition(lake, EQUITY_BARS, Period.MONTH)


def to_years(lake: Path, _place: Path) -> None:
    repartition(lake, EQUITY_BARS, Period.YEAR)


OPERATIONS: dict[str, Callable[[Path, Path], None]] = {
    "create": archive,
    "remove": take_out,
    "restore": put_back,
    "month": to_months,
    "year": to_years,
}


def operations() -> None:
    """Fork a process for each line of standard input."""
    for line in sys.stdin:
        name, event, lake, place = line.split()
        if not (child := os.fork()):
            _do_until(name, int(event), Path(lake), Path(place))
        status = os.waitpid(child, 0)[1]
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended {place_of_count(lake).read_text()}\n")
        sys.stdout.flush()


def place_of_count(lake: str) -> Path:
    """Where an operation that was not killed leaves the number of its events."""
    return Path(f"{lake}.events")


def _do_until(name: str, last: int, lake: Path, place: Path) -> None:
    count = 0

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        """Die just before the `last`-th opening, linking, renaming or removing of a file of the lake or the package."""
        nonlocal count
        if event in EVENTS and any(str(given).startswith((str(lake), str(place))) for given in arguments[:2]):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    OPERATIONS[name](lake, place)
    place_of_count(str(lake)).write_text(str(count))
    os._exit(0)


def reader(lake: Path) -> None:
    """Read what must not change."""
    sql = "select count(*) as n, bit_xor(hash(t)) as sum from {} t where session < '2016-01-01'"
    seen, reads = set(), 0
    while not _input_ended():
        answers = [query(lake, sql.format(name)).to_pylist()[0] for name in ("equity_bars", "revisions_equity_bars")]
        seen.add(json.dumps(answers))
        reads += 1
    sys.stdout.write(json.dumps({"seen": sorted(seen), "reads": reads}) + "\n")


def writer(lake: Path) -> None:
    """Write a new value of the newest session's bar again and again."""
    store, written = ParquetStore(lake), 0
    while not _input_ended():
        written += 1
        row = bar(NEWEST, 100.0 + written % 7, collected_at=NOON + timedelta(days=30, seconds=written))
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [row]))
    sys.stdout.write(json.dumps({"written": written}) + "\n")


def _input_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    if sys.argv[1] == "operations":
        operations()
    else:
        {"reader": reader, "writer": writer}[sys.argv[1]](Path(sys.argv[2]))
