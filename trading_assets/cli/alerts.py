"""Commands for alerts and quality: `alerts` (list, acknowledge, silence, rules, test a channel) and `quality`. None
asks a broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.arguments import ALERT_HOURS
from trading_assets.cli.output import Failed, as_json, console, note_to, say, table_of, write_picture
from trading_assets.cli.values import Json, checked
from trading_assets.errors import ExtraMissing
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.monitoring.alerts import Alert, AlertType
    from trading_assets.monitoring.quality import QualityReport

By = Annotated[str, typer.Option(help="Who says so.")]

LARGEST_ID_DIGITS = 15
"""Digits of an alert's id at most; databases hold 18."""

COLUMNS = ["id", "severity", "alert_type", "subject", "reason", "opened_at", "state"]


def _target(text: str) -> tuple[AlertType, str | None]:
    """`TYPE` or `TYPE:SUBJECT`."""
    from trading_assets.monitoring.alerts.kinds import parse_type

    kind, colon, subject = text.partition(":")
    return parse_type(kind), subject if colon else None


def _wanted(text: str) -> int | tuple[AlertType, str | None]:
    """An alert's id, or what `_target` gives."""
    return int(text) if text.isdecimal() else _target(text)


def _severity(text: str) -> None:
    from trading_assets.monitoring.alerts.kinds import parse_severity, parse_type

    parse_severity(text, parse_type("run_failed"))


alerts_app = typer.Typer(help="Open alerts, who receives them, and silences.", invoke_without_command=True)
rules_app = typer.Typer(help="Which alert goes to which channel.", no_args_is_help=True)
alerts_app.add_typer(rules_app, name="rules")


@alerts_app.callback()
def without_command(context: typer.Context, as_document: Json = False) -> int:
    """Open alerts, who receives them, and silences. Without a command: the open alerts."""
    return list_alerts(as_document=as_document) if context.invoked_subcommand is None else 0


@alerts_app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_document: Json = False,
) -> int:
    """Open alerts, the gravest first. Exit code 1 when an open one is critical and nobody has acknowledged it."""
    from trading_assets.monitoring.alerts import Alerts, AlertSeverity

    book = Alerts(Settings())
    opened = book.open()
    shown = book.history() if everything else opened
    if as_document:
        as_json([alert.as_dict() for alert in shown])
    elif not shown:
        console.print("No alert is open." if not everything else "There has never been an alert.")
    else:
        console.print(table_of([_row(alert) for alert in shown], COLUMNS))
        for remedy in dict.fromkeys(alert.remedy for alert in shown if alert.cleared_at is None):
            say(f"What to do: {remedy}")
    return (
        1 if any(alert.severity is AlertSeverity.CRITICAL and alert.acknowledged_at is None for alert in opened) else 0
    )


@alerts_app.command("ack")
def acknowledge(
    target: Annotated[
        str,
        typer.Argument(
            metavar="ID|TYPE[:SUBJECT]", callback=checked(_wanted), help="An alert's id, or a type of alert."
        ),
    ],
    by: By = "operator",
) -> int:
    """Take notice of open alerts: no more reminders, only that they cleared."""
    from trading_assets.monitoring.alerts import Alerts

    settings = Settings()
    too_large = target.isdecimal() and len(target) > LARGEST_ID_DIGITS
    taken = [] if too_large else Alerts(settings).acknowledge(_wanted(target), by=by, now=settings.clock())
    if not taken:
        raise Failed(f"No open alert is {target}: trading-assets alerts list shows them.")
    for alert in taken:
        console.print(f"Acknowledged {alert.id}: {alert.alert_type} {alert.subject}".rstrip(), markup=False)
    return 0


@alerts_app.command()
def silence(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TYPE[:SUBJECT]", callback=checked(_target), help="A type of alert, or one symbol of it."
        ),
    ],
    hours: Annotated[
        float, typer.Option(min=0.0, max=ALERT_HOURS.most, metavar="HOURS", help="How long; 0 ends a silence.")
    ],
    by: By = "operator",
) -> int:
    """Send nothing of a type, or of one symbol of it, for some hours, also of alerts that open later."""
    from trading_assets.monitoring.alerts import Alerts

    settings = Settings()
    kind, subject = _target(target)
    until = settings.clock() + timedelta(hours=hours)
    Alerts(settings).silence(kind, subject, until=until, by=by)
    console.print(
        (
            f"Nothing is sent of {target} until {until:%Y-%m-%d %H:%M} UTC."
            if hours
            else f"{target} is no longer silenced."
        ),
        markup=False,
    )
    return 0


@rules_app.command("list")
def list_rules(as_document: Json = False) -> int:
    """Which alert goes to which channel, and the channels there are."""
    from trading_assets.monitoring.alerts import AlertRules
    from trading_assets.monitoring.channels import known_channels

    settings = Settings()
    known = known_channels(settings)
    rows = [{**rule.as_dict(), "known": rule.notification_channel in known} for rule in AlertRules(settings).all()]
    if as_document:
        as_json({"rules": rows, "channels": list(known), "remind_hours": settings.alert_remind_hours})
        return 0
    console.print(table_of(rows, ["alert_type", "severity", "channel", "remind_hours"]))
    console.print(
        f"Channels: {', '.join(known)}. Reminders after {settings.alert_remind_hours:g} hours unless a rule says else.",
        markup=False,
    )
    for name in dict.fromkeys(row["channel"] for row in rows if not row["known"]):
        note_to(f"Channel {name} is not in the setting alert_channels: its messages wait.")
    return 0


@rules_app.command("add")
def add_rule(
    alert_type: Annotated[str, typer.Argument(callback=checked(_target), help="Type of alert.")],
    channel: Annotated[str, typer.Argument(help="Name of a channel of the settings, or log. Never a URL.")],
    severity: Annotated[
        str | None,
        typer.Option(callback=checked(_severity), help="critical, warning or info; none: the type's own."),
    ] = None,
    remind_hours: Annotated[
        float | None,
        typer.Option(
            **ALERT_HOURS.option,
            metavar="HOURS",
            help="Told again after this; none: the setting alert_remind_hours.",
        ),
    ] = None,
) -> int:
    """Send a type of alert to a channel. A rule of the same type and channel is replaced."""
    from trading_assets.monitoring.alerts import AlertRule, AlertRules
    from trading_assets.monitoring.alerts.kinds import parse_severity, parse_type
    from trading_assets.monitoring.channels import known_channels

    settings = Settings()
    kind = parse_type(alert_type)
    wait = timedelta(hours=remind_hours) if remind_hours is not None else None
    AlertRules(settings).add(AlertRule(kind, parse_severity(severity, kind), channel, wait))
    console.print(f"Alerts of type {kind} go to {channel}.", markup=False)
    if channel not in known_channels(settings):
        note_to(f"Channel {channel} is not in the setting alert_channels yet: its messages wait until it is.")
    return 0


@rules_app.command("remove")
def remove_rule(
    alert_type: Annotated[str, typer.Argument(callback=checked(_target), help="Type of alert.")],
    channel: Annotated[str, typer.Argument(help="Name of the channel.")],
) -> int:
    """Remove a rule; a type without any goes to the log."""
    from trading_assets.monitoring.alerts import AlertRules
    from trading_assets.monitoring.alerts.kinds import parse_type

    if not AlertRules(Settings()).remove(parse_type(alert_type), channel):
        raise Failed(
            f"There is no rule that sends {alert_type} to {channel}: trading-assets alerts rules list shows them."
        )
    console.print(f"Alerts of type {alert_type} no longer go to {channel}.", markup=False)
    return 0


@alerts_app.command("test")
def send_test(channel: Annotated[str, typer.Argument(help="Name of a channel of the settings, or log.")]) -> int:
    """Send a test message to a channel and say whether it was taken."""
    from trading_assets.errors import ChannelFailed
    from trading_assets.monitoring.alerts import AlertSeverity
    from trading_assets.monitoring.channels import send

    try:
        send(
            Settings(),
            channel,
            "[test] trading-assets",
            "This is a test message. Nothing is wrong and nothing is to be done.",
            AlertSeverity.INFO,
        )
    except ChannelFailed as error:
        raise Failed(str(error)) from None
    console.print(f"Channel {channel} has taken the message.", markup=False)
    return 0


def quality(
    picture: Annotated[Path | None, typer.Option(help="Draw the measures over time into this PNG file.")] = None,
    record: Annotated[bool, typer.Option(help="Keep findings and measures.")] = True,
    as_document: Json = False,
) -> int:
    """The quality report: rules, coverage and issues. Exit code 1 on critical issues."""
    from trading_assets.arguments import output_file
    from trading_assets.monitoring.quality import DataQualityMonitor, log_quality_metrics

    monitor = DataQualityMonitor()
    if picture is not None:
        picture = output_file(picture, monitor.settings.data_dir, "--picture")
        try:
            from trading_assets.monitoring.pictures import metrics_png
        except ExtraMissing as missing:
            raise Failed(str(missing)) from missing
    report = monitor.generate_quality_report(record=record)
    if record:
        log_quality_metrics(report)
    if picture is not None:
        from trading_assets.monitoring.metrics import metric_history

        write_picture(picture, metrics_png(metric_history(monitor.settings.data_dir)))
    if as_document:
        as_json(report)
    else:
        _print_quality(report)
    return 1 if report.has_critical_issues() else 0


def _print_quality(report: QualityReport) -> None:
    passed = sum(result.passed for result in report.results)
    empty = f" ({len(report.unexamined)} of them had nothing to examine)" if report.unexamined else ""
    rules = f"{passed} of {len(report.results)} rules hold{empty}"
    say(f"Sessions {report.first} to {report.last}: {rules}, {len(report.issues)} issues.")
    rows = [
        {
            "rule": result.rule.name,
            "dataset": result.rule.dataset,
            "severity": result.rule.severity.value,
            "failed": result.failed,
            "examined": result.examined,
            "symbols": ", ".join(result.symbols[:5]),
        }
        for result in report.failing()
    ]
    if rows:
        console.print(table_of(rows, ["rule", "dataset", "severity", "failed", "examined", "symbols"]))
    counts = [{"dataset": dataset, **by_condition} for dataset, by_condition in report.as_dict()["conditions"].items()]
    if counts:
        console.print(table_of(counts, list(dict.fromkeys(name for row in counts for name in row))))
    for issue in report.issues:
        say(f"{issue.alert_type} {issue.subject}: {issue.reason} {issue.advice}")


def _row(alert: Alert) -> dict[str, Any]:
    if alert.cleared_at is not None:
        state = f"cleared {alert.cleared_at:%Y-%m-%d %H:%M}"
    elif alert.acknowledged_at is not None:
        state = f"acknowledged by {alert.acknowledged_by}"
    else:
        state = f"silenced until {alert.silenced_until:%Y-%m-%d %H:%M}" if alert.silenced_until else "open"
    return {**alert.as_dict(), "state": state}
