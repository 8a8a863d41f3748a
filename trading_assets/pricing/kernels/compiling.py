"""How a kernel is compiled: at its first call, and once for all processes.

A compiled copy belongs to the file its function is in and is renewed when that file changes. A kernel therefore calls
nothing compiled of another file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

PRICE, DELTA, GAMMA, VEGA, THETA, RHO = range(6)
"""Columns of the kernels' tables."""

inline = numba.njit(nogil=True, error_model="numpy")
"""Decorator of a function that compiled functions of the same file call."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of an entry point. The compiled copy is kept in `NUMBA_CACHE_DIR`, beside the source, or in the user's
    cache folder, the first that can be written; without any, each process compiles for itself."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder it may write
        return inline(function)
