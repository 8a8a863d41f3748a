"""A small cache: what was built first is given up first. Two threads may use it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


_lock = Lock()


def kept(cache: OrderedDict[K, V], key: K, build: Callable[[], V], most: int) -> V:
    """The value of a key, built when absent; the oldest is given up when there are more than `most`."""
    with _lock:
        if key in cache:
            return cache[key]
    value = build()  # it may need other values that are kept
    with _lock:
        cache[key] = value
        if len(cache) > most:
            cache.popitem(last=False)
    return value
