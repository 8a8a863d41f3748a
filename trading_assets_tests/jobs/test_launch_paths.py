"""The same operation by UI, command and Python, with default and other settings, with and without DAGSTER_HOME, leaves
the same requests, partitions and rows; so does what starts by itself.

Two archives live through the same three days, and no operation is started in the same medium in both. Where command and
Python start different runs, and for what starts by itself, there are copies of the second. The commands `setup`,
`update`, `backfill`, `quality` and `maintain` call the Python functions of these names. Each medium meets default and
other settings, with and without DAGSTER_HOME.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_assets.assets.config import OptionChainsConfig, SelectionConfig
from trading_assets.automation import sensors, sessions
from trading_assets.automation.jobs import own_checks
from trading_assets.jobs import DataPipelineOrchestrator, weekly_maintenance
from trading_assets.jobs.contracts_snapshot import refresh_option_chain
from trading_assets.jobs.option_backfill import run_option_backfill
from trading_assets.simulator import Simulator
from trading_assets.universe import Universe
from trading_assets_tests.endurance.lakes import NOT_COLLECTED
from trading_assets_tests.jobs.launching import Media
from trading_assets_tests.scenarios.desk import Desk, at
from trading_assets_tests.simulator.tiny_market import TinyMarket

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2024-05-29", "2024-05-30", "2024-05-31"
AFTER_CLOSE = "T16:40-04:00"

DEFAULT: dict[str, Any] = {"setup_lookback_days": 9}
"""The default settings, but for the year of history."""

OTHER: dict[str, Any] = {
    **DEFAULT,
    "equity_bar_sizes": ["1 day", "1 hour"],
    "selection": {"rights": ["P"], "min_moneyness": 0.97},
    "file_periods": {"equity_bars": "month", "option_bars": "year"},
}
"""Settings that differ from the defaults."""

CAPPED: dict[str, Any] = {**DEFAULT, "selection": {"min_moneyness": 0.97, "max_contracts": 1}}
"""Settings of which a run changes one field and lifts another."""

REFUSAL: dict[str, Any] = {"on": "historical_data", "contract": "OPT", "do": "not_permitted"}
"""The bars of one contract, once."""

CHECKS = [
    ("option_chains", "delta_in_range"),
    ("equity_bars", "session_complete"),
    ("option_bars", "option_prices_consistent"),
]
"""Some of the rules: all of them as checks of their own take a second."""


@pytest.fixture
def tws() -> Iterator[Simulator]:
    """A market with options of one expiry and three strikes."""
    with Simulator(TinyMarket(), now=at(FIRST + AFTER_CLOSE), limits=False) as simulator:
        yield simulator


@pytest.fixture
def archive(tws: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Media]:
    """Makes an archive, empty or a copy of another one."""

    def made(name: str, copied: Media | None = None) -> Media:
        folder = tmp_path / name
        if copied is not None:
            shutil.copytree(copied.desk.folder, folder / "lake")
        return Media(Desk(folder / "lake", tws), folder, monkeypatch)

    return made


def alike(one: Media, *others: Media) -> dict[str, Any]:
    """The archives hold the same; what."""
    left = one.left()
    for other in others:
        compared = other.left()
        for part, value in left.items():
            assert compared[part] == value, part
    return left


def test_each_medium_leaves_the_same(tws: Simulator, archive: Callable[..., Media]) -> None:
    first, second = archive("first"), archive("the second ö")
    _set_up(first, second, archive("by itself"))
    _next_day(tws, first, second)
    chain = {name: archive(name, second) for name in ("command", "schedule", "dagster")}
    _during_the_third_session(first, second, **chain)
    _after_its_close(first, second)
    left = alike(first, second)
    nothing = {part for part, value in left.items() if not value and not part.startswith("revisions_")}
    assert nothing == NOT_COLLECTED - {"coverage", "quality_metrics"}


def _own(*assets: str) -> list[tuple[str, str]]:
    """The checks that assets emit themselves: without a choice Dagster adds all single rules."""
    return [(str(key.asset_key.path[-1]), key.name) for key in own_checks(assets)]


def _set_up(first: Media, second: Media, by_itself: Media) -> None:
    """Nothing is said but the symbol."""
    first.enter(FIRST + AFTER_CLOSE, DEFAULT, home=True)
    first.ui("setup_symbol", {"contracts": {"symbols": ["AAA"]}}, partitions=[FIRST])
    second.enter(FIRST + AFTER_CLOSE, DEFAULT, home=False)
    assert second.command("setup", "aaa")[0] == 0
    by_itself.enter(FIRST + AFTER_CLOSE, DEFAULT, home=False)
    Universe(by_itself.desk.settings.state_url).add(["AAA"], now=by_itself.desk.settings.clock())
    snapshot = ["contracts", "option_chains"]
    by_itself.by_itself(sensors.new_symbols, "setup_symbol", assets=snapshot, checks=_own(*snapshot))
    left, wanted = by_itself.left(), first.left()
    assert [left[name] for name in snapshot] == [wanted[name] for name in snapshot]
    assert left["requests"] == [one for one in wanted["requests"] if "bars" not in one[0]]


def _next_day(tws: Simulator, first: Media, second: Media) -> None:
    """The update, and older sessions. What differs from the defaults is said by the settings of the first and by the
    runs of the second."""
    begin, end = "2024-05-14", "2024-05-17"
    first.enter(SECOND + AFTER_CLOSE, OTHER, home=False)
    tws.faults.add(**REFUSAL)
    assert first.command("update")[0] == 1
    first.enter(SECOND + AFTER_CLOSE, OTHER, home=True)
    first.ui("backfill_bars", {"option_bars": {"symbols": ["AAA"]}}, partitions=[begin, end])
    second.enter(SECOND + AFTER_CLOSE, CAPPED, home=True)
    tws.faults.add(**REFUSAL)
    sizes = {"equity_bars": {"bar_sizes": OTHER["equity_bar_sizes"]}}
    chosen = {"selection": {"rights": ["P"], "max_contracts": None}}
    second.ui("daily_update", {"option_chains": chosen, **sizes}, partitions=[SECOND])
    second.enter(SECOND + AFTER_CLOSE, CAPPED, home=False)
    assert DataPipelineOrchestrator().backfill("aaa", begin, end, sizes).success
    quoted = second.desk.rows(f"select strike, \"right\" from option_chains where selected and session = '{SECOND}'")
    assert sorted(zip(quoted["strike"], quoted["right"], strict=True)) == [(100.0, "P"), (105.0, "P")]


def _during_the_third_session(first: Media, second: Media, command: Media, schedule: Media, dagster: Media) -> None:
    """Its chain, and the bars that were refused."""
    now = f"{THIRD}T15:45-04:00"
    schedule.enter(now, OTHER, home=True).by_itself(sessions.daily_snapshot, "snapshot")
    dagster.enter(now, OTHER, home=False)
    dagster.dagster("asset", "materialize", "--select", "contracts,option_chains,option_greeks", "--partition", THIRD)
    second.enter(now, OTHER, home=True).ui("snapshot", {"option_chains": {"selection": {}}}, partitions=[THIRD])
    alike(second, schedule, dagster)
    second.enter(now, home=False)
    assert run_option_backfill("AAA").success
    command.enter(now, {**OTHER, "selection": {"rights": ["P"]}}, home=True)
    assert command.command("update", "--min-moneyness", "0.97")[0] == 0
    alike(second, command)
    first.enter(now, OTHER, home=False)
    assert refresh_option_chain("AAA").success
    bars = {"option_bars": {"symbols": ["AAA"], "lookback_days": 9}}
    assets = ["option_bars", "option_greeks"]
    first.ui("backfill_bars", bars, partitions=[SECOND], assets=assets, checks=_own(*assets))


def _after_its_close(first: Media, second: Media) -> None:
    """The rules, the measures and the maintenance."""
    first.enter(f"{THIRD}T17:00-04:00", DEFAULT, home=True)
    judged = first.verdicts(first.ui("quality_check", assets=[], checks=CHECKS))
    second.enter(f"{THIRD}T17:00-04:00", DEFAULT, home=False)
    rules = {(one["dataset"], one["rule"]): one for one in second.command("quality", "--no-record")[1]["rules"]}
    assert judged == {check: (rules[check]["passed"], rules[check]["failed"]) for check in CHECKS}
    first.enter(f"{THIRD}T17:10-04:00", home=False)
    weekly_maintenance()
    second.enter(f"{THIRD}T17:10-04:00", home=True)
    second.ui("weekly_maintenance")


def test_a_config_object_hands_on_what_was_set() -> None:
    config = dg.RunConfig(
        ops={
            "option_chains": OptionChainsConfig(
                selection=SelectionConfig(max_days_to_expiry=3, strikes_around_spot=None)
            )
        }
    )
    assert config.to_config_dict()["ops"]["option_chains"]["config"]["selection"] == {
        "max_days_to_expiry": 3,
        "strikes_around_spot": None,
    }


def test_a_wrong_value_of_a_run_config_is_told_in_one_sentence(archive: Callable[..., Media]) -> None:
    run = archive("wrong").desk.job(
        "snapshot", [at(FIRST + AFTER_CLOSE).date()], {"option_chains": {"selection": {"strikes_around_spot": 0}}}
    )
    assert run.error == (
        "The run config is wrong, nothing was done."
        " The setting strikes_around_spot is wrong (0): input should be greater than or equal to 1."
    )
    assert not run.retryable
