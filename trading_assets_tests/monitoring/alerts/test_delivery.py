"""Messages reach a real webhook and a real mail server, a failing channel is tried again, and no secret is seen."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from trading_assets.monitoring.alerts import AlertRule, AlertRules, Alerts, AlertSeverity, AlertType, Issue, deliver
from trading_assets.monitoring.alerts.alert_tables import alert_messages
from trading_assets.monitoring.alerts.delivery import FIRST_RETRY, GIVE_UP_AFTER, LONGEST_RETRY, _Sender
from trading_assets.settings import Settings
from trading_assets.state import connect_state, database_now, read_transaction
from trading_assets.state.owners import OWNER_TIMEOUT
from trading_assets.state.tables import owners
from trading_assets_tests.monitoring.alerts.receivers import SECRET, Webhook, mail_server

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
MISSING = AlertType.MISSING_EQUITY_DATA
TROUBLE = Issue(MISSING, "AAPL", "The equity bars of 2024-05-31 are not complete.", details={"broker code": 162})


def rule(settings: Settings, channel: str = "desk", kind: AlertType = MISSING) -> None:
    AlertRules(settings).add(AlertRule(kind, AlertSeverity.CRITICAL, channel))


def reconcile(settings: Settings, *issues: Issue, at: datetime = NOW) -> None:
    Alerts(settings).reconcile(issues, types=[MISSING], now=at)


def everything_stored(settings: Settings) -> str:
    with read_transaction(connect_state(settings.state_url)) as connection:
        tables = [name for name in sa.inspect(connection).get_table_names() if name.startswith("alert")]
        return "".join(str(connection.execute(sa.text(f"select * from {name}")).all()) for name in tables)


def test_the_webhook_is_told_once_of_the_opening_the_reminder_and_the_end(settings: Settings, webhook: Webhook) -> None:
    rule(settings)
    for hours in (0, 1, 24, 25):
        reconcile(settings, TROUBLE, at=NOW + hours * HOUR)
        deliver(settings, NOW + hours * HOUR)
        deliver(settings, NOW + hours * HOUR)
    reconcile(settings, at=NOW + 26 * HOUR)
    deliver(settings, NOW + 26 * HOUR)
    name = "missing_equity_data AAPL"
    assert webhook.titles == [f"[critical] {name}", f"[critical, still open] {name}", f"[cleared] {name}"]
    first, second, third = (document["message"] for document in webhook.taken)
    assert all(part in first for part in ("AAPL", TROUBLE.reason, f"What to do: {TROUBLE.advice}", "broker code: 162"))
    assert "Open since 2024-06-03 16:30 New York" in second
    assert "no longer holds" in third and "What to do" not in third


def test_a_mail_arrives_with_symbol_reason_and_remedy(settings: Settings) -> None:
    with mail_server() as (url, mails):
        mailing = settings.model_copy(update={"alert_channels": {"mail": url}})
        rule(mailing, "mail")
        reconcile(mailing, TROUBLE)
        assert deliver(mailing, NOW).sent == 1
        (mail,) = mails
        assert mail["Subject"] == "[critical] missing_equity_data AAPL" and "desk@example.com" in mail["To"]
        part = mail.get_body(preferencelist=("plain", "html"))
        assert part is not None
        text = " ".join(part.get_content().split())
        assert TROUBLE.reason in text and TROUBLE.advice in text


def test_a_channel_that_fails_is_tried_again_later_and_told_once(settings: Settings, webhook: Webhook) -> None:
    rule(settings)
    rule(settings, "log")
    reconcile(settings, TROUBLE)
    webhook.status = 500
    first = deliver(settings, NOW)
    assert (first.sent, first.failed, first.errors) == (
        1,
        1,
        ["Channel 'desk' answered with HTTP status 500."],
    ), "the log is not kept from working"
    assert deliver(settings, NOW).failed == 0, "not before its time"
    webhook.status = 200
    later = NOW + timedelta(seconds=FIRST_RETRY)
    assert deliver(settings, later).sent == 1 and deliver(settings, later + HOUR).sent == 0
    assert webhook.titles == ["[critical] missing_equity_data AAPL"] and len(webhook.arrived) == 2


def test_a_message_of_a_machine_that_died_is_sent_when_its_heart_has_stopped(
    settings: Settings, webhook: Webhook
) -> None:
    rule(settings)
    reconcile(settings, TROUBLE)
    engine = connect_state(settings.state_url)

    def heard_of(seconds_ago: float) -> None:
        with engine.begin() as connection:
            there = {"host": "another#0123456789.pid", "heartbeat": database_now(connection) - seconds_ago}
            connection.execute(owners.update().values(**there))

    with _Sender(settings, NOW.timestamp()) as dead:
        assert dead.claim(set()) is not None
        heard_of(OWNER_TIMEOUT / 2)
        assert deliver(settings, NOW).sent == 0, "it may be sending it"
        heard_of(OWNER_TIMEOUT)
        assert deliver(settings, NOW).sent == 1
    assert webhook.titles == ["[critical] missing_equity_data AAPL"]
    with read_transaction(engine) as connection:
        assert connection.execute(sa.select(owners)).all() == []


def test_nobody_listens_and_the_end_is_told_after_the_beginning(settings: Settings, webhook: Webhook) -> None:
    down = settings.model_copy(update={"alert_channels": {"desk": f"json://x:{SECRET}@127.0.0.1:1"}})
    rule(settings)
    reconcile(settings, TROUBLE)
    assert deliver(down, NOW).errors == ["Channel 'desk' did not answer or did not take the message."]
    reconcile(settings, at=NOW + timedelta(seconds=1))
    assert deliver(settings, NOW + timedelta(seconds=1)).sent == 0, "the end waits for the beginning"
    deliver(settings, NOW + HOUR)
    assert webhook.titles == ["[critical] missing_equity_data AAPL", "[cleared] missing_equity_data AAPL"]


def test_waits_grow_to_half_an_hour_and_end_after_three_days_with_a_reminder(
    settings: Settings, webhook: Webhook
) -> None:
    rule(settings)
    webhook.status = 503
    at, tried = NOW, list[datetime]()
    reconcile(settings, TROUBLE)
    while at < NOW + 6 * HOUR:
        if deliver(settings, at).failed:
            tried.append(at)
        at += timedelta(seconds=FIRST_RETRY)
    waits = [(b - a).total_seconds() for a, b in pairwise(tried)]
    assert waits == sorted(waits) and waits[0] == FIRST_RETRY and waits[-1] == LONGEST_RETRY
    late = NOW + timedelta(seconds=GIVE_UP_AFTER + 1)
    webhook.status = 200
    assert deliver(settings, late).abandoned == 1 and webhook.titles == []
    reconcile(settings, TROUBLE, at=late)
    assert deliver(settings, late).sent == 1 and webhook.titles == ["[critical, still open] missing_equity_data AAPL"]


def test_a_channel_nobody_knows_is_named_and_used_when_it_appears(settings: Settings, webhook: Webhook) -> None:
    rule(settings, "pager")
    reconcile(settings, TROUBLE)
    assert deliver(settings, NOW).sent == 0
    assert "There is no channel 'pager'" in everything_stored(settings)
    known = settings.model_copy(update={"alert_channels": {"pager": webhook.url}})
    assert deliver(known, NOW).sent == 1 and len(webhook.taken) == 1


def test_a_refused_message_of_another_alert_does_not_stop_the_next_delivery(
    settings: Settings, webhook: Webhook
) -> None:
    rule(settings)
    webhook.status = 500
    reconcile(settings, TROUBLE)
    deliver(settings, NOW)
    webhook.status = 200
    reconcile(settings, TROUBLE, Issue(MISSING, "IBM", "Gone."), at=NOW + timedelta(seconds=1))
    deliver(settings, NOW + timedelta(seconds=1))
    assert webhook.titles == ["[critical] missing_equity_data IBM"]


@pytest.mark.parametrize("ending", ["refuses", "silent", "taken", "not a service"])
def test_the_secret_is_seen_nowhere(
    settings: Settings, webhook: Webhook, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.status = 500 if ending == "refuses" else 200
    if ending == "silent":
        settings = settings.model_copy(update={"alert_channels": {"desk": f"json://x:{SECRET}@127.0.0.1:1/{SECRET}"}})
    if ending == "not a service":
        settings = settings.model_copy(update={"alert_channels": {"desk": f"nonsense://{SECRET}"}})
    rule(settings)
    reconcile(settings, TROUBLE)
    delivered = deliver(settings, NOW)
    assert delivered.sent == (ending == "taken")
    assert SECRET not in caplog.text and SECRET not in str(delivered) and SECRET not in everything_stored(settings)
    assert SECRET not in repr(settings) and SECRET not in str(settings)
    assert not any(
        record.name.startswith(("apprise", "urllib3")) for record in caplog.records if record.levelno >= logging.WARNING
    )


def test_the_log_names_symbol_reason_and_remedy(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    reconcile(settings, TROUBLE)
    assert deliver(settings, NOW).sent == 1
    (record,) = [record for record in caplog.records if record.name == "trading_assets.alerts"]
    assert record.levelno == logging.WARNING
    assert all(
        part in record.getMessage() for part in ("[critical] missing_equity_data AAPL", TROUBLE.reason, TROUBLE.advice)
    )


def test_reminders_count_from_when_somebody_could_read(settings: Settings, webhook: Webhook) -> None:
    rule(settings)
    webhook.status = 500
    reconcile(settings, TROUBLE)
    deliver(settings, NOW)
    webhook.status = 200
    deliver(settings, NOW + 10 * HOUR)
    with read_transaction(connect_state(settings.state_url)) as connection:
        assert connection.execute(sa.select(alert_messages.c.attempts)).scalar_one() == 2
    assert not Alerts(settings).reconcile([TROUBLE], types=[MISSING], now=NOW + 25 * HOUR)
    assert Alerts(settings).reconcile([TROUBLE], types=[MISSING], now=NOW + 34 * HOUR).reminded
