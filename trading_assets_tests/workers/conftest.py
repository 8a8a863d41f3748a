"""A Redis server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets_tests.workers.redis_server import RedisServer


@pytest.fixture
def queue_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server, empty."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()
