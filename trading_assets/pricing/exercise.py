"""How and when an option ends: exercise style, the instant of settlement, the time left until then.

All from what a contract says of itself (symbol, trading class, expiry, last trading day, time of the last trade) and
the session calendar. What does not belong here: prices.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from trading_assets.instrument import AM_SETTLED
from trading_assets.pricing.conventions import DAYS_A_YEAR
from trading_assets.sessions import NEW_YORK, SessionCalendar

EUROPEAN_SYMBOLS = frozenset({"SPX", "XSP", "NDX", "XND", "RUT", "MRUT", "VIX", "DJX", "XEO"})
"""Indices whose options can be exercised at expiry only (contract specifications of Cboe and Nasdaq)."""
AMERICAN_INDICES = frozenset({"OEX"})
"""Indices whose options can be exercised at any time: the S&P 100, beside its European class XEO."""

LATE_CLOSE = timedelta(minutes=15)
"""By how much some options trade past the close of the stock market: until 16:15, on half days until 13:15."""
# fmt: off
LATE_SYMBOLS = frozenset({
    "DBA", "DBB", "DBC", "DBO", "DIA", "EEM", "EFA", "IWM", "IWN", "IWO", "IWV", "KBE", "KRE", "MDY", "MOO", "OEF",
    "QQQ", "SLX", "SPY", "SVXY", "UNG", "UUP", "UVIX", "UVXY", "VIXM", "VIXY", "VXX", "VXZ", "XHB", "XLB", "XLE",
    "XLF", "XLI", "XLK", "XLP", "XLU", "XLV", "XLY", "XME", "XRT"
})
# fmt: on
"""Funds whose options trade until 16:15 on their last day too (brokers' published lists of options that trade until
3:15 p.m. Central). Options on indices do so on every day but their last. The time in the contract details decides where
it is known."""
REGULAR_OPEN, REGULAR_CLOSE = time(9, 30), time(16, 0)


class ExerciseStyle(StrEnum):
    """When an option may be exercised."""

    EUROPEAN = "european"
    AMERICAN = "american"


def exercise_style(symbol: str, under_sec_type: str | None = None) -> ExerciseStyle:
    """The style of the options on an underlying: options on indices are European (OEX excepted), all others American.

    `under_sec_type` is the broker's type of the underlying (STK, IND), where it is known; without it the list of
    European symbols decides.
    """
    is_index = under_sec_type == "IND" and symbol not in AMERICAN_INDICES
    return ExerciseStyle.EUROPEAN if is_index or symbol in EUROPEAN_SYMBOLS else ExerciseStyle.AMERICAN


def settles_in_the_morning(
    trading_class: str, expiry: date, last_trade: date | None, calendar: SessionCalendar
) -> bool:
    """Whether the opening prices of the expiry date settle the option (AM): its last trading day lies a session before
    the expiry, or its class is known for it."""
    if last_trade is not None and last_trade < _session(expiry, calendar):
        return True
    return trading_class in AM_SETTLED


def settlement(
    symbol: str,
    trading_class: str,
    expiry: date,
    calendar: SessionCalendar,
    *,
    last_trade: date | None = None,
    last_trade_time: time | None = None,
) -> datetime:
    """The instant (UTC) at which an option's value is fixed.

    AM-settled: the open of the expiry date. All others: the close of the expiry date (16:00, 13:00 on half days), a
    quarter of an hour later for options that trade until 16:15. An expiry that is no session (a Saturday, until 2015; a
    holiday) counts as the session before it; past the end of the calendar, every weekday counts as a usual session:
    options are listed for more years than holidays are known. `last_trade` is the last trading day and
    `last_trade_time` the New York time of the last trade, where the contract details give them.
    """
    session = _session(expiry, calendar)
    opens, closes = (
        (calendar.opens_at(session), calendar.closes_at(session))
        if session <= calendar.last
        else tuple(datetime.combine(session, at, NEW_YORK).astimezone(UTC) for at in (REGULAR_OPEN, REGULAR_CLOSE))
    )
    if settles_in_the_morning(trading_class, expiry, last_trade, calendar):
        return opens
    late = last_trade_time > REGULAR_CLOSE if last_trade_time is not None else symbol in LATE_SYMBOLS
    return closes + (LATE_CLOSE if late else timedelta(0))


def _session(expiry: date, calendar: SessionCalendar) -> date:
    """The session in which an option of that expiry ends."""
    if expiry <= calendar.last:
        return calendar.on_or_before(expiry)
    return expiry - timedelta(days=max(0, expiry.weekday() - 4))  # a Saturday or Sunday: the Friday before


def years_until(settled: datetime, at: datetime) -> float:
    """Years of 365 days from one instant to another; 0 when it has passed. Raises `ValueError` for an instant without a
    time zone."""
    if settled.tzinfo is None or at.tzinfo is None:
        raise ValueError("The time to settlement needs two instants with a time zone, for example in UTC.")
    return max((settled - at).total_seconds(), 0.0) / (86_400 * DAYS_A_YEAR)
