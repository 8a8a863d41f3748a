"""What Dagster shows of a partition is what the lake has of it: for every symbol, whichever run collected it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import PartitionKeyFilter

from trading_assets.assets.policy import CODE_VERSION
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_config import ASSETS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("partition status")]  # one story, told once

OPEN = date(2025, 11, 19)
"""The session that is open when AAPL is set up."""

NEXT = date(2025, 11, 20)

SETTINGS = {"selection": {"max_days_to_expiry": 8, "strikes_around_spot": 1}, "setup_lookback_days": 6}


class Story:
    """AAPL is set up at noon, collected after the close, and joined by MSFT, whose bars are refused at first."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.desk, self.seen = Desk(folder, simulator, changes=SETTINGS), dict[str, dict[str, Any]]()

    def run(self, moment: str, job: str, session: date, config: dict[str, dict[str, Any]]) -> None:
        """Run a job as the UI does, and keep what Dagster shows then."""
        report = self.desk.job(job, [session], config)
        assert report.success, report.error
        self.look(moment)

    def look(self, moment: str) -> None:
        with dagster_instance(self.desk.settings) as instance:
            self.seen[moment] = {name: _shown(instance, name) for name in ASSETS}


def _shown(instance: dg.DagsterInstance, name: str) -> dict[str, Any]:
    """Materialized sessions, the newest materialization, and the newest result of the check `complete` by session."""
    key = dg.AssetKey(name)
    partitions = sorted(instance.get_materialized_partitions(key))
    checks = {}
    for session in (OPEN, NEXT):
        if (found := _check(instance, name, session)) is not None:
            checks[session] = found
    records = instance.fetch_materializations(key, limit=100).records
    return {"partitions": partitions, "checks": checks, "events": [record.asset_materialization for record in records]}


def _check(instance: dg.DagsterInstance, name: str, session: date) -> Any:
    """The newest result of `complete` for a session: whether it passed, severity, description; None where none was
    planned."""
    key, wanted = dg.AssetCheckKey(dg.AssetKey(name), "complete"), PartitionKeyFilter(key=session.isoformat())
    records = instance.event_log_storage.get_asset_check_execution_history(key, 1, partition_filter=wanted)
    if not records:
        return None
    assert records[0].status is not AssetCheckExecutionRecordStatus.PLANNED, "it is shown as never executed"
    result = records[0].event.dagster_event.asset_check_evaluation_data
    return records[0].status is AssetCheckExecutionRecordStatus.SUCCEEDED, result.severity, result.description


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with Simulator(GeneratedMarket(seed=42), now=at(f"{OPEN}T12:00-05:00"), limits=False) as simulator:
        found = Story(tmp_path_factory.mktemp("lake"), simulator)
        found.run("set up at noon", "setup_symbol", OPEN, {"contracts": {"symbols": ["aapl"]}})
        found.desk.move(f"{OPEN}T16:45-05:00")
        found.run("after the close", "daily_update", OPEN, {})
        found.desk.move(f"{NEXT}T16:45-05:00")
        Universe(found.desk.settings.state_url).add(["MSFT"])
        simulator.faults.add(on="historical_data", contract="MSFT", do="not_permitted", times=0)
        found.run("MSFT is refused", "daily_update", NEXT, {})
        found.run("AAPL again", "backfill_bars", NEXT, {"equity_bars": {"symbols": ["AAPL"], "refresh": True}})
        simulator.faults.clear()
        found.run(
            "MSFT at last",
            "backfill_bars",
            NEXT,
            {"equity_bars": {"symbols": ["MSFT"], "refresh": True, "lookback_days": 6}},
        )
        yield found


def test_one_field_sets_a_symbol_up_with_its_history_and_adds_it_to_the_universe(story: Story) -> None:
    assert Universe(story.desk.settings.state_url).active() == ["AAPL", "MSFT"]
    history = ["2025-11-13", "2025-11-14", "2025-11-17", "2025-11-18"]
    for name in ("equity_bars", "option_bars"):
        assert story.seen["set up at noon"][name]["partitions"] == history


def test_before_the_close_bars_are_pending_and_no_failure(story: Story) -> None:
    for name in ("equity_bars", "option_bars"):
        shown = story.seen["set up at noon"][name]
        assert OPEN.isoformat() not in shown["partitions"]
        passed, _, sentence = shown["checks"][OPEN]
        assert passed
        assert sentence == f"Session {OPEN} closes at 16:00 New York; its bars are collected from 16:30 on."
        assert OPEN.isoformat() in story.seen["after the close"][name]["partitions"]
    for name in ("contracts", "option_chains"):
        assert story.seen["set up at noon"][name]["partitions"] == [OPEN.isoformat()]


def test_a_session_that_lacks_a_symbol_is_not_materialized_and_says_so(story: Story) -> None:
    shown = story.seen["MSFT is refused"]["equity_bars"]
    assert NEXT.isoformat() not in shown["partitions"]
    passed, severity, sentence = shown["checks"][NEXT]
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert sentence.startswith(f"Session {NEXT} lacks: 1 not_permitted. First: MSFT 1 day:")
    assert OPEN.isoformat() in shown["partitions"], "what was collected before MSFT joined stays"


def test_a_run_of_another_symbol_does_not_make_the_session_green(story: Story) -> None:
    shown = story.seen["AAPL again"]["equity_bars"]
    assert NEXT.isoformat() not in shown["partitions"]
    assert not shown["checks"][NEXT][0]


def test_the_run_that_brings_the_rest_does(story: Story) -> None:
    shown = story.seen["MSFT at last"]["equity_bars"]
    assert NEXT.isoformat() in shown["partitions"]
    assert shown["checks"][NEXT] == (
        True,
        dg.AssetCheckSeverity.WARN,
        f"All that is wanted of session {NEXT} is in the lake.",
    )


def test_the_newest_event_shows_the_archive_and_each_partition_its_rows(story: Story) -> None:
    for name in ASSETS:
        newest, *others = story.seen["after the close"][name]["events"]
        stored = story.desk.rows(
            f"select session, count(*) as n from {name} where session <= date '{OPEN}' and symbol = 'AAPL' group by"
            " session"
        )
        rows = {f"{row.session:%Y-%m-%d}": row.n for row in stored.itertuples()}
        shown = {key: value.value for key, value in newest.metadata.items()}
        assert newest.partition == OPEN.isoformat()
        assert shown["dagster/row_count"] == sum(rows.values())
        assert {"rows_by_symbol", "conditions", "requests_sent", "window", "dagster/uri"} <= shown.keys()
        assert ("last_rows" in shown) == bool(shown["rows"])
        for event in (newest, *others):
            assert event.metadata["dagster/partition_row_count"].value == rows[event.partition]


def test_nothing_is_out_of_date_after_a_set_up(story: Story) -> None:
    """Dagster compares the versions of an asset's data with those that its consumers were made of: every event carries
    them."""
    for shown in story.seen["after the close"].values():
        assert {event.tags["dagster/data_version"] for event in shown["events"]} == {CODE_VERSION}
    for event in story.seen["after the close"]["option_bars"]["events"]:
        for upstream in ("contracts", "option_chains", "equity_bars"):
            assert event.tags[f"dagster/input_data_version/{upstream}"] == CODE_VERSION


def test_what_is_left_to_a_later_run_is_not_green(story: Story) -> None:
    """Before the first session of a symbol the lake has no condition of it: the check names what the run deferred all
    the same."""
    early = [date(2025, 11, 3), date(2025, 11, 4)]
    report = story.desk.job(
        "backfill_bars", early, {name: {"max_requests": 0} for name in ("equity_bars", "option_bars")}
    )
    assert report.success
    with dagster_instance(story.desk.settings) as instance:
        for name in ("equity_bars", "option_bars"):
            assert not {f"{day}" for day in early} & instance.get_materialized_partitions(dg.AssetKey(name))
            for day in early:
                passed, severity, sentence = _check(instance, name, day)
                assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
                assert "deferred" in sentence


def test_a_partition_that_the_config_leaves_out_is_told_of(story: Story) -> None:
    first, last = date(2025, 11, 17), date(2025, 11, 18)
    assert story.desk.job("backfill_bars", [first, last], {"equity_bars": {"first_session": f"{last}"}}).success
    with dagster_instance(story.desk.settings) as instance:
        passed, _, sentence = _check(instance, "equity_bars", first)
        assert passed
        assert sentence.startswith(f"The run collected nothing of session {first}, as its config says.")


def test_a_symbol_that_was_never_collected_is_missing(tmp_path: Path, story: Story) -> None:
    """Whoever runs for another symbol does not make its sessions green."""
    desk = Desk(tmp_path, story.desk.simulator, changes=SETTINGS)
    assert desk.setup("AAPL", lookback_days=3).success
    Universe(desk.settings.state_url).add(["MSFT"], now=desk.settings.clock())
    for symbols in ([], ["AAPL"]):
        assert desk.job("backfill_bars", [NEXT], {"equity_bars": {"symbols": symbols, "refresh": True}}).success
        with dagster_instance(desk.settings) as instance:
            passed, severity, _ = _check(instance, "equity_bars", NEXT)
            assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    Universe(desk.settings.state_url).remove(["MSFT"])
    assert desk.job("backfill_bars", [NEXT], {"equity_bars": {"symbols": ["AAPL"], "refresh": True}}).success
    with dagster_instance(desk.settings) as instance:
        assert _check(instance, "equity_bars", NEXT)[0], "an inactive one is not wanted any more"


def test_a_result_that_a_failed_run_planned_is_ended_by_the_run_that_brings_the_data(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=at(f"{OPEN}T16:45-05:00"), limits=False) as simulator:
        desk = Desk(tmp_path, simulator, changes={**SETTINGS, "reconnect_timeout": 0.5})
        assert desk.setup("AAPL", lookback_days=3).success
        desk.move(f"{NEXT}T16:45-05:00")
        desk.changes["ib_port"] = 1
        assert not desk.job("backfill_bars", [NEXT], {}).success, "nobody listens there"
        del desk.changes["ib_port"]
        desk.move("2025-11-21T16:45-05:00")
        assert desk.update().success
        with dagster_instance(desk.settings) as instance:
            assert _check(instance, "equity_bars", NEXT)[0]


def test_a_symbol_without_options_lacks_none(open_desk: OpenDesk) -> None:
    day = date(2015, 12, 24)
    desk = open_desk(f"{day}T13:30-05:00", options=SMALL)
    desk.setup("BAC", "GOOG", lookback_days=0)
    assert "BAC" not in set(desk.rows("select distinct symbol from option_chains")["symbol"])
    with dagster_instance(desk.settings) as instance:
        for name in ASSETS:
            assert day.isoformat() in instance.get_materialized_partitions(dg.AssetKey(name)), name
        assert _check(instance, "option_bars", day)[0]


def test_a_refused_bar_size_that_the_settings_do_not_want_is_told(tmp_path: Path, story: Story) -> None:
    desk = Desk(tmp_path, story.desk.simulator, changes=SETTINGS)
    assert desk.setup("AAPL", lookback_days=3).success
    story.desk.simulator.faults.add(on="historical_data", contract="AAPL", do="not_permitted", times=0)
    try:
        assert desk.job("backfill_bars", [OPEN, NEXT], {"equity_bars": {"bar_sizes": ["1 hour"]}}).success
    finally:
        story.desk.simulator.faults.clear()
    with dagster_instance(desk.settings) as instance:
        for session in (OPEN, NEXT):
            passed, severity, sentence = _check(instance, "equity_bars", session)
            assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
            assert "AAPL 1 hour" in sentence


def test_a_run_without_symbols_is_refused(tmp_path: Path, story: Story) -> None:
    desk = Desk(tmp_path, story.desk.simulator)
    for job in ("setup_symbol", "snapshot", "backfill_bars", "daily_update"):
        report = desk.job(job, [NEXT], {})
        assert not report.success
        assert report.error.startswith("There is no symbol to collect: the universe is empty, and the run names none.")
    with dagster_instance(desk.settings) as instance:
        assert not any(instance.get_materialized_partitions(dg.AssetKey(name)) for name in ASSETS)
