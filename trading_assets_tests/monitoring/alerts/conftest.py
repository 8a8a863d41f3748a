"""A webhook, and settings whose channels end there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets_tests.monitoring.alerts.receivers import Webhook


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A running webhook."""
    with Webhook().running() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, webhook: Webhook, state_url: str) -> Settings:
    """An empty data folder with the channel `desk`, its state in each kind of database."""
    return Settings(
        data_dir=tmp_path / "lake",
        database_url=state_url,
        now="2024-06-03T16:30-04:00",
        alert_channels={"desk": webhook.url},
    )
