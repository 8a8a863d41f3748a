"""`trading-assets alerts` and `trading-assets quality`: what they print, change and return."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.monitoring.alerts import Alerts, AlertType, Issue
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import COVERAGE
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation import RULES
from trading_assets_tests.monitoring.alerts.receivers import SECRET, Webhook
from trading_assets_tests.repositories.frames import covered, table

Output = pytest.CaptureFixture[str]


@pytest.fixture
def webhook(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that is the channel `desk` of the environment."""
    with Webhook().running() as running:
        monkeypatch.setenv("TRADING_ASSETS_ALERT_CHANNELS", json.dumps({"desk": running.url}))
        yield running


@pytest.fixture
def opened(folder: Path) -> Settings:
    """Two open alerts: a critical one of AAPL and a warning."""
    settings = Settings()
    issues = [
        Issue(AlertType.MISSING_EQUITY_DATA, "AAPL", "The bars of 2024-05-31 are not complete."),
        Issue(AlertType.SCHEDULE_MISSED, "daily_bars", "It was due at 16:30."),
    ]
    Alerts(settings).reconcile(issues, types=list(AlertType), now=settings.clock())
    return settings


def printed(output: Output) -> str:
    found = output.readouterr()
    return " ".join((found.out + found.err).split())


@pytest.mark.parametrize("words", [["alerts"], ["alerts", "list"]])
def test_open_alerts_are_listed_with_reason_and_remedy(opened: Settings, words: list[str], capsys: Output) -> None:
    assert run(words) == 1, "one is critical"
    text = printed(capsys)
    assert (
        "missing_equity_data" in text
        and "The bars of 2024-05-31" in text
        and "What to do: Run `trading-assets update AAPL`" in text
    )
    assert run([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(alert["alert_type"], alert["subject"], alert["cleared_at"]) for alert in document] == [
        ("missing_equity_data", "AAPL", None),
        ("schedule_missed", "daily_bars", None),
    ]


def test_nothing_open_is_said(folder: Path, capsys: Output) -> None:
    assert run(["alerts"]) == 0
    assert "No alert is open." in printed(capsys)


@pytest.mark.parametrize("target", ["1", "missing_equity_data", "missing_equity_data:AAPL"])
def test_alerts_are_acknowledged(opened: Settings, target: str, capsys: Output) -> None:
    assert run(["alerts", "ack", target, "--by", "Ann"]) == 0
    assert run(["alerts", "list"]) == 0, "the critical one is known to somebody"
    assert "acknowledged by Ann" in printed(capsys)


@pytest.mark.parametrize(("target", "code"), [("77", 1), ("missing_equity_data:IBM", 1), ("nonsense", 2)])
def test_what_is_not_there_cannot_be_acknowledged(opened: Settings, target: str, code: int, capsys: Output) -> None:
    assert run(["alerts", "ack", target]) == code
    assert target.partition(":")[0] in printed(capsys)


def test_silences_begin_and_end(opened: Settings, capsys: Output) -> None:
    assert run(["alerts", "silence", "missing_equity_data:AAPL", "--hours", "2"]) == 0
    assert "2024-06-03 22:30 UTC" in printed(capsys)
    assert [alert.subject for alert in Alerts(opened).open() if alert.silenced_until] == ["AAPL"]
    assert run(["alerts", "silence", "missing_equity_data:AAPL", "--hours", "0"]) == 0
    assert not any(alert.silenced_until for alert in Alerts(opened).open())
    assert run(["alerts", "silence", "missing_equity_data", "--hours", "-1"]) == 2


def test_rules_are_added_listed_and_removed_without_a_secret(webhook: Webhook, capsys: Output) -> None:
    assert run(["alerts", "rules", "add", "run_failed", "desk", "--severity", "info", "--remind-hours", "2"]) == 0
    assert run(["alerts", "rules", "list", "--json"]) == 0
    output = capsys.readouterr()
    document = json.loads(output.out[output.out.index("{") :])
    (rule,) = [rule for rule in document["rules"] if rule["alert_type"] == "run_failed"]
    assert rule == {
        "alert_type": "run_failed",
        "severity": "info",
        "channel": "desk",
        "remind_hours": 2.0,
        "known": True,
    }
    assert document["channels"] == ["log", "desk"]
    assert run(["alerts", "rules", "list"]) == 0
    assert run(["alerts", "rules", "add", "run_failed", "pager"]) == 0
    odd = capsys.readouterr().err
    assert odd == "note: Channel pager is not in the setting alert_channels yet: its messages wait until it is.\n"
    assert run(["alerts", "rules", "add", "run_failed", webhook.url]) == 2
    assert run(["alerts", "rules", "remove", "run_failed", "desk"]) == 0
    assert run(["alerts", "rules", "remove", "run_failed", "desk"]) == 1
    text = printed(capsys)
    assert SECRET not in text + output.out + output.err


def test_a_channel_is_tried_out(webhook: Webhook, capsys: Output) -> None:
    assert run(["alerts", "test", "desk"]) == 0
    assert webhook.titles == ["[test] trading-assets"]
    webhook.status = 403
    assert run(["alerts", "test", "desk"]) == 1
    assert run(["alerts", "test", "nobody"]) == 1
    text = printed(capsys)
    assert (
        "Channel 'desk' answered with HTTP status 403." in text
        and "There is no channel 'nobody'" in text
        and SECRET not in text
    )


@pytest.mark.parametrize("value", [f'{{"desk": ["json://{SECRET}@x"]}}', f'{{"desk": "json://{SECRET}'])
def test_a_wrong_setting_is_told_without_the_secret(
    folder: Path, value: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_ALERT_CHANNELS", value)
    assert run(["alerts"]) == 2
    text = printed(capsys)
    assert "alert_channels" in text.lower() and SECRET not in text


@pytest.mark.slow
def test_quality_is_printed_kept_and_drawn(folder: Path, tmp_path: Path, capsys: Output) -> None:
    assert run(["quality", "--no-record"]) == 0, "nothing is wanted: nothing is wrong"
    rules = len(RULES)
    assert f"{rules} of {rules} rules hold ({rules} of them had nothing to examine), 0 issues." in printed(capsys)
    assert run(["quality"]) == run(["validate"]) == run(["validate", "--no-record"]) == 0
    assert not folder.exists(), "where there is no lake none is made"
    Universe(Settings().state_url).add(["AAPL"])
    ParquetStore(folder).upsert(COVERAGE, table(COVERAGE, [covered(date(2024, 5, 31), "error", reason="No answer.")]))
    picture = tmp_path / "quality.png"
    assert run(["quality", "--picture", str(picture)]) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "missing_equity_data AAPL" in printed(capsys)
    assert run(["quality", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["critical"] and document["conditions"]["equity_bars"]["error"] == 1
