"""A small cache: what was built first is given up first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def kept(cache: OrderedDict[K, V], key: K, build: Callable[[], V], most: int) -> V:
    """The value of a key, built when absent; the oldest is given up when there are more than `most`."""
    if key in cache:
        return cache[key]
    value = cache[key] = build()
    if len(cache) > most:
        cache.popitem(last=False)
    return value
