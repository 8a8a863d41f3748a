"""The rules of `trading_assets.validation` as asset checks: one check a rule, one step a dataset.

In a run that collects, the checks look at the sessions the run worked on; run by themselves (the UI's "Execute", a job of
checks alone) at the whole lake, in the hourly `quality_check` at its window. No check blocks the graph: what an ERROR blocks
is the symbol it speaks of (`validation.blocked`), so that the other symbols go on.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

from trading_assets.assets.policy import ROWS_SHOWN
from trading_assets.monitoring.hours import QUALITY_CHECK
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.metadata import plain_table
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.validation import DATASETS, RULES, Rule, RuleResult, Scope, Severity, validate

_SEVERITY = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARN: dg.AssetCheckSeverity.WARN}

SYMBOLS_NAMED = 50
"""Symbols of a failing check that its metadata lists."""


def _spec(rule: Rule) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        rule.name,
        asset=rule.dataset,
        description=f"{rule.why} {rule.remedy}",
        metadata={"severity": str(rule.severity), "holds_a_symbol_back": rule.blocks, "sql": dg.MetadataValue.md(f"```sql\n{rule.holds}\n```")},
    )


def _checks_of(dataset: str) -> dg.AssetChecksDefinition:
    rules = {rule.name: rule for rule in RULES if rule.dataset == dataset}

    @dg.multi_asset_check(
        name=f"{dataset}_rules",
        specs=[_spec(rule) for rule in rules.values()],
        can_subset=True,
        description=f"The rules of {dataset}: see docs/validation.md.",
    )
    def check(context: dg.AssetCheckExecutionContext, archive: ArchiveResource) -> Iterator[dg.AssetCheckResult]:
        settings = archive.settings()
        chosen = [rules[key.name] for key in sorted(context.selected_asset_check_keys, key=str)]
        report = validate(settings, scope_of(context.run, settings, dataset), rules=chosen)
        for result in report.results:
            yield check_result(result, report.scope)

    return check


def check_result(result: RuleResult, scope: Scope) -> dg.AssetCheckResult:
    """A rule's answer as Dagster shows it: counts, the first rows as a table, the symbols concerned."""
    metadata: dict[str, Any] = {
        "examined": result.examined,
        "failed": result.failed,
        "scope": f"{scope.first or 'the beginning'} to {scope.last or 'now'}",
        "severity": str(result.rule.severity),
    }
    if not result.passed:
        metadata["symbols"] = ", ".join(result.symbols[:SYMBOLS_NAMED])
        metadata["first_rows"] = plain_table(result.rows.slice(0, ROWS_SHOWN))
        metadata["what_to_do"] = result.rule.remedy
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(result.rule.dataset),
        check_name=result.rule.name,
        passed=result.passed,
        severity=_SEVERITY[result.rule.severity],
        description=result.sentence(),
        metadata=metadata,
    )


def scope_of(run: dg.DagsterRun, settings: Settings, dataset: str) -> Scope:
    """The sessions that the checks of a run look at."""
    if run.job_name == QUALITY_CHECK:
        current = calendar().current(settings.clock())
        return Scope(first=calendar().previous(current, settings.check_window_sessions - 1), last=current)
    partition = run.tags.get("dagster/partition")
    first = run.tags.get("dagster/asset_partition_range_start", partition)
    last = run.tags.get("dagster/asset_partition_range_end", partition)
    if first is None or last is None:
        return Scope()
    ops = run.run_config.get("ops", {}) if isinstance(run.run_config, dict) else {}
    lookback = ops.get(dataset, {}).get("config", {}).get("lookback_days", 0)
    begin = min(date.fromisoformat(first), date.fromisoformat(last) - timedelta(days=lookback))
    return Scope(first=begin, last=date.fromisoformat(last))


ALL_CHECKS = tuple(_checks_of(dataset) for dataset in DATASETS)
