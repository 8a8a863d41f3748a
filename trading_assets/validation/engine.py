"""Runs rules over the lake: counts, the first rows, the symbols concerned; keeps the findings; says what is blocked.

All rules over the same rows are answered by one scan; only rules that fail are asked for their rows. What does not
belong here: the rules, the scope's tables (`validation.scope`), where findings are kept (`validation.findings`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from trading_assets.arguments import datasets as checked_datasets
from trading_assets.arguments import holds_lake
from trading_assets.errors import ExtensionFailed
from trading_assets.remedies import typed, worded
from trading_assets.repositories.catalog import steadily
from trading_assets.repositories.lake_size import lake_rows
from trading_assets.settings import Settings
from trading_assets.validation.findings import STORED_FINDINGS, Finding, Findings
from trading_assets.validation.known_rules import known_rules
from trading_assets.validation.reviews import Reviews
from trading_assets.validation.rule import DATASETS, Rule, Severity
from trading_assets.validation.rules import RULES
from trading_assets.validation.scope import IN_MEMORY, Scope, create_views

ROWS_SHOWN = 20
"""Rows of a failing rule in its result."""

_SYMBOLS_IN_REMEDY = 5
"""Symbols that the remedy of a failing rule names."""

EVERYTHING = Scope()


@dataclass(frozen=True)
class RuleResult:
    """One rule's answer: rows examined and failed, the symbols of the failed ones (sorted), and the first `ROWS_SHOWN`
    of them.

    `rows` has the columns `symbol`, `session` and those the rule shows.
    """

    rule: Rule
    examined: int
    failed: int
    symbols: tuple[str, ...]
    rows: pa.Table

    @property
    def passed(self) -> bool:
        """Whether no row violates the rule."""
        return self.failed == 0

    def sentence(self) -> str:
        """What is wrong, whose, why it matters and what to do."""
        if self.passed:
            return f"{self.rule.name}: " + (
                f"{self.examined:,} examined, none violates it." if self.examined else "there is nothing to examine."
            )
        who = " ".join(map(typed, self.symbols[:_SYMBOLS_IN_REMEDY])) or "SYMBOL"
        named = ", ".join(self.symbols[:5]) + (f" and {len(self.symbols) - 5} more" if len(self.symbols) > 5 else "")
        return (
            f"{self.rule.name} ({self.rule.dataset}): {self.failed:,} of {self.examined:,} fail, of {named}."
            f" {self.rule.why} {worded(self.rule.remedy.replace('SYMBOL', who))}"
        )

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "rule": self.rule.name,
            "dataset": self.rule.dataset,
            "severity": str(self.rule.severity),
            "passed": self.passed,
            "examined": self.examined,
            "failed": self.failed,
            "symbols": list(self.symbols),
            "why": self.rule.why,
            "remedy": worded(self.rule.remedy),
            "rows": self.rows.to_pylist(),
        }


@dataclass(frozen=True)
class ValidationReport:
    """The answers of a validation at `checked_at` (UTC), in the order of the rules."""

    checked_at: datetime
    scope: Scope
    results: tuple[RuleResult, ...]

    def failing(self, severity: Severity | None = None) -> tuple[RuleResult, ...]:
        """The rules that some row violates, of one severity or of both."""
        return tuple(r for r in self.results if not r.passed and (severity is None or r.rule.severity is severity))

    @property
    def passed(self) -> bool:
        """Whether no ERROR rule fails; warnings do not count."""
        return not self.failing(Severity.ERROR)

    def result(self, name: str) -> RuleResult:
        """The answer of the rule of that name; `KeyError` if it was not run."""
        return {result.rule.name: result for result in self.results}[name]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "checked_at": self.checked_at,
            "symbols": list(self.scope.symbols) if self.scope.symbols is not None else None,
            "first": self.scope.first,
            "last": self.scope.last,
            "passed": self.passed,
            "errors": len(self.failing(Severity.ERROR)),
            "warnings": len(self.failing(Severity.WARN)),
            "rules": [result.as_dict() for result in self.results],
        }


@dataclass(frozen=True)
class _Answer:
    result: RuleResult
    findings: tuple[Finding, ...] = ()
    held: tuple[dict[str, Any], ...] = ()


def validate(
    settings: Settings,
    scope: Scope = EVERYTHING,
    *,
    datasets: Collection[str] | None = None,
    rules: Iterable[Rule] | None = None,
    record: bool = True,
) -> ValidationReport:
    """Run the rules (of `datasets`; None: all) over the scope, each once, at the instant of the settings' clock.

    With `record` their findings take the place of the older ones within the scope, and bars that a rule holds for
    review become pending; in a folder without a lake nothing is recorded. Reads the lake only; needs no broker. Raises
    `ValueError` for a dataset that does not exist, `ExtensionFailed` for an added rule whose SQL is wrong.
    """
    chosen = _chosen(rules, checked_datasets(datasets, allowed=DATASETS))
    now, in_memory = settings.clock(), lake_rows(settings.data_dir) <= IN_MEMORY

    def run(connection: duckdb.DuckDBPyConnection) -> list[_Answer]:
        create_views(
            connection,
            settings,
            scope,
            " ".join(f"{rule.source} {rule.violation}" for rule in chosen),
            in_memory=in_memory,
        )
        by_source: dict[tuple[str, bool], list[Rule]] = {}
        for rule in chosen:
            by_source.setdefault((rule.source, rule.of_now), []).append(rule)
        found = {
            answer.result.rule.name: answer
            for group in by_source.values()
            for answer in _answers(connection, group, scope, now)
        }
        return [found[rule.name] for rule in chosen]

    try:
        answers = steadily(settings.data_dir, run)
    except duckdb.ProgrammingError as error:
        own = [rule.name for rule in chosen if rule not in RULES]
        if not own:
            raise
        raise ExtensionFailed(f"The SQL of a rule that was added ({', '.join(own)}) is wrong: {error}") from error
    if record and holds_lake(settings.data_dir):
        _record(settings, scope, answers, now)
    return ValidationReport(now, scope, tuple(answer.result for answer in answers))


def blocked(
    settings: Settings,
    datasets: Collection[str],
    symbols: Collection[str],
    *,
    first: date | None = None,
    last: date | None = None,
) -> dict[str, str]:
    """Symbols on whose data nothing may be built now, each with a sentence that says why and what to do.

    Only the rules that block are run, of those datasets and symbols: over the newest snapshot of snapshot datasets,
    over the sessions `first` to `last` of bars. Nothing is recorded.
    """
    if not symbols:
        return {}
    chosen = checked_datasets(datasets, allowed=DATASETS) or ()
    rules = [rule for rule in known_rules() if rule.blocks and rule.dataset in chosen]
    report = validate(settings, Scope(tuple(sorted(set(symbols))), first, last, newest=True), rules=rules, record=False)
    reasons: dict[str, list[Rule]] = {}
    for result in report.failing():
        for symbol in result.symbols:
            reasons.setdefault(symbol, []).append(result.rule)
    return {symbol: _blocking(symbol, broken) for symbol, broken in sorted(reasons.items())}


def _blocking(symbol: str, broken: Sequence[Rule]) -> str:
    first = broken[0]
    others = (
        f" {len(broken) - 1} more rule(s) fail: trading-assets validate {typed(symbol)}." if len(broken) > 1 else ""
    )
    return (
        f"{symbol}: {first.dataset} violates {first.name}, so nothing was requested for it. {first.why}"
        f" {first.remedy.replace('SYMBOL', typed(symbol))}{others}"
    )


def _chosen(rules: Iterable[Rule] | None, datasets: Collection[str] | None) -> list[Rule]:
    return [
        rule for rule in (known_rules() if rules is None else rules) if datasets is None or rule.dataset in datasets
    ]


def _answers(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], scope: Scope, now: datetime
) -> list[_Answer]:
    """The answers of rules over the same rows: one scan for all counts, and one for each that fails."""
    within = "true" if rules[0].of_now or rules[0].dataset in scope.newest_only else scope.sessions_sql()
    examined = f"(select * from ({rules[0].source}) where {within})"
    counts = ", ".join(f"count(*) filter (where {rule.violation})" for rule in rules)
    row = connection.execute(f"select count(*), {counts} from {examined}").fetchone()
    assert row is not None, "a count always gives a row"
    total, *failures = row
    return [
        (
            _failing(connection, rule, examined, total, failed, now)
            if failed
            else _Answer(RuleResult(rule, total, 0, (), _nothing(rule)))
        )
        for rule, failed in zip(rules, failures, strict=True)
    ]


def _failing(
    connection: duckdb.DuckDBPyConnection, rule: Rule, examined: str, total: int, failed: int, now: datetime
) -> _Answer:
    shown = ", ".join(f'"{name}"' for name in ("symbol", "session", *rule.shows))
    connection.execute(
        f"create or replace temp table violations as select {shown} from {examined} where {rule.violation}"
    )
    symbols = connection.sql("select distinct symbol from violations order by symbol").fetchall()
    rows = connection.sql(f"select * from violations order by all limit {ROWS_SHOWN}").to_arrow_table()
    case = ", ".join(f'"{name}" := "{name}"' for name in rule.shows)
    kept = connection.sql(
        f"""select symbol, session, count(*) as failed, first(struct_pack({case})) as example from violations
            group by symbol, session order by session desc, symbol limit {STORED_FINDINGS}"""
    ).to_arrow_table()
    findings = tuple(
        Finding(
            rule.name, rule.dataset, rule.severity, row["symbol"], row["session"], row["failed"], row["example"], now
        )
        for row in kept.to_pylist()
    )
    held = (
        connection.sql("from violations order by session desc, symbol").to_arrow_table().to_pylist()
        if rule.reviewed
        else []
    )
    return _Answer(
        RuleResult(rule, total, failed, tuple(row[0] for row in symbols), rows), findings, tuple(held[:STORED_FINDINGS])
    )


def _nothing(rule: Rule) -> pa.Table:
    return pa.table({name: pa.array([], pa.null()) for name in ("symbol", "session", *rule.shows)})


def _record(settings: Settings, scope: Scope, answers: Sequence[_Answer], now: datetime) -> None:
    Findings(settings.state_url).replace(
        [(answer.result.rule, answer.result.examined, answer.result.failed) for answer in answers],
        [finding for answer in answers for finding in answer.findings],
        symbols=scope.symbols,
        first=scope.first,
        last=scope.last,
        now=now,
    )
    for answer in answers:
        if answer.held:
            Reviews(settings).hold(answer.result.rule.name, answer.held, now=now)
