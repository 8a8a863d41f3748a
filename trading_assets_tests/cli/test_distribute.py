"""The command `distribute`: what it records and how it says how far that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from trading_assets.cli.app import run
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets_tests.distribution.parts import submitted
from trading_assets_tests.distribution.test_states import start
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of


@pytest.mark.slow
def test_parts_are_recorded_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=copy_of(PLAIN, tmp_path / "lake"), now=PLAIN_NOW, ib_port=1)  # type: ignore[call-arg]
    for variable, value in settings.environment().items():
        monkeypatch.setenv(variable, value)

    def command(*arguments: str) -> tuple[int, Any]:
        code = run(["distribute", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert command("status") == (0, [])
    given = ("greeks", "--from", "2023-12-20", "--symbols-per-part", "1")
    code, recorded = command(*given)
    assert code == 0 and [part["symbols"] for part in recorded["parts"]] == [["AAPL"], ["SPY"]]
    assert command(*given) == (0, recorded), "the same work again"
    with dagster_instance(settings) as instance:
        _start_all(instance, settings)
    code, (told,) = command("status")
    assert code == 1 and told["name"] == recorded["name"]
    assert told["counts"] == {"missing": 0, "queued": 0, "running": 0, "done": 1, "failed": 1}
    assert run(["distribute", "status", told["name"]]) == 1
    assert "SPY" in (shown := capsys.readouterr().out) and "AAPL" not in shown, "the parts that failed"
    assert run(["distribute", "repeat", told["name"]]) == 0
    assert "1 part is submitted." in capsys.readouterr().out
    assert run(["distribute", "stop", told["name"]]) == 0
    assert run(["distribute", "stop", "greeks"]) == 2
    assert "See their names with trading-assets distribute status." in capsys.readouterr().err
    assert run(["distribute", "validation", "--sessions-per-part", "5"]) == 2


def _start_all(instance: dg.DagsterInstance, settings: Settings) -> None:
    statuses = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE)
    for request, status in zip(submitted(settings, instance), statuses, strict=True):
        start(instance, request, status)
