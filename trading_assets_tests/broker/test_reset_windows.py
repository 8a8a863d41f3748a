"""The broker's reset windows, in New York time, across the changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trading_assets.broker.reset_windows import reset_window_end
from trading_assets.sessions import NEW_YORK


@pytest.mark.parametrize(
    ("local", "end"),
    [
        ("2024-06-03T00:14:59", None),
        ("2024-06-03T00:15:00", "2024-06-03T01:45:00"),
        ("2024-06-03T01:44:59", "2024-06-03T01:45:00"),
        ("2024-06-03T01:45:00", None),
        ("2024-06-07T01:00:00", "2024-06-07T01:45:00"),
        ("2024-06-07T22:59:59", None),
        ("2024-06-07T23:00:00", "2024-06-08T03:00:00"),
        ("2024-06-08T02:59:59", "2024-06-08T03:00:00"),
        ("2024-06-08T03:00:00", None),
        ("2024-06-09T01:00:00", "2024-06-09T01:45:00"),
        ("2024-06-03T12:00:00", None),
        ("2024-12-02T00:30:00", "2024-12-02T01:45:00"),
    ],
)
def test_window(local: str, end: str | None) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=NEW_YORK)
    expected = None if end is None else datetime.fromisoformat(end).replace(tzinfo=NEW_YORK)
    assert reset_window_end(now.astimezone(UTC)) == expected


def test_an_instant_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        reset_window_end(datetime(2024, 6, 3, tzinfo=UTC).replace(tzinfo=None))
