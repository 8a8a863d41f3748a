"""What Dagster is told of the streams: an observation of the session and the check, from the state database alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from trading_assets.assets.live_stream import current_status
from trading_assets.definitions import build_defs
from trading_assets.resources.instance import dagster_instance
from trading_assets.serving import live_reports
from trading_assets.serving.live_reports import report, serve
from trading_assets.settings import Settings
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.status import StreamingStatus

NOW = datetime(2024, 6, 14, 14, 30, tzinfo=UTC)

CHECK = dg.AssetCheckKey(dg.AssetKey("live_stream"), "stream_healthy")


def health(state: StreamState) -> StreamHealth:
    return StreamHealth("AAPL-1", 265598, "AAPL", "AAPL", "quote", state, NOW, NOW, 120, 3.5, 0.01, 1, 2, None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "lake", now=NOW)  # type: ignore[call-arg]


def results(instance: dg.DagsterInstance) -> list[tuple[bool, str | None]]:
    """Every result of the check, the oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=100)
    found = [record.event.dagster_event.asset_check_evaluation_data for record in records]  # type: ignore[union-attr]
    return [(one.passed, one.description) for one in reversed(found)]


def test_reports_say_how_the_streams_are(settings: Settings) -> None:
    registry = LiveRegistry(settings.state_url)
    assert registry.take()
    registry.want([Subscription("AAPL")])
    with dagster_instance(settings) as instance:
        registry.publish([health(StreamState.LIVE)])
        report(settings, instance)
        registry.publish([health(StreamState.STALLED)])
        report(settings, instance)
        registry.release("The lake belongs to another account.")
        report(settings, instance)
        records = instance.fetch_observations(dg.AssetKey("live_stream"), limit=10).records
        assert {record.partition_key for record in records} == {"2024-06-14"}
        metadata = records[1].asset_observation.metadata  # type: ignore[union-attr]
        assert metadata["states"].value == {"stalled": 1}
        assert metadata["updates"].value == 120
        assert metadata["table"].records[0].data["contract"] == "AAPL"
        (healthy, stalled, stopped) = results(instance)
        assert healthy[0] and not stalled[0] and not stopped[0]
        assert "stalled since 14:30:00 UTC" in str(stalled[1])
        assert "No recorder is running: nothing is recorded. The lake belongs to another account." in str(stopped[1])
    registry.close()


def test_the_end_of_the_recorder_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_reports, "FIRST_SECONDS", 0.0)
    registry, ended = LiveRegistry(settings.state_url), threading.Event()
    assert registry.take()
    registry.want([Subscription("AAPL")])
    registry.publish([health(StreamState.LIVE)])
    reporter = threading.Thread(target=serve, args=(settings, ended))
    with dagster_instance(settings) as instance:
        reporter.start()
        while not results(instance):
            reporter.join(0.05)
        registry.release()
        ended.set()
        reporter.join(30)
        assert [passed for passed, _ in results(instance)] == [True, False]
    registry.close()


def test_a_report_that_fails_is_not_the_last(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_reports, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(live_reports, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(live_reports, "current_status", _locked_once(current_status))
    ended = threading.Event()
    reporter = threading.Thread(target=serve, args=(settings, ended))
    with dagster_instance(settings) as instance:
        reporter.start()
        while reporter.is_alive() and not results(instance):
            reporter.join(0.05)
        ended.set()
        reporter.join(30)
        assert results(instance)
    assert "Dagster was not told" in caplog.text


def _locked_once(look: Callable[[Settings], StreamingStatus]) -> Callable[[Settings], StreamingStatus]:
    """The same, whose first call finds the database locked."""
    calls: list[Settings] = []

    def locked(settings: Settings) -> StreamingStatus:
        calls.append(settings)
        if len(calls) == 1:
            raise sa.exc.OperationalError("select", None, Exception("database is locked"))
        return look(settings)

    return locked


def test_a_recorder_that_was_killed_is_reported_though_nobody_else_wants_its_streams(settings: Settings) -> None:
    registry = LiveRegistry(settings.state_url)
    assert registry.take()
    registry.want([Subscription("AAPL")])
    registry.publish([health(StreamState.LIVE)])
    registry.owner.close()  # as if its process were gone, with all that it wants and holds
    with dagster_instance(settings) as instance:
        report(settings, instance, ended=True)
        ((passed, said),) = results(instance)
    assert not passed and said is not None and said.endswith("The recorder's process was killed.")


def test_a_lake_without_streams_has_no_problem(settings: Settings) -> None:
    assert current_status(settings).ok


def test_the_check_can_be_run_by_hand(settings: Settings) -> None:
    registry = LiveRegistry(settings.state_url)
    registry.want([Subscription("AAPL")])
    defs = build_defs(data_dir=settings.data_dir, now=NOW)
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={CHECK}, asset_selection=set())
    with dagster_instance(settings, captures=False) as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=True)
        (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed and "No recorder is running" in str(evaluation.description)
    registry.close()
