"""How counts, names and instants are worded in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `1,200 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def named(names: Iterable[str], most: int = 5) -> str:
    """Names in order, those after `most` counted."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def minute(instant: datetime) -> str:
    """An instant to the minute, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
