"""The run of a part: an ordinary run of one of the platform's jobs, tagged so that it is found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.distribution.parts import Part, Work
from trading_assets.distribution.records import Distribution
from trading_assets.monitoring.agenda import BARS, COMPUTED, WantedRun

DISTRIBUTION_TAG = "trading_assets/distribution"
"""Tag of each part's run: the name of its distribution. Limits on all parts are set on it in `dagster.yaml`."""

WORK_TAG = "trading_assets/work"
"""Tag of each part's run: greeks, validation or backfill."""

GATEWAY_TAG = "trading_assets/gateway"
"""Tag of the runs of a backfill through several gateways: the one of the part's symbols."""

_PRIORITY = {"dagster/priority": "-1"}
"""Parts wait for the runs of the day, which have priority 0."""

NAMED = "named"
"""Option of a validation: whether its symbols were named, or the whole lake is validated."""

VALIDATE, VALIDATE_STEP = "validate_lake", "validate_symbols"
"""The job that validates a part of the lake, and the step in it."""


def part_run(distribution: Distribution, part: Part) -> WantedRun:
    """The run that works on the part. Its key is the same whenever it is asked for."""
    tags = {DISTRIBUTION_TAG: distribution.name, WORK_TAG: str(distribution.work), **_PRIORITY}
    if part.gateway:
        tags[GATEWAY_TAG] = part.gateway
    job, assets, config = _work(distribution, part)
    of_sessions = job != VALIDATE
    return WantedRun(
        job,
        part_key(distribution, part),
        f"Part {part.number} of {len(distribution.parts)} of {distribution.name}: {part.words()}.",
        part.first if of_sessions else None,
        part.last if of_sessions else None,
        assets=assets,
        config=config,
        tags=tags,
    )


def part_key(distribution: Distribution, part: Part) -> str:
    """The key of the part's runs (`automation.run_dedup.KEY_TAG`)."""
    return f"{distribution.name} {part.number}"


def _work(distribution: Distribution, part: Part) -> tuple[str, tuple[str, ...], Mapping[str, Mapping[str, Any]]]:
    """The job of a part's run, the assets of it that are materialized (none named: all), and their config."""
    options, symbols = distribution.options, list(part.symbols)
    if distribution.work is Work.GREEKS:
        return "backfill_bars", COMPUTED, {name: {"symbols": symbols, **options} for name in COMPUTED}
    if distribution.work is Work.BACKFILL:
        return "backfill_bars", (), {name: {"symbols": symbols, **options.get(name, {})} for name in BARS}
    days = {"first": part.first and part.first.isoformat(), "last": part.last and part.last.isoformat()}
    return VALIDATE, (), {VALIDATE_STEP: {"symbols": symbols, **days, **options}}
