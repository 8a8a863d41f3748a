"""Two machines with one state database: their host names are equal, their clocks are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state, processes
from trading_assets.state.owners import OWNER_TIMEOUT, live_owners
from trading_assets.state.tables import owners
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import asked, contents, difference, instants, unfinished
from trading_assets_tests.other_machines import OtherMachine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AHEAD = 5.0
"""Seconds between the clocks of two machines."""

FAR_AHEAD = 3600.0
"""More than any test takes: what came after a plan is before it by the other clock, however busy the machine is."""


@pytest.fixture
def strict(market: GeneratedMarket) -> Iterator[Simulator]:
    """A simulator that enforces every limit."""
    with Simulator(market, now=NOW) as running:
        yield running
        assert not running.counters.internal_errors


def test_what_came_after_the_plan_of_a_machine_whose_clock_is_ahead_is_not_asked_again(
    simulator: Simulator, postgresql: str, tmp_path: Path
) -> None:
    simulator.reset_counters()
    settings = settings_of(tmp_path / "lake", simulator, database_url=postgresql)
    late = OtherMachine(tmp_path / "late", settings, "collect late", SYMBOL, ahead=FAR_AHEAD)
    assert late.hear() == "planned"
    assert by_the_steps(settings, [SYMBOL])["success"]
    late.say("go")
    report = late.hear()
    late.end()
    assert report["success"], report["problems"]
    assert report["requests"]["sent"] == 0
    assert set(asked(simulator.counters.log).values()) == {1}


def test_machines_with_different_clocks_share_overlapping_work(
    strict: Simulator, simulator: Simulator, postgresql: str, tmp_path: Path
) -> None:
    alone = settings_of(tmp_path / "alone", simulator)
    simulator.reset_counters()
    assert by_the_steps(alone, ["AAPL", "MSFT", "GOOG"])["success"]
    plan = set(asked(simulator.counters.log))

    settings = settings_of(tmp_path / "lake", strict, database_url=postgresql, enforce_pacing=True)
    began = time.time()
    machines = [
        OtherMachine(tmp_path / name, settings, "collect", *symbols, ahead=ahead)
        for name, symbols, ahead in (("right", ["AAPL", "MSFT"], 0.0), ("ahead", ["GOOG", "MSFT", "AAPL"], AHEAD))
    ]
    reports = [machine.hear() for machine in machines]
    for machine, report in zip(machines, reports, strict=True):
        machine.end()
        assert report["success"], report["problems"]
    assert strict.counters.violations == [] and strict.counters.errors == {}
    assert asked(strict.counters.log) == dict.fromkeys(plan, 1)
    assert sum(report["requests"]["sent"] for report in reports) == len(plan)
    assert difference(settings.data_dir, contents(alone.data_dir)) == []
    assert unfinished(settings) == 0
    stored = instants(settings)
    assert began <= min(stored) and max(stored) <= time.time(), "all instants are of one clock: the database's"


def test_an_owner_on_a_machine_of_the_same_name_lives_until_its_heart_stops(postgresql: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "lake", database_url=postgresql)
    engine = connect_state(settings.state_url)
    there = OtherMachine(tmp_path / "there", settings, "own", ahead=-FAR_AHEAD)
    name = there.hear()

    def alive() -> bool:
        with engine.connect() as connection:
            return name in live_owners(connection)

    with engine.connect() as connection:
        row = connection.execute(sa.select(owners).where(owners.c.owner == name)).one()
    assert row.host.partition("#")[0] == processes.this_host().partition("#")[0]
    assert processes.has_ended(row.host, row.pid, row.birth) is None
    assert alive()
    there.kill()
    assert alive(), "nobody here can see that"
    with engine.begin() as connection:
        connection.execute(owners.update().values(heartbeat=owners.c.heartbeat - OWNER_TIMEOUT))
    assert not alive()
