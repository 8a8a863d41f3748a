"""A reader of Lean's data folder that knows nothing of our writer: it finds a symbol's bars where Lean's own
`LeanData.GenerateZipFilePath` and `GenerateZipEntryName` look for them, and reads lines as `TradeBar.Reader` does.

Lean itself is .NET, which no package index reachable from the tests has.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading_assets.sessions import NEW_YORK


@dataclass(frozen=True)
class LeanSymbol:
    """What Lean knows of a security: its type, its ticker (of index options the class's) and an option's terms."""

    security_type: str
    ticker: str
    style: str = ""
    right: str = ""
    strike: Decimal = Decimal(0)
    expiry: date = date.min

    def zip_path(self, day: date, resolution: str) -> str:
        """The zip file with the trades of a day, under the data folder."""
        folder, whole = f"{self.security_type}/usa/{resolution}", resolution in ("hour", "daily")
        if not self.style:
            return f"{folder}/{self.ticker}.zip" if whole else f"{folder}/{self.ticker}/{day:%Y%m%d}_trade.zip"
        if whole:
            return f"{folder}/{self.ticker}_{day.year}_trade_{self.style}.zip"
        return f"{folder}/{self.ticker}/{day:%Y%m%d}_trade_{self.style}.zip"

    def entry(self, day: date, resolution: str) -> str:
        """The name of the file in it."""
        whole = resolution in ("hour", "daily")
        if not self.style:
            return f"{self.ticker}.csv" if whole else f"{day:%Y%m%d}_{self.ticker}_{resolution}_trade.csv"
        terms = f"{self.style}_{self.right}_{int(self.strike * 10_000)}_{self.expiry:%Y%m%d}.csv"
        return f"{self.ticker}_trade_{terms}" if whole else f"{day:%Y%m%d}_{self.ticker}_{resolution}_trade_{terms}"


def lines(folder: Path, symbol: LeanSymbol, day: date, resolution: str) -> list[str]:
    """The lines of the file in which Lean looks for that day."""
    with zipfile.ZipFile(folder / symbol.zip_path(day, resolution)) as file:
        return file.read(symbol.entry(day, resolution)).decode().splitlines()


def trade_bar(line: str, day: date, resolution: str) -> tuple[Any, ...]:
    """Start, open, high, low, close in dollars, and volume, of one line."""
    stamp, *numbers = line.split(",")
    if resolution in ("hour", "daily"):
        start = datetime.strptime(stamp, "%Y%m%d %H:%M").replace(tzinfo=NEW_YORK)
    else:
        start = datetime.combine(day, time(), NEW_YORK) + timedelta(milliseconds=int(stamp))
    prices = [int(number) * Decimal("0.0001") for number in numbers[:4]]
    return start, *prices, Decimal(numbers[4])


def line_count(folder: Path) -> int:
    """The lines of all files."""
    count = 0
    for path in folder.rglob("*.zip"):
        with zipfile.ZipFile(path) as file:
            assert file.testzip() is None
            count += sum(file.read(name).count(b"\n") for name in file.namelist())
    return count
