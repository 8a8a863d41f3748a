"""The hash of a partitions definition, computed once an object.

Dagster 1.13 computes it from the definition's text, of ours 22,000 characters with every holiday since 1998, at each
look into its own caches: 140 times a run, and for each partition of each check that a page of the UI shows (a quarter
of the web server's time).
"""

from __future__ import annotations

from dagster import TimeWindowPartitionsDefinition

_compute = TimeWindowPartitionsDefinition.__hash__

_KEPT = "trading_assets_hash"


def remember_hashes() -> None:
    """Have the hash of each definition in this process computed once. Safe to repeat."""
    TimeWindowPartitionsDefinition.__hash__ = _remembered  # type: ignore[method-assign]


def _remembered(definition: TimeWindowPartitionsDefinition) -> int:
    """Kept with the object, which never changes. A copy and what another process is sent are made of the fields alone,
    and compute their own."""
    kept: dict[str, int] = definition.__dict__
    if _KEPT not in kept:
        kept[_KEPT] = _compute(definition)
    return kept[_KEPT]
