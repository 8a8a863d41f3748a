"""Variants of a parametrized test, of which a few run in `make test` and the others in `make slow`. Not a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def mostly_slow(variants: Iterable[Any], fast: Callable[[Any], bool]) -> list[Any]:
    """The variants as arguments of `pytest.mark.parametrize`; those that are not `fast` are slow. A tuple is several
    arguments. At least one of each must be there."""
    variants = list(variants)
    marked = [
        variant
        if fast(variant)
        else pytest.param(*(variant if isinstance(variant, tuple) else (variant,)), marks=pytest.mark.slow)
        for variant in variants
    ]
    assert 0 < sum(map(fast, variants)) < len(variants), "all variants are fast, or none"
    return marked
