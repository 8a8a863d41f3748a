"""Columns of frames where several values are wanted: a frame may be of pandas, Arrow or Polars (`as_`), and so may be
what users take from it.

Columns of pandas and Polars give plain values when they are iterated; those of Arrow give Arrow's scalars.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def plain(value: Any) -> Any:
    """The value of an Arrow scalar; everything else as it is."""
    return value.as_py() if hasattr(value, "as_py") else value


def several(value: Any) -> list[Any]:
    """The values of a collection or a column, in its order; of anything else, texts too, the one value itself."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [plain(value)]
    return [plain(one) for one in value]
