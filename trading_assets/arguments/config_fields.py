"""What the fields of a run config may hold: the same checks for the launchpad of the UI, the options of the Python
interface and the run itself.

In a run config an empty list means "as elsewhere": Dagster's launchpad opens with one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trading_assets.arguments.days import day, day_range
from trading_assets.arguments.numbers import LOOKBACK_DAYS, MINUTES, REQUESTS
from trading_assets.arguments.symbols import one_symbol, some_symbols
from trading_assets.arguments.words import bar_sizes

_EMPTY: tuple[Any, ...] = ([], ())

CHECKS: dict[str, Callable[[Any], Any]] = {
    "symbols": lambda value: [] if value in _EMPTY else some_symbols(value, "symbols"),
    "symbol": one_symbol,
    "bar_sizes": lambda value: [] if value in _EMPTY else bar_sizes(value),
    "lookback_days": lambda value: LOOKBACK_DAYS.whole(value, "lookback_days"),
    "first_session": lambda value: day(value, "first_session").isoformat(),
    "last_session": lambda value: day(value, "last_session").isoformat(),
    "max_requests": lambda value: REQUESTS.whole(value, "max_requests"),
    "requote_after_minutes": lambda value: MINUTES.whole(value, "requote_after_minutes"),
}
"""By the name of the field: gives the value in its own form, or raises `InvalidRequest`."""


def checked_field(name: str, value: Any) -> Any:
    """The value of a field in its own form; null, and fields without a check, as they are. Raises `InvalidRequest`."""
    return CHECKS[name](value) if name in CHECKS and value is not None else value


def checked_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of one asset's config in their own form. Raises `InvalidRequest`."""
    found = {name: checked_field(name, value) for name, value in values.items()}
    day_range(found.get("first_session"), found.get("last_session"), ("first_session", "last_session"))
    return found
