"""Measures of quality over time, kept in the lake as the dataset `quality_metrics`.

| metric | about | unit |
| --- | --- | --- |
| `coverage_complete` | a dataset | share of sessions complete or without trades; single symbols where below 1 |
| `sessions_missing` | a dataset | symbol-sessions that are neither |
| `rows_examined` | a dataset | rows the rules looked at, the most of any rule |
| `rows_failing_error`, `rows_failing_warn` | a dataset | violations of the rules of that severity, added up |
| `troubles` | the platform | conditions that need attention |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.plain import Plain
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import ALL_SYMBOLS, PLATFORM, QUALITY_METRICS, Condition
from trading_assets.repositories.store import ParquetStore, UpsertCounts
from trading_assets.validation.engine import RuleResult
from trading_assets.validation.rule import Severity

WHOLE = (Condition.COMPLETE, Condition.NO_TRADES, Condition.NOTHING_SELECTED)
"""Conditions in which nothing is missing."""


@dataclass(frozen=True, slots=True)
class Metric(Plain):
    """One measured value; `symbol` is `*` for all symbols together."""

    metric: str
    about: str
    symbol: str
    value: float
    unit: str


def measure(conditions: Sequence[Mapping[str, Any]], results: Iterable[RuleResult], issues: int) -> list[Metric]:
    """The metrics of one measuring: from counts of conditions (`repositories.conditions.count_conditions`), rule
    results and issues."""
    metrics = [Metric("troubles", PLATFORM, ALL_SYMBOLS, float(issues), "conditions")]
    return [*metrics, *_coverage(conditions), *_rules(list(results))]


def _coverage(conditions: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    wanted: dict[tuple[str, str], int] = {}
    whole: dict[tuple[str, str], int] = {}
    for row in conditions:
        for key in ((row["dataset"], ALL_SYMBOLS), (row["dataset"], row["symbol"])):
            wanted[key] = wanted.get(key, 0) + row["sessions"]
            whole[key] = whole.get(key, 0) + (row["sessions"] if row["condition"] in WHOLE else 0)
    for (dataset, symbol), sessions in sorted(wanted.items()):
        missing = sessions - whole[dataset, symbol]
        if missing or symbol == ALL_SYMBOLS:
            yield Metric("coverage_complete", dataset, symbol, 1 - missing / sessions, "share, 0 to 1")
            yield Metric("sessions_missing", dataset, symbol, float(missing), "symbol-sessions")


def _rules(results: Sequence[RuleResult]) -> Iterable[Metric]:
    for dataset in dict.fromkeys(result.rule.dataset for result in results):
        of_dataset = [result for result in results if result.rule.dataset == dataset]
        yield Metric(
            "rows_examined", dataset, ALL_SYMBOLS, float(max(result.examined for result in of_dataset)), "rows"
        )
        for severity in Severity:
            failed = sum(result.failed for result in of_dataset if result.rule.severity is severity)
            yield Metric(f"rows_failing_{severity}", dataset, ALL_SYMBOLS, float(failed), "rows")


def store_metrics(data_dir: Path, metrics: Iterable[Metric], *, session: date, measured_at: datetime) -> UpsertCounts:
    """Put one measuring into the lake. Storing the same measuring again changes nothing."""
    fixed = {"session": session, "measured_at": measured_at, "collected_at": measured_at, "request_id": 0}
    rows = [{**fixed, **metric.as_dict()} for metric in metrics]
    return ParquetStore(data_dir).upsert(QUALITY_METRICS, pa.Table.from_pylist(rows, schema=QUALITY_METRICS.schema))


def metric_history(data_dir: Path) -> pa.Table:
    """All measures of all symbols together, columns of `quality_metrics`, by metric, about and time."""
    return query(
        data_dir, "select * from quality_metrics where symbol = ? order by metric, about, measured_at", [ALL_SYMBOLS]
    )
