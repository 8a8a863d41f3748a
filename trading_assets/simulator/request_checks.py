"""Judges historical requests as the gateway does: the same causes, in the same order, with the same texts.

Order: end date (10314), then the causes of error 321, then lengths the data service refuses (162).
Permissions and missing data come later and are the market's matter. Source of the order: the gateway
re-implementation IBX, `src/control/historical.rs`; each refusal here names the wording seen on the wire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from trading_assets.simulator.durations import BAR_SECONDS, DAILY_SIZES, Duration
from trading_assets.simulator.requests import HistoricalData, MarketData
from trading_assets.simulator.timetext import InvalidDate, parse_end

HISTORY_ERROR = "Historical Market Data Service error message:"
"""What the data service's own refusals (code 162) begin with."""

MARKET_SHOWS = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST")
"""Kinds of data the markets have."""

LEGAL_SHOWS = frozenset(
    {*MARKET_SHOWS, "SCHEDULE", "AGGTRADES", "HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "REBATE_RATE",
    "FEE_RATE",
     "YIELD_BID", "YIELD_ASK", "YIELD_BID_ASK", "YIELD_LAST"}
)  # fmt: skip
"""Kinds of data TWS knows; for those beyond `MARKET_SHOWS` the simulated markets have no data."""

WIRE_BAR_SIZES = {size: size for size in BAR_SECONDS} | {"1W": "1 week", "1M": "1 month"}
"""Bar sizes a client may send, and the market's name of each."""

LEGAL_SIZES_TEXT = (
    "1 secs, 5 secs, 10 secs, 15 secs, 30 secs, 1 min, 2 mins, 3 mins, 5 mins, 10 mins, 15 mins, 20 mins, 30 mins, "
    "1 hour, 2 hours, 3 hours, 4 hours, 8 hours, 1 day, 1W, 1M"
)

MAX_SECONDS_OF_ONE_SECOND_BARS = 2000
"""Longest duration of `1 secs` bars (broker documentation, maximum durations)."""
MAX_YEARS = 68
"""Longest duration in years (same source)."""
MIN_SECONDS = 30
"""Shortest duration in seconds the gateway takes."""

BAD_END_DATE = (
    "End Date/Time: The date, time, or time-zone entered is invalid.\nThe correct format is yyyymmdd hh:mm:ss xx/xxxx"
    " where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 US/Eastern  Note that there is a space between"
    " the date and time, and between the time and time-zone.  If no date is specified, current date is assumed. If no"
    " time-zone is specified, local time-zone is assumed(deprecated).  You can also provide yyyymmddd-hh:mm:ss time is"
    " in UTC. Note that there is a dash between the date and time in UTC notation."
)

MISSING_ZONE_WARNING = (
    "Warning: You submitted request with date-time attributes without explicit time zone. Please switch to use"
    " yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern. Implied time zone functionality will be"
    " removed in the next API release"
)

_DURATION = re.compile(r"(-?\d+) ([SDWMY])")


class Refusal(Exception):
    """The simulator answers a request with an error: `code` and the whole `text` as it goes over the wire."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(cause: str) -> Refusal:
    """Error 321 with a cause."""
    return Refusal(321, f"Error validating request.-'bM' : cause - {cause}")


def not_processed(cause: str) -> Refusal:
    """Error 322 with a cause."""
    return Refusal(322, f"Error processing request.-'bX' : cause - {cause}")


def history_refusal(reason: str) -> Refusal:
    """Error 162: the historical data service's own refusal."""
    return Refusal(162, HISTORY_ERROR + reason)


def no_data(subject: str, what_to_show: str) -> Refusal:
    """The answer of the data service when it has nothing: `HMDS query returned no data: SYM@SMART Trades`."""
    words = {"BID_ASK": "Bid_Ask", "ADJUSTED_LAST": "AdjustedLast"}
    return history_refusal(
        f"HMDS query returned no data: {subject}@SMART {words.get(what_to_show, what_to_show.capitalize())}"
    )


@dataclass(frozen=True, slots=True)
class ValidHistory:
    """A historical request that passed: `end` is None for now; `zone_missing` calls for warning 2174."""

    end: datetime | None
    zone_missing: bool
    duration: Duration
    bar_size: str
    what_to_show: str
    epoch: bool

    @property
    def daily(self) -> bool:
        """Whether bar times are dates."""
        return self.bar_size in DAILY_SIZES


def check_history(request: HistoricalData) -> ValidHistory:
    """The request in valid form; raises `Refusal` with the first cause that the gateway would name."""
    try:
        end, zone_missing = parse_end(request.end.strip())
    except InvalidDate:
        raise Refusal(10314, BAD_END_DATE) from None
    duration = check_duration(request.duration)
    show = request.what_to_show
    adjusted = show == "ADJUSTED_LAST"
    if adjusted and end is not None:
        raise invalid("End date not supported with adjusted last")
    bar_size = WIRE_BAR_SIZES.get(request.bar_size)
    if bar_size is None:
        raise invalid(f"Historical data bar size setting is invalid. Legal ones are: {LEGAL_SIZES_TEXT}")
    if adjusted and bar_size in ("1 week", "1 month"):
        raise invalid("Multi day bar size not supported with adjusted last")
    if show not in LEGAL_SHOWS:
        raise invalid(f"What to show value of {show} rejected.")
    if request.format_date not in (1, 2):
        raise invalid(f"Date formatting selection of {request.format_date} rejected.")
    if show == "SCHEDULE" and bar_size != "1 day":
        raise invalid("Only daily resolution supported for Schedule requests")
    if request.keep_up_to_date and end is not None:
        raise invalid("End date not supported with live updates")
    if bar_size == "1 secs" and (duration.unit != "S" or duration.count > MAX_SECONDS_OF_ONE_SECOND_BARS):
        raise history_refusal("Invalid time length")
    return ValidHistory(end, zone_missing, duration, bar_size, show, request.format_date == 2)


def check_duration(words: str) -> Duration:
    """The duration in `words`; raises `Refusal`."""
    if not words.strip():
        raise invalid("Historical data request duration not specified.")
    found = _DURATION.fullmatch(words.strip())
    if not found:
        raise invalid(
            "When specifying a unit, historical data request duration format is integer{SPACE}unit (S|D|W|M|Y)."
        )
    count, unit = int(found[1]), found[2]
    if count < 1 or (unit == "S" and count < MIN_SECONDS):
        raise invalid("Historical data requested duration is invalid.")
    if unit == "S" and count > 86400:
        raise invalid("Historical data request for greater than 86400 seconds rejected.")
    for limited, most, named in (("D", 365, "365 days"), ("W", 52, "52 weeks"), ("M", 12, "12 months")):
        if unit == limited and count > most:
            start = "Historical data requests" if unit == "D" else "Historical data request"
            raise invalid(f"{start} for durations longer than {named} must be made in years.")
    if unit == "Y" and count > MAX_YEARS:
        raise history_refusal("Invalid time length")
    return Duration(count, unit)


def check_market_data(request: MarketData) -> None:
    """Refuses generic ticks together with a snapshot (321)."""
    if request.snapshot and request.generic_ticks:
        raise invalid("Snapshot market data subscription is not applicable to generic ticks")
