"""Dates and times as the protocol writes and reads them.

Everything inside the simulator is an aware instant in UTC; text exists only on the wire.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator.market import Bar
from trading_assets.simulator.protocol import ZONED_DATES

_ZONE_ALIASES = {
    "EST": "US/Eastern",
    "EST5EDT": "US/Eastern",
    "EDT": "US/Eastern",
    "GMT": "UTC",
    "CST": "US/Central",
    "PST": "US/Pacific",
}
"""Abbreviations TWS accepts in end dates; as zone names they would have no daylight saving."""

_LOCAL_FORM = re.compile(r"(\d{8}) (\d\d:\d\d:\d\d)(?: +(\S+))?")
_UTC_FORM = re.compile(r"(\d{8})-(\d\d:\d\d:\d\d)")


class InvalidDate(ValueError):
    """The text is no date TWS accepts."""


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of a name or abbreviation. Raises `InvalidDate`."""
    try:
        return ZoneInfo(_ZONE_ALIASES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidDate(f"{name!r} is no time zone.") from None


def parse_end(text: str) -> tuple[datetime | None, bool]:
    """The instant a client's end date means, and whether its time zone was left out.

    Forms: empty (None: now), `YYYYMMDD HH:MM:SS ZONE`, `YYYYMMDD HH:MM:SS` (New York is assumed; TWS then warns),
    `YYYYMMDD-HH:MM:SS` (UTC). Raises `InvalidDate` for anything else.
    """
    if not text:
        return None, False
    if found := _UTC_FORM.fullmatch(text):
        return _instant(found[1], found[2], zone_of("UTC")), False
    if found := _LOCAL_FORM.fullmatch(text):
        return _instant(found[1], found[2], zone_of(found[3]) if found[3] else NEW_YORK), not found[3]
    raise InvalidDate(f"{text!r} is no end date.")


def _instant(day: str, time: str, zone: ZoneInfo) -> datetime:
    try:
        return datetime.strptime(day + time, "%Y%m%d%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidDate(f"{day} {time} is no date.") from None


def instant(when: datetime, version: int, zone: str) -> str:
    """An instant as start and end of historical answers carry it: two blanks and no zone below version 174."""
    if version >= ZONED_DATES:
        return f"{when.astimezone(zone_of(zone)):%Y%m%d %H:%M:%S} {zone}"
    return f"{when.astimezone(NEW_YORK):%Y%m%d  %H:%M:%S}"


def bar_time(bar: Bar, version: int, daily: bool, epoch: bool, zone: str) -> str:
    """A bar's time: always the session's date for daily and larger bars, else epoch seconds or local text."""
    if daily:
        return bar.session.isoformat().replace("-", "")
    if epoch:
        return str(int(bar.start.timestamp()))
    return instant(bar.start, version, zone)


def schedule_time(when: datetime, zone: str) -> str:
    """`YYYYMMDD-HH:MM:SS` in the zone of the schedule."""
    return f"{when.astimezone(zone_of(zone)):%Y%m%d-%H:%M:%S}"


def connection_time(now: datetime) -> str:
    """The second field of the server's first frame: New York time with its abbreviation."""
    return f"{now.astimezone(NEW_YORK):%Y%m%d %H:%M:%S %Z}"
