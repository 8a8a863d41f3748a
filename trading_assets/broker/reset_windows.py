"""When the broker resets its servers: inside these windows connections drop and a "no security definition" can be
false.

Source: IBKR "System Status", North America: every night 00:15-01:45 New York, Sunday to Friday; Friday 23:00 to
Saturday 03:00; weekly re-authentication of the Gateway on Sunday 01:00 (it lies inside the nightly window).
False error 200 in the window: ib_insync issue 330.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from trading_assets.sessions import NEW_YORK

NIGHTLY = (time(0, 15), time(1, 45))
"""Start and end, New York, Sunday to Friday (the date the window lies on)."""

WEEKEND = (time(23, 0), time(3, 0))
"""Friday start to Saturday end, New York."""

_FRIDAY, _SATURDAY = 4, 5


def reset_window_end(now: datetime) -> datetime | None:
    """The end (UTC) of the reset window that `now` (aware) lies in; None outside of all windows."""
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone.")
    local = now.astimezone(NEW_YORK)
    clock, day = local.time(), local.weekday()
    if day == _FRIDAY and clock >= WEEKEND[0]:
        return _at(local + timedelta(days=1), WEEKEND[1])
    if day == _SATURDAY:
        return _at(local, WEEKEND[1]) if clock < WEEKEND[1] else None
    return _at(local, NIGHTLY[1]) if NIGHTLY[0] <= clock < NIGHTLY[1] else None


def _at(day: datetime, clock: time) -> datetime:
    return datetime.combine(day.date(), clock, tzinfo=NEW_YORK).astimezone(UTC)
