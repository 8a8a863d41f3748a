"""The report of a maintenance as one message to the alert channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trading_assets.errors import ChannelFailed
from trading_assets.jobs.given import settings_of_lake
from trading_assets.jobs.maintenance.steps import MaintenanceReport
from trading_assets.monitoring.alerts.kinds import AlertSeverity
from trading_assets.monitoring.alerts.routing import LOG_CHANNEL
from trading_assets.monitoring.channels import send
from trading_assets.settings import Settings

FAILURES_SHOWN = 20
"""Failed symbols that a message names; `trading-assets validate` shows all."""


def send_maintenance_report(
    report: MaintenanceReport | Mapping[str, Any],
    base_path: Path | str | None = None,
    *,
    settings: Settings | None = None,
) -> list[str]:
    """Send the report as one message to each of the channels `Settings.maintenance_channels` (default: all of
    `alert_channels`, without any the log); the channels that took it.

    `report` is what `validate_all_data` or a maintenance returned. All channels are tried; raises `ChannelFailed` with
    the sentences of those that did not take the message, and `ValueError` for a report of another form.
    """
    chosen = settings_of_lake(base_path, settings)
    title, body, well = _message(report)
    severity = AlertSeverity.INFO if well else AlertSeverity.WARNING
    taken, refused = [], []
    for channel in chosen.maintenance_channels or tuple(chosen.alert_channels) or (LOG_CHANNEL,):
        try:
            send(chosen, channel, f"Trading Assets: {title}", body, severity)
        except ChannelFailed as error:
            refused.append(str(error))
        else:
            taken.append(channel)
    if refused:
        reached = f" The report was sent to {', '.join(taken)}." if taken else ""
        raise ChannelFailed(f"{' '.join(refused)}{reached}")
    return taken


def _message(report: MaintenanceReport | Mapping[str, Any]) -> tuple[str, str, bool]:
    if isinstance(report, MaintenanceReport):
        return report.title(), report.text(), report.success
    if not {"failures", "integrity_ok"} <= set(report):
        raise ValueError(
            "A maintenance report is what validate_all_data() or weekly_maintenance() returns: with `failures` and"
            " `integrity_ok`."
        )
    failures = list(report["failures"])
    lines = [f"{len(report['integrity_ok'])} symbols are valid."]
    lines += [f"{failure['symbol']}: {failure['error']}" for failure in failures[:FAILURES_SHOWN]]
    if len(failures) > FAILURES_SHOWN:
        lines.append(f"and {len(failures) - FAILURES_SHOWN} more: trading-assets validate shows all.")
    return f"validation, {len(failures)} symbols failed", "\n".join(lines), not failures
