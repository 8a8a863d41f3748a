"""The rules of `trading_assets.validation` as asset checks: one check `rules` a dataset where it is collected, and one
a rule.

A run that collects evaluates all rules of a dataset as its check `rules`, in the step that wrote it and over the
sessions of the run: 41 checks of their own would double the time of the run. The single checks stand beside it, each
selectable: run by themselves (the UI's "Execute", a job of checks alone) they look at the whole lake, in the hourly
`quality_check` at its window. No check blocks the graph: what an ERROR blocks is the symbol it speaks of
(`validation.blocked`), so that the other symbols go on.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from trading_assets.distribution import DISTRIBUTION_TAG
from trading_assets.errors import ExtensionFailed, UnreadableFile
from trading_assets.monitoring.agenda import BARS
from trading_assets.monitoring.hours import QUALITY_CHECK
from trading_assets.monitoring.wording import named
from trading_assets.remedies import Medium, speaking
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.metadata import plain_table
from trading_assets.resources.run_config import lookback_days
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.validation import (
    DATASETS,
    Finding,
    Findings,
    Rule,
    RuleResult,
    Scope,
    Severity,
    ValidationReport,
    known_rules,
    validate,
)

_SEVERITY = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARN: dg.AssetCheckSeverity.WARN}

ALL_RULES = "rules"
"""Name of the check that evaluates all rules of a dataset, in the runs that collect it."""

ROWS_SHOWN = 50
"""Rows of a table in metadata: enough to see what is wrong, small enough for the event log."""

SYMBOLS_NAMED = 50
"""Symbols of a failing check that its metadata lists."""


def rules_spec(dataset: str) -> dg.AssetCheckSpec:
    """The check `rules` of a dataset, for the `check_specs` of its asset."""
    count = sum(rule.dataset == dataset for rule in known_rules())
    return dg.AssetCheckSpec(
        ALL_RULES,
        asset=dataset,
        description=(
            f"All {count} rules of {dataset} over the sessions of the run: see docs/validation.md. Each is a check of"
            " its own, too."
        ),
    )


def evaluate_rules(settings: Settings, dataset: str, scope: Scope) -> dg.AssetCheckResult:
    """The check `rules` of a dataset over the sessions that a run collected; the findings are recorded.

    Where the scope is of some symbols, what was found before of the others in these sessions counts too: a part must
    not turn the check green. A file that cannot be read, or a rule of another package that is no SQL over the lake,
    fails the check, not the run: the other datasets are still collected.
    """
    rules = [rule for rule in known_rules() if rule.dataset == dataset]
    try:
        report = validate(settings, scope, rules=rules)
    except (UnreadableFile, ExtensionFailed) as error:
        return dg.AssetCheckResult(check_name=ALL_RULES, passed=False, description=error.as_stored)
    return rules_result(report, _findings_of_others(settings, dataset, scope))


def run_scope(run: dg.DagsterRun, symbols: Sequence[str], sessions: Sequence[date]) -> Scope:
    """What a run that collected `symbols` validates: all symbols of its sessions. A part of distributed work validates
    its own symbols: other parts write at the same time, and what each finds replaces the earlier findings of its
    scope."""
    if DISTRIBUTION_TAG in run.tags:
        return Scope(tuple(symbols), sessions[0], sessions[-1], part_of_lake=True)
    return Scope(first=sessions[0], last=sessions[-1])


def _findings_of_others(settings: Settings, dataset: str, scope: Scope) -> list[Finding]:
    """The present findings in the scope's sessions of symbols that are not in it."""
    if scope.symbols is None:
        return []
    first, last = scope.first or date.min, scope.last or date.max
    return [
        finding
        for finding in Findings(settings.state_url).current(datasets=[dataset])
        if finding.symbol not in scope.symbols and first <= finding.session <= last
    ]


def rules_result(report: ValidationReport, others: Sequence[Finding] = ()) -> dg.AssetCheckResult:
    """The answers of all rules of a dataset as one check: it passes when each holds, and is an ERROR when one of that
    severity fails. `others` are findings outside of the report's scope that the check speaks of too.

    Metadata: what was examined and failed by rule, and of each failing rule what its own check shows.
    """
    failing = report.failing()
    said = [_said(result) for result in failing]
    if others:
        symbols = sorted({finding.symbol for finding in others})
        said.append(f"Earlier findings for other symbols in these sessions: {len(others)} in {named(symbols)}.")
    severities = {result.rule.severity for result in failing} | {finding.severity for finding in others}
    metadata: dict[str, Any] = {
        "scope": _scope_text(report.scope),
        "rules": len(report.results),
        "failing": len(failing),
        "examined": dg.MetadataValue.json({result.rule.name: result.examined for result in report.results}),
    }
    for result in failing:
        metadata |= {f"{result.rule.name}: {name}": value for name, value in _failure(result).items()}
    return dg.AssetCheckResult(
        check_name=ALL_RULES,
        passed=not said,
        severity=dg.AssetCheckSeverity.ERROR if Severity.ERROR in severities else dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or f"All {len(report.results)} rules hold.",
        metadata=metadata,
    )


def _spec(rule: Rule) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        rule.name,
        asset=rule.dataset,
        description=f"{rule.why} {rule.remedy}",
        metadata={
            "severity": str(rule.severity),
            "holds_a_symbol_back": rule.blocks,
            "sql": dg.MetadataValue.md(f"```sql\n{rule.holds}\n```"),
        },
    )


def _checks_of(dataset: str) -> dg.AssetChecksDefinition:
    rules = {rule.name: rule for rule in known_rules() if rule.dataset == dataset}

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
    metadata: dict[str, Any] = {"examined": result.examined, "scope": _scope_text(scope)}
    metadata |= {"failed": 0, "severity": str(result.rule.severity)} if result.passed else _failure(result)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(result.rule.dataset),
        check_name=result.rule.name,
        passed=result.passed,
        severity=_SEVERITY[result.rule.severity],
        description=_said(result),
        metadata=metadata,
    )


def _said(result: RuleResult) -> str:
    with speaking(Medium.COMMAND):
        return result.sentence()


def _failure(result: RuleResult) -> dict[str, Any]:
    return {
        "failed": result.failed,
        "severity": str(result.rule.severity),
        "symbols": ", ".join(result.symbols[:SYMBOLS_NAMED]),
        "first_rows": plain_table(result.rows.slice(0, ROWS_SHOWN)),
        "what_to_do": result.rule.remedy,
    }


def _scope_text(scope: Scope) -> str:
    some = f", {len(scope.symbols)} symbols" if scope.symbols is not None else ""
    return f"{scope.first or 'the beginning'} to {scope.last or 'now'}{some}"


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
    lookback = lookback_days(run, settings, dataset) if dataset in BARS else 0
    begin = min(date.fromisoformat(first), date.fromisoformat(last) - timedelta(days=lookback))
    return Scope(first=begin, last=date.fromisoformat(last))


ALL_CHECKS = tuple(_checks_of(dataset) for dataset in DATASETS)
