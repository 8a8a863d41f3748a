"""The command itself, as a process of its own, within the broker's limits and against a simulator that enforces
them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import Desk

ARGUMENTS = ("GOOG", "--lookback-days", "7", "--strikes", "2", "--max-days-to-expiry", "8")


@pytest.fixture(scope="module")
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk("2015-12-24T13:30-05:00", pacing=True)


def command(desk: Desk, *arguments: str) -> tuple[int, Any]:
    """Run the command in a process; exit code and JSON document."""
    words = [sys.executable, "-m", "trading_assets.cli", *arguments, "--json"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")}
    done = subprocess.run(
        words,
        env={**inherited, **desk.settings.environment()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_setup_then_plan_then_setup_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, document = command(desk, "setup", *ARGUMENTS)
    assert code == 0
    assert document["success"]
    asked = desk.asked()
    assert document["requests"]["planned"] == document["requests"]["sent"] == sum(asked.values())
    assert asked == {
        "contract": 1,
        "parameters": 1,
        "listing": 2,
        "spot": 1,
        "quote": 16,
        "equity bars": 1,
        "option bars": 16,
    }
    assert desk.simulator.counters.violations == []
    assert desk.simulator.counters.internal_errors == []

    partial = int(desk.rows("select count(*) as n from option_chains where quote_outcome = 'partial'")["n"][0])
    assert partial > 0, "of these the recording lacks greeks or open interest: they are asked for once more"
    desk.forget()
    code, document = desk.command(monkeypatch, "plan", *ARGUMENTS)
    assert (code, document["requests"], document["exact"]) == (0, partial, True)
    code, document = desk.command(monkeypatch, "setup", *ARGUMENTS)
    assert (code, document["requests"]["planned"], document["requests"]["sent"]) == (0, partial, partial)
    assert desk.asked() == {"quote": partial}

    desk.forget()
    code, document = desk.command(monkeypatch, "plan", *ARGUMENTS)
    assert (code, document["requests"], document["exact"]) == (0, 0, True)
    code, document = desk.command(monkeypatch, "setup", *ARGUMENTS)
    assert (code, document["requests"]["planned"], document["requests"]["sent"]) == (0, 0, 0)
    assert document["requests"]["saved"] > 0
    assert desk.connections() == 0
