"""The quality report as the operational guide uses it, its metrics over time, and the alert it sends."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from pathlib import Path

import pytest

from trading_assets.monitoring import DataQualityMonitor, log_quality_metrics, send_alert
from trading_assets.monitoring.alerts import Alerts, AlertType
from trading_assets.monitoring.metrics import metric_history
from trading_assets.monitoring.pictures import metrics_png
from trading_assets.repositories import LakeIdentity, ParquetStore, query
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, QUALITY_METRICS
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.repositories.frames import bar, covered, table

DAYS = [date(2015, 12, day) for day in (21, 22, 23)]


@pytest.fixture
def monitor(tmp_path: Path) -> DataQualityMonitor:
    """Three sessions of AAPL, one of them not complete, seen after the close."""
    settings = Settings(data_dir=tmp_path, now="2015-12-23T18:30-05:00")
    Universe(settings.state_url).add(["AAPL"])
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day) for day in (DAYS[0], DAYS[2])]))
    rows = [covered(DAYS[0]), covered(DAYS[1], "error", reason="No answer.", broker_code=162), covered(DAYS[2])]
    store.upsert(COVERAGE, table(COVERAGE, rows))
    return DataQualityMonitor(settings)


def values(folder: Path, metric: str) -> list[float]:
    history = metric_history(folder)
    return [row["value"] for row in history.to_pylist() if row["metric"] == metric and row["about"] == "equity_bars"]


def test_the_guide_s_hourly_check(monitor: DataQualityMonitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trading_assets")
    for alert_type in (
        "prerequisite_violation",
        "data_integrity_failure",
        "api_circuit_breaker_open",
        "stale_option_chains",
        "missing_equity_data",
    ):
        monitor.add_alert_rule(alert_type=alert_type, severity="critical", notification_channel="log")
    report = monitor.generate_quality_report()
    assert report.has_critical_issues()
    assert (AlertType.MISSING_EQUITY_DATA, "AAPL") in [issue.key for issue in report.critical]
    assert (AlertType.MISSING_EQUITY_DATA, "AAPL") in send_alert("Critical data quality issues detected", report).opened
    log_quality_metrics(report)
    told = [record.getMessage() for record in caplog.records if record.name == "trading_assets.alerts"]
    assert any(
        "Critical data quality issues detected" in line and "missing_equity_data AAPL" in line and "No answer." in line
        for line in told
    )
    assert not send_alert("Critical data quality issues detected", monitor.generate_quality_report()), (
        "an hour later nothing new is told"
    )
    assert "AAPL" in [alert.subject for alert in Alerts(monitor.settings).open()]


def test_metrics_are_kept_over_time_and_drawn(monitor: DataQualityMonitor) -> None:
    folder = monitor.settings.data_dir
    first = monitor.generate_quality_report()
    assert log_quality_metrics(first).inserted == len(first.metrics)
    assert monitor.log_quality_metrics(first).unchanged == len(first.metrics), "the same measuring again"
    store = ParquetStore(folder)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[1])]))
    store.upsert(COVERAGE, table(COVERAGE, [covered(DAYS[1])]))
    later = monitor.settings.model_copy(update={"now": monitor.settings.clock() + timedelta(hours=1)})
    log_quality_metrics(DataQualityMonitor(later).generate_quality_report())
    assert values(folder, "coverage_complete") == [pytest.approx(2 / 3), 1.0]
    assert values(folder, "sessions_missing") == [1.0, 0.0]
    of_symbol = query(
        folder,
        "select value, unit, session from quality_metrics where symbol = 'AAPL' and metric = 'sessions_missing' and"
        " about = 'equity_bars'",
    )
    assert of_symbol.to_pylist() == [{"value": 1.0, "unit": "symbol-sessions", "session": DAYS[2]}], (
        "only where it is not whole"
    )
    assert metrics_png(metric_history(folder)).startswith(b"\x89PNG")


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert metrics_png(QUALITY_METRICS.schema.empty_table()).startswith(b"\x89PNG")


def test_the_report_in_plain_values(monitor: DataQualityMonitor) -> None:
    document = monitor.generate_quality_report(sessions=3).as_dict()
    assert (document["first"], document["last"]) == (DAYS[0], DAYS[2]) and document["critical"]
    assert document["conditions"]["equity_bars"] == {"complete": 2, "error": 1}
    assert {"rule", "severity", "failed", "remedy"} <= document["rules"][0].keys()
    assert "alert_channels" not in document


def test_rules_that_had_nothing_to_examine_are_told_apart_and_pass(
    monitor: DataQualityMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trading_assets")
    report = monitor.generate_quality_report(sessions=3)
    assert {result.rule.dataset for result in report.unexamined} >= {"option_chains", "option_bars"}
    assert all(result.passed and "there is nothing to examine." in result.sentence() for result in report.unexamined)
    examined = {result.rule.name for result in report.results} - {result.rule.name for result in report.unexamined}
    assert {"bar_named", "session_complete", "prices_positive"} <= examined
    assert report.as_dict()["rules_without_rows"] == len(report.unexamined)
    log_quality_metrics(report)
    assert f"{len(report.unexamined)} had nothing to examine" in caplog.text


def test_a_report_on_some_symbols_clears_nothing(monitor: DataQualityMonitor) -> None:
    send_alert("Issues.", monitor.generate_quality_report())
    some = monitor.generate_quality_report(symbols=["IBM"])
    assert some.issues == ()
    with pytest.raises(ValueError, match="some symbols only"):
        send_alert("Issues.", some)
    assert Alerts(monitor.settings).open()


def test_wrong_words_are_refused_with_those_there_are(monitor: DataQualityMonitor) -> None:
    with pytest.raises(ValueError, match="There are: prerequisite_violation"):
        monitor.add_alert_rule(alert_type="data_loss", severity="critical", notification_channel="log")
    with pytest.raises(ValueError, match="There are: critical, warning, info"):
        monitor.add_alert_rule(alert_type="run_failed", severity="high", notification_channel="log")
    with pytest.raises(ValueError, match="settings or base_path"):
        DataQualityMonitor(monitor.settings, monitor.settings.data_dir)


def test_the_data_folder_alone_will_do(monitor: DataQualityMonitor) -> None:
    assert DataQualityMonitor(base_path=monitor.settings.data_dir).settings.data_dir == monitor.settings.data_dir


def test_measures_do_not_make_a_lake_somebody_s(tmp_path: Path) -> None:
    log_quality_metrics(
        DataQualityMonitor(Settings(data_dir=tmp_path, now="2015-12-23T18:30-05:00")).generate_quality_report()
    )
    LakeIdentity(tmp_path).pin("simulated generated seed 42")
