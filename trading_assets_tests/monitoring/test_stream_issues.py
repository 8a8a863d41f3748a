"""Alerts of live streams, from what a recorder says in the state database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.monitoring.alerts import AlertType
from trading_assets.monitoring.stream_issues import down, stalled
from trading_assets.settings import Settings
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.registry import LiveRegistry

SINCE = datetime(2024, 6, 3, 18, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def registry(settings: Settings) -> Iterator[LiveRegistry]:
    made = LiveRegistry(settings.state_url)
    yield made
    made.close()


def stream(symbol: str, state: StreamState, **changes: Any) -> StreamHealth:
    return StreamHealth(f"s-{symbol}", 1, symbol, symbol, "quote", state, SINCE, **changes)


def test_nothing_is_wrong_where_nothing_is_wanted(settings: Settings, registry: LiveRegistry) -> None:
    assert down(settings) == stalled(settings) == []
    registry.take()
    registry.publish([stream("AAPL", StreamState.DOWN)])
    assert down(settings) == []


def test_no_recorder_is_one_alert(settings: Settings, registry: LiveRegistry) -> None:
    registry.want([Subscription("AAPL"), Subscription("SPX", 5)])
    (issue,) = down(settings)
    assert issue.key == (AlertType.STREAM_DOWN, "")
    assert "AAPL, SPX" in issue.reason
    assert "no recorder is running" in issue.reason


def test_one_alert_a_cause(settings: Settings, registry: LiveRegistry) -> None:
    registry.want([Subscription("AAPL")])
    registry.take()
    lost = {"code": 1100, "text": "Connectivity has been lost."}
    registry.publish(
        [
            stream("AAPL", StreamState.DOWN, **lost),
            stream("MSFT", StreamState.DOWN, **lost),
            stream("IBM", StreamState.COMPETING, text="Log out."),
            stream("GE", StreamState.COMPETING, text="Log out."),
            stream("F", StreamState.NOT_PERMITTED, text="Delayed data only."),
            stream("KO", StreamState.LIVE, unrecorded="No space left."),
            stream("T", StreamState.REFUSED, text="Unknown."),
            stream("X", StreamState.REFUSED, code=200, text="No security."),
            stream("X", StreamState.REFUSED, code=200, text="No security."),
            stream("SHED", StreamState.SHED),
        ]
    )
    assert {issue.subject: issue.reason for issue in down(settings)} == {
        "connection": "2 streams (AAPL, MSFT) since 2024-06-03 18:00 UTC: Connectivity has been lost.",
        "competing session": "2 streams (GE, IBM) since 2024-06-03 18:00 UTC: Log out.",
        "recording": "No space left.",
        "F": "F, quote, since 2024-06-03 18:00 UTC: Delayed data only.",
        "X": "X, quote, since 2024-06-03 18:00 UTC: No security. The same holds for 1 more of its streams.",
    }
    registry.publish([stream("AAPL", StreamState.LIVE)])
    assert down(settings) == []


def test_stalled_once_it_was_asked_for_again_in_vain(settings: Settings, registry: LiveRegistry) -> None:
    registry.want([Subscription("AAPL")])
    registry.take()
    registry.publish([stream("AAPL", StreamState.STALLED, stalls=1, text="No update.")])
    assert stalled(settings) == []
    registry.publish([stream("AAPL", StreamState.STALLED, stalls=2, text="No update.")] * 3)
    (issue,) = stalled(settings)
    assert issue.key == (AlertType.STREAM_STALLED, "AAPL")
    assert "No update." in issue.reason
