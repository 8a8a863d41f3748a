"""The assets of live data: a run seals and merges, records the sessions with rows, and may be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from trading_assets.bar_sizes import BAR_SECONDS
from trading_assets.definitions import build_defs
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.live_agenda import LIVE_MERGE, live_merge
from trading_assets.repositories import EquityBarRepository, LakeIdentity
from trading_assets.repositories.live.agreement import agreement
from trading_assets.repositories.live.merging import merge_session
from trading_assets.repositories.live.places import live_sessions, segments
from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_DATASETS, LIVE_QUOTES
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.streaming.store import LiveWriter
from trading_assets.streaming.store.finishing import seal_recorded
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.streaming.live_rows import SESSION, START, at, bar, gap, quote
from trading_assets_tests.streaming.store.test_recovery import record_and_die

AFTER = START + timedelta(hours=5)
"""After the close of the half day."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a lake, after the session."""
    LakeIdentity(tmp_path).pin("simulated/generated/42")
    return Settings(data_dir=tmp_path, now=AFTER, ib_port=1)  # type: ignore[call-arg]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that keeps nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = build_defs(**{name: getattr(settings, name) for name in ("data_dir", "now", "ib_port")})
    return defs.resolve_job_def(LIVE_MERGE).execute_in_process(partition_key=f"{SESSION}", instance=instance)


def test_a_run_seals_merges_and_records_what_has_rows_and_again_changes_nothing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    writer = LiveWriter(settings.data_dir)
    writer.append([quote(n, 1000 + n % 2) for n in range(10)], [], [gap(1, ended=2)])
    writer.flush()
    for rows in (10, 11):
        result = run(settings, instance)
        events = {event.asset_key.to_user_string(): event for event in result.get_asset_materialization_events()}
        assert events.keys() == {"live_quotes", "live_gaps"}, "no bar was streamed"
        shown = events["live_quotes"].materialization.metadata
        assert (shown["dagster/partition_row_count"].value, shown["rows_by_symbol"].value) == (rows, {"SPX": rows})
        (check,) = result.get_asset_check_evaluations()
        assert check.passed and "nothing to compare" in str(check.description)
        assert all(live_sessions(settings.data_dir, dataset) == [] for dataset in LIVE_DATASETS)
        writer.append([quote(10)])
        writer.flush()
    writer.close()
    stored = live_table(settings.data_dir, LIVE_QUOTES, SESSION)["seq"].to_pylist()
    assert stored == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9]


def test_what_a_dead_recorder_left_is_sealed_and_still_found_by_the_next_one(
    settings: Settings, forks: ForkServer
) -> None:
    forks.run(record_and_die, settings.data_dir, [quote(1), quote(900)], [])
    assert seal_recorded(settings.data_dir, [SESSION]) and segments(settings.data_dir, LIVE_QUOTES) == []
    again = LiveWriter(settings.data_dir, clock=at(1000))
    assert {(found.began, found.ended) for found in again.recovered.gaps} == {(quote(900).received_at, None)}
    again.close()


def test_the_agenda_merges_sessions_that_are_over(settings: Settings) -> None:
    assert "merged" in str(live_merge(settings, AFTER))
    writer = LiveWriter(settings.data_dir)
    writer.append([quote(1)])
    writer.close()
    assert "when its bars are due" in str(live_merge(settings, START + timedelta(hours=1)))
    wanted = live_merge(settings, AFTER)
    assert isinstance(wanted, WantedRun) and (wanted.first, wanted.last, wanted.job) == (SESSION, SESSION, LIVE_MERGE)


@pytest.mark.parametrize(("close", "differing"), [(10.5, 0), (10.9, 1)])
def test_streamed_bars_are_compared_with_complete_minutes(settings: Settings, close: float, differing: int) -> None:
    folder = settings.data_dir
    frame = pd.DataFrame(
        {
            "session": SESSION,
            "symbol": "SPX",
            "con_id": 1000,
            "start": [pd.Timestamp(START), pd.Timestamp(START) + pd.Timedelta(minutes=1)],
            "open": 10.0,
            "high": 11.0,
            "low": 9.0,
            "close": [close, 10.0],
            "volume": 60.0,
            "wap": 10.1,
            "bar_count": 36,
        }
    )
    EquityBarRepository(data_dir=folder).save(frame, symbol="SPX", bar_size="1 min")
    writer = LiveWriter(folder)
    bars = [replace(bar(n, close=10.5), symbol="SPX") for n in range(20)]
    writer.append([], bars)
    writer.close()
    seal_recorded(folder, [SESSION])
    merge_session(folder, LIVE_BARS, SESSION)
    found = agreement(folder, [SESSION], calendar(), BAR_SECONDS)
    assert (found.compared, found.differing.num_rows) == (1, differing), "the second minute is not complete"
