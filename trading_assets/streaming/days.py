"""Which session an update belongs to, and whether the exchange trades regularly: answered often, so from two instants
kept at hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from trading_assets.sessions import NEW_YORK, calendar, session_date

_NEVER = datetime.min.replace(tzinfo=UTC)


class Days:
    """The session of instants near each other."""

    def __init__(self) -> None:
        self._from = self._until = _NEVER
        self._session = date.min
        self._opens = self._closes = _NEVER

    def session(self, at: datetime) -> date:
        """The session whose rows an update of that instant joins: that of its date in New York, also before the open;
        on a weekend or holiday the one before."""
        if not self._from <= at < self._until:
            self._look_up(at)
        return self._session

    def begins(self, at: datetime) -> datetime:
        """When the day of `at` began in New York."""
        self.session(at)
        return self._from

    def is_regular(self, at: datetime) -> bool:
        """Whether regular trading is on."""
        self.session(at)
        return self._opens <= at < self._closes

    def opened_at(self, at: datetime) -> datetime:
        """The regular open of the session of `at`."""
        self.session(at)
        return self._opens

    def _look_up(self, at: datetime) -> None:
        day, days = session_date(at), calendar()
        self._session = days.on_or_before(day)
        self._opens, self._closes = days.opens_at(self._session), days.closes_at(self._session)
        self._from = datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
        self._until = datetime.combine(day + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)
