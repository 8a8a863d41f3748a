"""The present truth of validation in the state database: what violates which rule now, and when each rule was last run.

A validation replaces the findings of the rules it ran, within its scope, in one transaction; the others stay. What does
not belong here: running rules (`validation.engine`), alerts about findings (`monitoring`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.state import metadata
from trading_assets.state.records import StateRecords
from trading_assets.validation.rule import Rule, Severity

STORED_FINDINGS = 1_000
"""Most symbol-sessions kept of one rule and validation, the newest: more is one cause, and `rule_runs` has the whole
count."""

findings_table = sa.Table(
    "findings",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("session", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("example", sa.Text, nullable=False),
    sa.Column("found_at", sa.Text, nullable=False),
)

rule_runs_table = sa.Table(
    "rule_runs",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("checked_at", sa.Text, nullable=False),
    sa.Column("examined", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Violations of one rule by one symbol in one session. `failed` counts rows, `example` shows one of them,
    `found_at` is UTC."""

    rule: str
    dataset: str
    severity: Severity
    symbol: str
    session: date
    failed: int
    example: dict[str, Any]
    found_at: datetime


@dataclass(frozen=True, slots=True)
class RuleRun:
    """The last run of a rule: when (UTC), and how many rows it examined and found violating, in the scope it had
    then."""

    rule: str
    checked_at: datetime
    examined: int
    failed: int


class Findings(StateRecords):
    """The findings in the state database at `url`."""

    def current(
        self,
        *,
        severity: Severity | str | None = None,
        datasets: Collection[str] | None = None,
        symbols: Collection[str] | None = None,
    ) -> list[Finding]:
        """What violates rules now, by dataset, rule, symbol and session; None does not restrict."""
        table = findings_table.c
        query = sa.select(findings_table).order_by(table.dataset, table.rule, table.symbol, table.session)
        if severity is not None:
            query = query.where(table.severity == str(severity))
        if datasets is not None:
            query = query.where(table.dataset.in_(list(datasets)))
        if symbols is not None:
            query = query.where(table.symbol.in_(list(symbols)))
        return [_finding(row) for row in self._rows(query)]

    def runs(self) -> dict[str, RuleRun]:
        """The last run of each rule, by its name."""
        return {
            row.rule: RuleRun(row.rule, datetime.fromisoformat(row.checked_at), row.examined, row.failed)
            for row in self._rows(sa.select(rule_runs_table))
        }

    def replace(
        self,
        ran: Sequence[tuple[Rule, int, int]],
        found: Iterable[Finding],
        *,
        symbols: Collection[str] | None,
        first: date | None,
        last: date | None,
        now: datetime,
    ) -> None:
        """Put `found` in the place of all findings of the rules that `ran` (with rows examined and failed) within
        symbols and sessions.

        Findings of a rule about the present instant are replaced whatever their session.
        """
        with self._writing() as connection:
            for of_now in (False, True):
                names = [rule.name for rule, _, _ in ran if rule.of_now is of_now]
                sessions = (None, None) if of_now else (first, last)
                connection.execute(sa.delete(findings_table).where(*_within(names, symbols, *sessions)))
            runs = [
                {"rule": rule.name, "checked_at": now.isoformat(), "examined": examined, "failed": failed}
                for rule, examined, failed in ran
            ]
            connection.execute(
                sa.delete(rule_runs_table).where(rule_runs_table.c.rule.in_([run["rule"] for run in runs]))
            )
            if runs:
                connection.execute(rule_runs_table.insert(), runs)
            rows = [_row(finding) for finding in found]
            if rows:
                connection.execute(findings_table.insert(), rows)


def _within(
    rules: Collection[str], symbols: Collection[str] | None, first: date | None, last: date | None
) -> list[sa.ColumnElement[bool]]:
    table = findings_table.c
    where: list[sa.ColumnElement[bool]] = [table.rule.in_(list(rules))]
    if symbols is not None:
        where.append(table.symbol.in_(list(symbols)))
    if first is not None:
        where.append(table.session >= first.isoformat())
    if last is not None:
        where.append(table.session <= last.isoformat())
    return where


def _row(finding: Finding) -> dict[str, Any]:
    return {
        **asdict(finding),
        "session": finding.session.isoformat(),
        "severity": str(finding.severity),
        "example": json.dumps(finding.example, default=str),
        "found_at": finding.found_at.isoformat(),
    }


def _finding(row: sa.Row[Any]) -> Finding:
    values = {
        **row._mapping,
        "session": date.fromisoformat(row.session),
        "severity": Severity(row.severity),
        "example": json.loads(row.example),
        "found_at": datetime.fromisoformat(row.found_at),
    }
    return Finding(**values)
