"""Records as plain values, for JSON and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


class Plain:
    """A dataclass that can be written as JSON: base class."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """Field names and plain values; dates and instants as such."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """Records as dictionaries, in the form that they give themselves, and tuples as lists; all else as it is."""
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
