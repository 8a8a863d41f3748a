"""The clock of a replay: where the platform's clock is pinned and the market's time goes on at the simulated TWS, the
market's instants are what TWS says of them.

TWS says its time in whole seconds when it is asked; a trade and a bar name instants that have passed. The newest of
these is the present: never ahead of the market, behind it by less than the time between two questions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_SET_BACK = timedelta(seconds=2)
"""How far behind what is known TWS's own time must be to be another instant, and not the same one in whole seconds."""


class ReplayClock:
    """Begins at the pinned instant. Call it for the present instant, UTC."""

    def __init__(self, pinned: datetime) -> None:
        self._at = pinned.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._at

    def has_passed(self, instant: datetime) -> None:
        """The market is past this instant."""
        if instant > self._at:
            self._at = instant

    def is_now(self, epoch: int) -> None:
        """TWS says that this is the time, epoch seconds."""
        instant = datetime.fromtimestamp(epoch, UTC)
        if instant > self._at or instant < self._at - _SET_BACK:
            self._at = instant
