"""Alerts: each issue is sent once to the channels that the user chose.

    issues (monitoring.watch)  --Alerts.reconcile-->  alerts + messages to send (one transaction)
    messages to send             --deliver---------->   channels (monitoring.channels)

`kinds` says which alerts exist, `routing` which channels receive them, `book` which are open, `texts` how they are
worded, `outbox` and `delivery` how the words get out. What does not belong here: finding issues (`monitoring.watch`),
how a service is reached (`monitoring.channels`).
"""

from trading_assets.monitoring.alerts.book import Alert, Alerts
from trading_assets.monitoring.alerts.delivery import Delivered, deliver
from trading_assets.monitoring.alerts.kinds import AlertSeverity, AlertType, Issue
from trading_assets.monitoring.alerts.reconcile import Changes
from trading_assets.monitoring.alerts.routing import AlertRule, AlertRules

__all__ = [
    "Alert",
    "AlertRule",
    "AlertRules",
    "AlertSeverity",
    "AlertType",
    "Alerts",
    "Changes",
    "Delivered",
    "Issue",
    "deliver",
]
