"""Killed processes and several at once: nothing is missed, and told twice only where that cannot be helped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from trading_assets.monitoring.alerts import AlertRule, AlertRules, Alerts, AlertSeverity, deliver
from trading_assets.settings import Settings
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.monitoring.alerts.receivers import Webhook
from trading_assets_tests.monitoring.alerts.sender import TROUBLE
from trading_assets_tests.observing import eventually

pytestmark = pytest.mark.slow

TITLE = "[critical] missing_equity_data AAPL"


@pytest.fixture(autouse=True)
def to_the_desk(settings: Settings) -> None:
    AlertRules(settings).add(AlertRule(TROUBLE.alert_type, AlertSeverity.CRITICAL, "desk"))


def process(settings: Settings, what: str) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")}
    environment = {**inherited, **settings.environment(), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-m", "trading_assets_tests.monitoring.alerts.sender", what], env=environment, cwd=REPOSITORY
    )


def test_killed_between_the_change_and_its_telling(settings: Settings, webhook: Webhook) -> None:
    assert process(settings, "reconcile").wait(300) == -signal.SIGKILL
    assert webhook.arrived == []
    # The next one finds the alert open already, and its message waiting.
    assert not Alerts(settings).reconcile([TROUBLE], types=[TROUBLE.alert_type], now=settings.clock())
    assert deliver(settings).sent == 1 and deliver(settings).sent == 0
    assert webhook.titles == [TITLE]


def test_killed_while_the_channel_has_not_answered(settings: Settings, webhook: Webhook) -> None:
    webhook.gate.clear()
    sender = process(settings, "both")
    eventually(lambda: webhook.arrived)
    assert deliver(settings).sent == 0, "a living process is sending it"
    sender.kill()
    assert sender.wait(300) == -signal.SIGKILL
    webhook.gate.set()
    assert deliver(settings).sent == 1, "its sender is dead: free at once"
    assert deliver(settings).sent == 0
    # The webhook got it, its sender died before it could note that: the one case in which a message comes twice, with
    # one number.
    assert {document["title"] for document in webhook.arrived} == {TITLE}
    assert len({document["message"] for document in webhook.arrived}) == 1 and len(webhook.arrived) == 2


def test_several_processes_at_once_tell_once(settings: Settings, webhook: Webhook) -> None:
    crew = [process(settings, "both") for _ in range(3)]
    assert [member.wait(300) for member in crew] == [0, 0, 0]
    assert webhook.titles == [TITLE]
    assert len(Alerts(settings).history()) == 1


def test_several_threads_at_once_tell_once(settings: Settings, webhook: Webhook) -> None:
    together = threading.Barrier(6)

    def work() -> None:
        together.wait()
        Alerts(settings).reconcile([TROUBLE], types=[TROUBLE.alert_type], now=settings.clock())
        deliver(settings)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    deliver(settings)
    assert webhook.titles == [TITLE]
    assert len(Alerts(settings).history()) == 1
