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


def test_a_folder_without_a_daemon_says_so_and_is_well(folder: Path, capsys: Output) -> None:
    with dagster_instance(Settings()) as instance:
        assert run(["status", "--no-probe"]) == 0, "an archive may be driven by hand"
        assert "No daemon has worked on this folder yet: trading-assets up" in capsys.readouterr().out
        assert run(["status", "--no-probe", "--json"]) == 0
        found = document(capsys)
        assert found["daemon"] is None
        assert {row["status"] for row in found["schedules"]} == {"on"}
        beat = system_clock()
        instance.add_daemon_heartbeat(DaemonHeartbeat(beat.timestamp(), "SENSOR", "one", []))
    run(["status", "--no-probe"])
    said = capsys.readouterr().out
    assert "No daemon" not in said
    assert f"last sign of life {beat:%Y-%m-%d %H:%M} UTC" in said


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
