"""Alerts open, are told again, clear: the book and what it puts into the outbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trading_assets.monitoring.alerts import AlertRule, AlertRules, Alerts, AlertSeverity, AlertType, Issue, deliver
from trading_assets.monitoring.alerts.alert_tables import alert_messages, alerts
from trading_assets.monitoring.alerts.kinds import KINDS
from trading_assets.monitoring.alerts.outbox import ALERTS_TOLD_SINGLY
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_transaction
from trading_assets_tests.conftest import REPOSITORY

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
MISSING = AlertType.MISSING_EQUITY_DATA


@pytest.fixture
def settings(tmp_path: Path, state_url: str) -> Settings:
    return Settings(data_dir=tmp_path, database_url=state_url, now=NOW)


def missing(symbol: str = "AAPL", reason: str = "The bars of 2024-05-31 are not complete.") -> Issue:
    return Issue(MISSING, symbol, reason)


def outbox(settings: Settings) -> list[tuple[str, str]]:
    """Event and title of every message, in the order they were put there."""
    with read_transaction(connect_state(settings.state_url)) as connection:
        rows = connection.execute(sa.select(alert_messages).order_by(alert_messages.c.id)).all()
    return [(row.event, row.title) for row in rows]


def events(settings: Settings) -> list[str]:
    return [event for event, _ in outbox(settings)]


def test_every_type_has_a_meaning_a_severity_and_a_remedy() -> None:
    assert set(KINDS) == set(AlertType)
    assert all(kind.meaning and kind.remedy.endswith(".") for kind in KINDS.values())
    assert missing("IBM").advice.startswith("Run `trading-assets update IBM`")


def test_an_alert_is_told_when_it_opens_after_the_time_to_remind_and_when_it_clears(settings: Settings) -> None:
    book = Alerts(settings)
    assert book.reconcile([missing()], types=[MISSING], now=NOW).opened == ((MISSING, "AAPL"),)
    deliver(settings, NOW)
    assert not book.reconcile([missing()], types=[MISSING], now=NOW + 23 * HOUR)
    assert book.reconcile([missing()], types=[MISSING], now=NOW + 24 * HOUR).reminded == ((MISSING, "AAPL"),)
    deliver(settings, NOW + 24 * HOUR)
    assert not book.reconcile([missing()], types=[MISSING], now=NOW + 25 * HOUR)
    assert book.reconcile([], types=[MISSING], now=NOW + 26 * HOUR).cleared == ((MISSING, "AAPL"),)
    assert not book.reconcile([], types=[MISSING], now=NOW + 27 * HOUR)
    assert events(settings) == ["opened", "reminder", "cleared"]
    assert book.open() == [] and book.history()[0].cleared_at == NOW + 26 * HOUR


def test_a_trouble_that_comes_back_is_a_new_alert(settings: Settings) -> None:
    book = Alerts(settings)
    for hours, issues in enumerate([[missing()], [], [missing()]]):
        book.reconcile(issues, types=[MISSING], now=NOW + hours * HOUR)
    assert events(settings) == ["opened", "cleared", "opened"]
    assert len(book.history()) == 2 and len(book.open()) == 1


def test_types_that_were_not_looked_at_stay_and_strange_ones_are_refused(settings: Settings) -> None:
    book = Alerts(settings)
    book.reconcile([missing()], types=[MISSING], now=NOW)
    assert not book.reconcile([], types=[AlertType.RUN_FAILED], now=NOW)
    with pytest.raises(ValueError, match="An issue of type missing_equity_data was given"):
        book.reconcile([missing()], types=[AlertType.RUN_FAILED], now=NOW)
    assert len(book.open()) == 1


def test_the_reason_is_kept_current_and_reasons_of_one_subject_are_one_alert(settings: Settings) -> None:
    book = Alerts(settings)
    book.reconcile([missing(reason="One."), missing(reason="Two.")], types=[MISSING], now=NOW)
    assert [alert.reason for alert in book.open()] == ["One. Two."]
    assert not book.reconcile([missing(reason="Three.")], types=[MISSING], now=NOW + HOUR)
    (alert,) = book.open()
    assert (alert.reason, alert.opened_at, alert.last_seen_at) == ("Three.", NOW, NOW + HOUR)


WHO = "Ann, " + "of the data desk, " * 10


def test_who_takes_notice_is_reminded_no_more_and_told_of_the_end(settings: Settings) -> None:
    book = Alerts(settings)
    book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW)
    assert [alert.subject for alert in book.acknowledge((MISSING, "AAPL"), by=WHO, now=NOW)] == ["AAPL"]
    assert book.acknowledge(99, by="Ann", now=NOW) == []
    deliver(settings, NOW)
    assert book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW + 30 * HOUR).reminded == (
        (MISSING, "IBM"),
    )
    book.reconcile([], types=[MISSING], now=NOW + 31 * HOUR)
    assert [title for event, title in outbox(settings) if event == "cleared"] == [
        "[cleared] missing_equity_data AAPL",
        "[cleared] missing_equity_data IBM",
    ]
    assert {alert.acknowledged_by for alert in book.history()} == {WHO, None}


def test_a_silence_holds_for_what_opens_in_it_and_its_end_tells_what_is_open(settings: Settings) -> None:
    book = Alerts(settings)
    book.silence(MISSING, None, until=NOW + 5 * HOUR, by="Ann")
    book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW)
    assert outbox(settings) == [] and book.open()[0].silenced_until == NOW + 5 * HOUR
    book.reconcile([missing()], types=[MISSING], now=NOW + HOUR)  # what came and went in the silence is never told
    assert outbox(settings) == []
    assert book.reconcile([missing()], types=[MISSING], now=NOW + 5 * HOUR).reminded == ((MISSING, "AAPL"),)
    assert not book.reconcile([missing()], types=[MISSING], now=NOW + 6 * HOUR)


def test_a_silence_of_one_symbol_leaves_the_others_and_ends_with_a_reminder(settings: Settings) -> None:
    book = Alerts(settings)
    book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW)
    deliver(settings, NOW)
    book.silence(MISSING, "AAPL", until=NOW + 30 * HOUR, by="Ann")
    assert book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW + 25 * HOUR).reminded == (
        (MISSING, "IBM"),
    )
    assert book.reconcile([missing(), missing("IBM")], types=[MISSING], now=NOW + 31 * HOUR).reminded == (
        (MISSING, "AAPL"),
    )


def test_the_end_of_an_alert_waits_for_the_end_of_its_silence(settings: Settings) -> None:
    book = Alerts(settings)
    book.reconcile([missing()], types=[MISSING], now=NOW)
    assert deliver(settings, NOW).sent == 1
    book.silence(MISSING, "AAPL", until=NOW + 5 * HOUR, by="Ann")
    book.reconcile([], types=[MISSING], now=NOW + HOUR)
    assert deliver(settings, NOW + HOUR).sent == 0
    assert deliver(settings, NOW + 5 * HOUR).sent == 1


def test_many_at_once_are_one_message_and_many_alerts(settings: Settings) -> None:
    book = Alerts(settings)
    many = [missing(f"S{number}") for number in range(ALERTS_TOLD_SINGLY + 1)]
    assert len(book.reconcile(many, types=[MISSING], now=NOW).opened) == len(many)
    assert outbox(settings) == [("opened", f"[critical] missing_equity_data ({len(many)} at once)")]
    with read_transaction(connect_state(settings.state_url)) as connection:
        text = connection.execute(sa.select(alert_messages.c.body)).scalar_one()
    assert all(f"{issue.subject}: {issue.reason}" in text for issue in many)
    assert len(book.open()) == len(many)
    book.reconcile(many[1:], types=[MISSING], now=NOW + HOUR)
    assert outbox(settings)[1:] == [("cleared", "[cleared] missing_equity_data S0")]


def test_rules_say_severity_channels_and_time_to_the_reminder(settings: Settings) -> None:
    rules, book = AlertRules(settings), Alerts(settings)
    rules.add(AlertRule(MISSING, AlertSeverity.INFO, "desk", timedelta(hours=2)))
    rules.add(AlertRule(MISSING, AlertSeverity.WARNING, "desk", timedelta(hours=2)))
    rules.add(AlertRule(MISSING, AlertSeverity.INFO, "log"))
    mine = [rule for rule in AlertRules(settings).all() if rule.alert_type is MISSING]
    assert [(rule.notification_channel, rule.severity) for rule in mine] == [
        ("desk", AlertSeverity.WARNING),
        ("log", AlertSeverity.INFO),
    ]
    book.reconcile([missing()], types=[MISSING], now=NOW)
    assert [title for _, title in outbox(settings)] == ["[warning] missing_equity_data AAPL"] * 2
    deliver(settings, NOW)
    book.reconcile([missing()], types=[MISSING], now=NOW + 2 * HOUR)
    # The channel that has not taken the first message yet is given no second one.
    assert events(settings) == ["opened", "opened", "reminder"]
    assert rules.remove(MISSING, "desk") and not rules.remove(MISSING, "desk")


@pytest.mark.parametrize("name", ["slack://token@channel", "", "x" * 81])
def test_a_rule_takes_the_name_of_a_channel_and_repeats_no_url(name: str) -> None:
    with pytest.raises(ValueError, match="name of a channel") as refused:
        AlertRule(MISSING, AlertSeverity.INFO, name)
    assert "token" not in str(refused.value)


SUBJECTS = st.sets(st.sampled_from(["", "AAPL", "IBM", "SPX"]))


@given(steps=st.lists(st.tuples(SUBJECTS, SUBJECTS), max_size=8))
@hypothesis_settings(max_examples=25, deadline=None)
def test_opening_and_clearing_alternate_whatever_happens(steps: list[tuple[set[str], set[str]]]) -> None:
    """Two types in any sequence: never two open alerts of one subject, each opening told once, each clearing told
    once."""
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder, now=NOW)
        book, held = Alerts(settings), set[tuple[str, str]]()
        for number, (first, second) in enumerate(steps):
            wanted = [*(missing(s) for s in first), *(Issue(AlertType.RUN_FAILED, s, "It failed.") for s in second)]
            keys = {issue.key for issue in wanted}
            changes = book.reconcile(wanted, types=[MISSING, AlertType.RUN_FAILED], now=NOW + number * HOUR)
            assert set(changes.opened) == keys - held and set(changes.cleared) == held - keys
            assert sorted(alert.key for alert in book.open()) == sorted(keys)
            held = keys
        with read_transaction(connect_state(settings.state_url)) as connection:
            rows = connection.execute(sa.select(alerts.c.id, alerts.c.cleared_at)).all()
            told = connection.execute(sa.select(alert_messages.c.alert_id, alert_messages.c.event)).all()
        expected = [(row.id, "opened") for row in rows] + [
            (row.id, "cleared") for row in rows if row.cleared_at is not None
        ]
        assert sorted((row.alert_id, row.event) for row in told if row.event != "reminder") == sorted(expected)


def test_the_documentation_lists_the_alerts_there_are() -> None:
    text = (REPOSITORY / "docs" / "alerts.md").read_text("utf-8")
    listed = [line for line in text.splitlines() if line.startswith("| `")]
    assert listed == [f"| `{name}` | {kind.severity} | {kind.meaning} |" for name, kind in KINDS.items()]
