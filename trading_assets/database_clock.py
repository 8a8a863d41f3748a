"""By how much the clocks of database servers are ahead of this machine's, as last measured, by the URL of the database.

Where several machines share a state database, its server's clock is the one that all of them go by. It is measured by
`state.engine` whenever a transaction asks for the time, and told by `Settings.clock`.
"""

from __future__ import annotations

import logging
from datetime import timedelta

logger = logging.getLogger("trading_assets.state")

WARN_SECONDS = 1.0
"""Difference from which a machine's clock is reported as wrong; synchronised clocks differ by some milliseconds."""

STEADY_SECONDS = 0.1
"""What is measured anew within so much of the earlier value changes nothing: a clock that is moved to and fro by every
measurement would put what follows before what went."""

_ahead: dict[str, float] = {}
_warned: set[str] = set()


def note(url: str, seconds: float, within: float) -> None:
    """Keep what was measured, right within so many seconds."""
    if url in _ahead and abs(seconds - _ahead[url]) <= within + STEADY_SECONDS:
        return
    _ahead[url] = seconds
    if abs(seconds) >= WARN_SECONDS and url not in _warned:
        _warned.add(url)
        logger.warning(
            "The clock of this machine is %.1f s %s that of the database server. What several machines share goes by"
            " the server's; set this machine's clock right (chrony or ntpd), for its logs go by its own.",
            abs(seconds),
            "behind" if seconds > 0 else "ahead of",
        )


def measured(url: str) -> bool:
    """Whether the clock of the database was measured in this process."""
    return url in _ahead


def ahead(url: str | None) -> timedelta:
    """What to add to this machine's clock; nothing where no server was asked yet."""
    return timedelta(seconds=_ahead.get(url, 0.0)) if url is not None else timedelta(0)
