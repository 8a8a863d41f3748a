"""What `status` tells of the daemon: one that once worked on the data folder and is silent is named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from dagster._daemon.types import DaemonHeartbeat

from trading_assets.cli.app import run
from trading_assets.cli.running import DAEMON_SILENCE
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.cli.conftest import Output, document


def silent(capsys: Output) -> list[str]:
    run(["status", "--no-probe", "--json"])
    return [sentence for sentence in document(capsys)["wrong"] if "daemon" in sentence]


@pytest.mark.parametrize(("age", "named"), [(timedelta(0), False), (2 * DAEMON_SILENCE, True)])
def test_a_daemon_is_missed_where_one_worked_and_is_silent(folder: Path, capsys: Output, age: timedelta, named: bool) -> None:
    with dagster_instance(Settings()) as instance:
        assert silent(capsys) == [], "no daemon ever ran here"
        instance.add_daemon_heartbeat(DaemonHeartbeat((system_clock() - age).timestamp(), "SCHEDULER", "one", []))
    found = silent(capsys)
    assert bool(found) is named
    assert not named or "trading-assets up" in found[0]
