"""The cash dividends that are expected: from the broker's tick 456 or from the setting `dividends`.

Here belong dates and amounts, and their time from an instant. How dividends enter a price is `american`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from dateutil.relativedelta import relativedelta

from trading_assets.pricing.exercise import years_until
from trading_assets.sessions import SessionCalendar

_MONTHS_A_YEAR = 12


class DividendSource(StrEnum):
    """Where the dividends of a row come from."""

    BROKER = "broker"
    SETTING = "setting"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Dividend:
    """One cash dividend: the first day the share trades without it, and dollars a share."""

    ex_date: date
    amount: float


@dataclass(frozen=True, slots=True)
class ExpectedDividends:
    """The dividends of an underlying, in order of their ex-dates, and where they come from."""

    dividends: tuple[Dividend, ...]
    source: DividendSource

    def schedule(self, at: datetime, calendar: SessionCalendar) -> list[tuple[float, float]]:
        """Pairs (years from `at` to the open of the ex-date, dollars a share) of the dividends still to come."""
        pairs = [
            (years_until(calendar.opens_at(calendar.on_or_after(dividend.ex_date)), at), dividend.amount)
            for dividend in self.dividends
        ]
        return [pair for pair in pairs if pair[0] > 0]


def expected_dividends(
    symbol: str, today: date, broker_text: str | None, setting: Mapping[str, Sequence[tuple[date, float]]]
) -> ExpectedDividends:
    """The dividends of an underlying: those of the setting where it names the symbol (it is the operator's word), else
    the broker's, else none. Raises `ValueError` for a text of the broker that cannot be read."""
    if symbol in setting:
        named = tuple(Dividend(day, amount) for day, amount in sorted(setting[symbol]) if day > today)
        return ExpectedDividends(named, DividendSource.SETTING)
    if broker_text is not None and broker_text.strip():
        return ExpectedDividends(tuple(broker_dividends(broker_text, today)), DividendSource.BROKER)
    return ExpectedDividends((), DividendSource.NONE)


def broker_dividends(text: str, today: date) -> list[Dividend]:
    """The dividends of the next year from tick 456.

    The text is `past twelve months,next twelve months,next ex-date,next amount`, for example `0.83,0.92,20130219,0.23`;
    fields are empty for an underlying without dividends. The next dividend is repeated at even distances over the next
    year, as often as its amount is contained in the sum of the next twelve months. Raises `ValueError`.
    """
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 4:
        raise _unreadable(text)
    try:
        following, amount = (float(fields[i]) if fields[i] else 0.0 for i in (1, 3))
        first = date(int(fields[2][:4]), int(fields[2][4:6]), int(fields[2][6:])) if fields[2] else None
    except ValueError:
        raise _unreadable(text) from None
    if not (0.0 <= amount < float("inf") and 0.0 <= following < float("inf")):
        raise _unreadable(text)
    if first is None or amount == 0.0:
        return []
    payments = min(max(round(following / amount), 1), _MONTHS_A_YEAR)
    distance = _MONTHS_A_YEAR // payments
    days = (first + relativedelta(months=distance * number) for number in range(2 * _MONTHS_A_YEAR))
    last = today + relativedelta(years=1)
    return [Dividend(day, amount) for day in _until(days, last) if day > today]


def _until(days: Iterable[date], last: date) -> Iterable[date]:
    for day in days:
        if day > last:
            return
        yield day


def _unreadable(text: str) -> ValueError:
    return ValueError(
        f"The broker's dividends {text!r:.80} cannot be read: expected past and next twelve months, next ex-date"
        " (YYYYMMDD) and next amount, separated by commas."
    )
