"""Reading files that were listed, while others replace and remove them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def while_listed(read: Callable[[], T], attempts: int) -> T:
    """What `read` returns; read again where a file that it had listed has gone meanwhile, so often at the most."""
    for _ in range(attempts - 1):
        with suppress(FileNotFoundError):
            return read()
    return read()
