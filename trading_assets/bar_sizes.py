"""Bar sizes that are collected, in the broker's words."""

from __future__ import annotations

from trading_assets.errors import UnknownBarSize

BAR_SECONDS: dict[str, int] = {
    "1 secs": 1,
    "5 secs": 5,
    "10 secs": 10,
    "15 secs": 15,
    "30 secs": 30,
    "1 min": 60,
    "2 mins": 120,
    "3 mins": 180,
    "5 mins": 300,
    "10 mins": 600,
    "15 mins": 900,
    "20 mins": 1200,
    "30 mins": 1800,
    "1 hour": 3600,
    "2 hours": 7200,
    "3 hours": 10800,
    "4 hours": 14400,
    "8 hours": 28800,
    "1 day": 86400,
}
"""Bar sizes that are collected, by their length in seconds. The broker's `1W` and `1M` are sums of `1 day` bars."""


def bar_seconds(bar_size: str) -> int:
    """The length of a bar in seconds.

    Raises `UnknownBarSize` for words that the broker does not know or that are not collected.
    """
    try:
        return BAR_SECONDS[bar_size]
    except (KeyError, TypeError):
        raise UnknownBarSize(
            f"Bars of {bar_size!r} are not collected. Bar sizes are: {', '.join(BAR_SECONDS)}."
        ) from None
