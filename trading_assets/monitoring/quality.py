"""The quality report of the operational guide: rules, coverage and issues of the archive at one moment.

    monitor = DataQualityMonitor()
    report = monitor.generate_quality_report()
    if report.has_critical_issues():
        send_alert("Critical data quality issues detected", report)
    log_quality_metrics(report)

What does not belong here: the rules (`validation`), what is wrong (`monitoring.watch`), who is notified
(`monitoring.alerts`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.arguments import SESSIONS, holds_lake, lake_folder, new_lake_folder, stored_symbols
from trading_assets.arguments.symbols import Symbols
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.alerts import (
    AlertRule,
    AlertRules,
    Alerts,
    AlertSeverity,
    AlertType,
    Changes,
    Issue,
    deliver,
)
from trading_assets.monitoring.alerts.kinds import parse_severity, parse_type
from trading_assets.monitoring.alerts.routing import LOG_CHANNEL
from trading_assets.monitoring.metrics import Metric, measure, store_metrics
from trading_assets.monitoring.watch import WATCHED, current_issues
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.store import UpsertCounts
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation.engine import RuleResult, validate
from trading_assets.validation.rule import Severity
from trading_assets.validation.scope import Scope

logger = logging.getLogger("trading_assets.quality")


@dataclass(frozen=True)
class QualityReport:
    """The archive's quality at `measured_at` (UTC), over the sessions `first` to `last` (both included).

    `results` are the rules' answers; `conditions` counts sessions by dataset, bar size, symbol and condition;
    `issues` is what needs attention, `critical` those whose alert rule says so; `metrics` are the numbers kept over
    time.
    """

    measured_at: datetime
    session: date
    first: date
    last: date
    results: tuple[RuleResult, ...]
    conditions: tuple[dict[str, Any], ...]
    issues: tuple[Issue, ...]
    critical: tuple[Issue, ...]
    metrics: tuple[Metric, ...]
    settings: Settings = field(repr=False)
    whole: bool = True
    """Whether the report speaks of all symbols."""

    def failing(self, severity: Severity | None = None) -> tuple[RuleResult, ...]:
        """The rules that some row breaks, of one severity or of both."""
        return tuple(r for r in self.results if not r.passed and severity in (None, r.rule.severity))

    @property
    def unexamined(self) -> tuple[RuleResult, ...]:
        """The rules that found no row to look at. They count as passed: nothing violates them."""
        return tuple(result for result in self.results if not result.examined)

    def has_critical_issues(self) -> bool:
        """Whether a rule of severity ERROR is broken or an issue is critical."""
        return bool(self.failing(Severity.ERROR) or self.critical)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of conditions the counts over all symbols."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.conditions:
            of_dataset = counts.setdefault(row["dataset"], {})
            of_dataset[row["condition"]] = of_dataset.get(row["condition"], 0) + row["sessions"]
        return {
            "measured_at": self.measured_at,
            "session": self.session,
            "first": self.first,
            "last": self.last,
            "critical": self.has_critical_issues(),
            "rules": [result.as_dict() for result in self.results],
            "rules_without_rows": len(self.unexamined),
            "conditions": counts,
            "issues": [issue.as_dict() for issue in self.issues],
            "metrics": [metric.as_dict() for metric in self.metrics],
        }


class DataQualityMonitor:
    """Watches the archive of `settings`, or of the data folder `base_path`; by default that of the environment's
    settings."""

    def __init__(self, settings: Settings | None = None, base_path: Path | str | None = None) -> None:
        if settings is not None and base_path is not None:
            raise InvalidRequest("Give settings or base_path: the settings name the data folder already.")
        self._folder = base_path
        self.settings = settings or (
            Settings(data_dir=new_lake_folder(base_path)) if base_path is not None else Settings()  # type: ignore[call-arg]
        )

    def add_alert_rule(
        self,
        *,
        alert_type: AlertType | str,
        severity: AlertSeverity | str | None = None,
        notification_channel: str = LOG_CHANNEL,
        remind_after: timedelta | None = None,
    ) -> AlertRule:
        """Send alerts of a type to a channel, from now on and in every process (the daemon too).

        `severity` None is the type's default, `remind_after` None the setting `alert_remind_hours`. The rule takes the
        place of one of the same type and channel. Raises `ValueError` for an unknown type or severity. A channel need
        not be in the settings yet: its messages wait.
        """
        kind = parse_type(alert_type)
        rule = AlertRule(kind, parse_severity(severity, kind), notification_channel, remind_after)
        AlertRules(self.settings).add(rule)
        return rule

    def generate_quality_report(
        self, *, symbols: Symbols = None, sessions: int | None = None, record: bool = True
    ) -> QualityReport:
        """Validate the last `sessions` sessions (default: the setting `check_window_sessions`) of the symbols (default:
        all active).

        With `record` the findings of the rules are stored, so that checks, alerts and status speak of the same. Sends
        nothing to a broker.
        """
        given = stored_symbols(symbols, "symbols")
        settings, xnys = self.settings, calendar()
        count = settings.check_window_sessions if sessions is None else SESSIONS.whole(sessions, "sessions")
        if self._folder is not None:
            lake_folder(self._folder, "base_path")
        now = settings.clock()
        last = xnys.current(now)
        first = xnys.previous(last, count - 1)
        names = tuple(given if given is not None else Universe(settings.state_url).active())
        scope = Scope(symbols=names if given is not None else None, first=first, last=last)
        results = validate(settings, scope, record=record).results
        conditions = Lake.of(settings, now).count_conditions(names, first=first, last=last).to_pylist()
        found = tuple(
            issue for issue in current_issues(settings, now=now) if given is None or issue.subject in ("", *names)
        )
        severities = _severities(settings)
        return QualityReport(
            measured_at=now,
            session=last,
            first=first,
            last=last,
            results=tuple(results),
            conditions=tuple(conditions),
            issues=found,
            critical=tuple(issue for issue in found if severities[issue.alert_type] is AlertSeverity.CRITICAL),
            metrics=tuple(measure(conditions, results, len(found))),
            settings=settings,
            whole=given is None,
        )

    def log_quality_metrics(self, report: QualityReport) -> UpsertCounts:
        """Keep the report's metrics in the lake (`quality_metrics`)."""
        return log_quality_metrics(report)


def log_quality_metrics(report: QualityReport) -> UpsertCounts:
    """Keep the report's metrics in the lake (`quality_metrics`) and write one line to the log. Where there is no lake
    yet, none is made."""
    folder, counts = report.settings.data_dir, UpsertCounts()
    if holds_lake(folder):
        counts = store_metrics(folder, report.metrics, session=report.session, measured_at=report.measured_at)
    errors, warnings = len(report.failing(Severity.ERROR)), len(report.failing(Severity.WARN))
    logger.info(
        "Quality of %s: %d rules of ERROR and %d of WARN are broken, %d had nothing to examine, %d issues.",
        report.session,
        errors,
        warnings,
        len(report.unexamined),
        len(report.issues),
    )
    return counts


def send_alert(sentence: str, report: QualityReport) -> Changes:
    """Tell what is wrong in the report, in the channels of the rules, with the sentence above it.

    What was sent before is not sent again before its time: calling this every hour sends no message an hour.
    Raises `ValueError` for a report on some symbols only: what it does not name would count as over.
    """
    if not report.whole:
        raise InvalidRequest(
            "This report speaks of some symbols only; alerts need a report on all: generate_quality_report() without"
            " symbols."
        )
    changes = Alerts(report.settings).reconcile(report.issues, types=WATCHED, now=report.measured_at, headline=sentence)
    deliver(report.settings, report.measured_at)
    return changes


def _severities(settings: Settings) -> dict[AlertType, AlertSeverity]:
    """The gravest severity of each type's rules."""
    found: dict[AlertType, AlertSeverity] = {}
    for rule in AlertRules(settings).all():
        found[rule.alert_type] = min(
            found.get(rule.alert_type, rule.severity), rule.severity, key=lambda each: each.rank
        )
    return found
