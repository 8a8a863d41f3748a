"""The scheduled snapshot quotes a chain of the morning again: better quotes replace older ones, and none is lost or
asked twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.selection_rules import SelectionRules
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at, set_up

MONDAY = date(2025, 11, 24)


@pytest.fixture
def morning(tmp_path: Path) -> Iterator[Desk]:
    """AAPL's chain, taken shortly after Monday's open; then the afternoon."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-24T09:40-05:00")) as simulator:
        desk = set_up(tmp_path, simulator, "AAPL", SMALL, lookback_days=5, changes={"enforce_pacing": True})
        desk.move("2025-11-24T15:46-05:00")
        desk.forget()
        yield desk


def requoted(desk: Desk, minutes: int | None = 60) -> Collected:
    """What a run collects; it is for the caller to write it, or to die before."""
    with Archive(desk.settings) as archive:
        current = archive.calendar.current(archive.now)
        rules = SelectionRules(max_days_to_expiry=8, strikes_around_spot=2)
        after = None if minutes is None else timedelta(minutes=minutes)
        entries = archive.universe.resolve(["AAPL"])
        return collect_option_chains(
            archive, entries, current, contracts=archive.view(CONTRACTS), rules=rules, requote_after=after
        )


def quotes(desk: Desk) -> pd.DataFrame:
    where = f"session = date '{MONDAY}' and selected"
    return desk.rows(
        f"select con_id, quoted_at, bid, ask, underlying_price from option_chains where {where} order by con_id"
    ).set_index("con_id")


def written(desk: Desk, collected: Collected) -> None:
    with Archive(desk.settings) as archive:
        archive.write(collected)


def test_old_quotes_are_taken_again_and_kept_as_revisions(morning: Desk) -> None:
    before = quotes(morning)
    written(morning, requoted(morning))
    after = quotes(morning)
    assert morning.asked() == {"quote": len(before)}
    assert set(after.index) == set(before.index)
    assert (after["quoted_at"] - before["quoted_at"] > timedelta(hours=6)).all()
    assert len(morning.rows("select 1 from revisions_option_chains")) == len(before)
    morning.forget()
    written(morning, requoted(morning))
    assert morning.asked() == {}, "these are fresh"


def test_a_quote_that_fails_leaves_the_earlier_one(morning: Desk) -> None:
    before = quotes(morning)
    morning.simulator.faults.add(on="market_data", nth=2, do="not_subscribed")
    collected = requoted(morning)
    written(morning, collected)
    after = quotes(morning)
    assert len(collected.report.problems) == 1
    assert (after["quoted_at"] == before["quoted_at"]).sum() == 1
    assert after["bid"].notna().equals(before["bid"].notna())


@pytest.mark.parametrize("later", ["the same day", "the next day"])
def test_killed_before_the_write_the_answers_are_taken_from_the_journal(morning: Desk, later: str) -> None:
    before = quotes(morning)
    lost = requoted(morning)  # and not written: killed
    assert len(lost.request_ids) == len(before)
    if later == "the next day":
        morning.move("2025-11-25T15:46-05:00")
    morning.forget()
    written(morning, requoted(morning, None))
    if later == "the same day":
        assert morning.asked() == {}, "no quote is asked for twice"
    after = quotes(morning)
    assert (after["quoted_at"] > before["quoted_at"]).all(), "what was answered is in the lake"
    with Archive(morning.settings) as archive:
        assert archive.journal.unapplied(["option_chains"]) == []
