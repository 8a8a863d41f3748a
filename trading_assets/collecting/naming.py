"""One thing under two names: the broker's answers word days, symbols and exchanges differently, and mean the same.

Seen in public reports: option parameters name the Friday of an expiry and contract details the Saturday after it, or
the Thursday before it (settled in the morning); a day comes with a time and a zone, or as a month alone; `BRK B` is
answered as `BRK.B`; NASDAQ as ISLAND or NASDAQ.NMS.
"""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?!\d).*", re.ASCII | re.DOTALL)
_MONTH = re.compile(r"(\d{4})-?(\d{2})", re.ASCII)
_OSI_DAY = re.compile(r".{6}(\d{2})(\d{2})(\d{2})[CP]\d{8}", re.ASCII)

_SAME_EXCHANGE = {"ISLAND": "NASDAQ", "PSE": "ARCA"}
"""Older names that TWS still gives for two exchanges."""


def named_day(text: str) -> date | None:
    """The day that `lastTradeDateOrContractMonth` begins with: `20240621`, also before a time and a zone; None for a
    month alone and for anything else."""
    found = _DAY.fullmatch(text)
    return _date(*found.groups()) if found else None


def names_month_of(text: str, day: date) -> bool:
    """Whether the text is a month alone (`202406`), and that of the day."""
    found = _MONTH.fullmatch(text)
    return found is not None and (int(found[1]), int(found[2])) == (day.year, day.month)


def osi_day(local_symbol: str) -> date | None:
    """The expiry date in an OSI symbol (`AAPL  240621C00190000`); None for another form of symbol."""
    found = _OSI_DAY.fullmatch(local_symbol)
    return _date(f"20{found[1]}", found[2], found[3]) if found else None


def option_expiry(local_symbol: str, last_trade: str) -> date:
    """The expiry date of an option: the date in its OSI symbol, else its last trading day.

    The two differ for AM-settled index options: the broker's last trading day is the session before the settlement
    (recorded: SPX `20200116` with `SPX   200117P03205000`). Raises `ValueError` where neither names a day.
    """
    found = osi_day(local_symbol) or named_day(last_trade)
    if found is None:
        raise ValueError(f"Neither {local_symbol!r} nor {last_trade!r} names the day on which the option expires.")
    return found


def last_day(local_symbol: str, last_trade: str) -> date | None:
    """The last day on which an option may trade: the earlier of its last trading day and its expiry; None where neither
    is known."""
    days = [found for found in (osi_day(local_symbol), named_day(last_trade)) if found is not None]
    return min(days, default=None)


def listing_exchange(name: str) -> str:
    """An exchange by its present name, without the segment: `ISLAND` and `NASDAQ.NMS` are `NASDAQ`."""
    market = name.partition(".")[0]
    return _SAME_EXCHANGE.get(market, market)


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
