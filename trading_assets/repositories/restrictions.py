"""Restrictions of a read: which values some columns may have, as a condition in SQL and as bounds that rule out row
groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Restriction:
    """Rows whose columns have one of some values; `also` is a further condition in SQL with `parameters` of its own."""

    values: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    also: str = "true"
    parameters: tuple[Any, ...] = ()

    def sql(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        parts = [
            f'"{name}" in ({", ".join("?" * len(allowed))})' if allowed else "false" for name, allowed in self.values
        ]
        return " and ".join([*parts, f"({self.also})"]), [
            *(value for _, allowed in self.values for value in allowed),
            *self.parameters,
        ]

    def within(self, first: date | None, last: date | None) -> Restriction:
        """The same, of the sessions `first` to `last` (both included; None does not restrict)."""
        bounds = [(f"session {sign} ?", day) for sign, day in ((">=", first), ("<=", last)) if day is not None]
        also = " and ".join([f"({self.also})", *(condition for condition, _ in bounds)])
        return replace(self, also=also, parameters=(*self.parameters, *(day for _, day in bounds)))


def restricted(**wanted: Any) -> Restriction:
    """Rows whose columns have those values; a collection means any of them, None does not restrict."""
    values = []
    for name, value in wanted.items():
        if value is not None:
            several = isinstance(value, Collection) and not isinstance(value, str)
            values.append((name, tuple(pa.scalar(one).as_py() for one in (value if several else [value]))))
    return Restriction(tuple(values))
