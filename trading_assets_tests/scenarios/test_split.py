"""AAPL before and after its 7:1 split of 2014-06-09, and the session after: one archive, nothing lost, nothing asked
twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pandas as pd
import pytest

from trading_assets.jobs.orchestrator import Operation
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import Desk, planned, sent
from trading_assets_tests.scenarios.sources import PRICES, Sources

BEFORE, SPLIT_DAY, AFTER = date(2014, 6, 6), date(2014, 6, 9), date(2014, 6, 10)
LOOKBACK = 30
RULES = {"option_chains": {"selection": {"max_days_to_expiry": 20, "strikes_around_spot": 3}}}


class Story:
    """What happened: three collections, one after each close, and what each of them asked."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._told(lambda: desk.setup("AAPL", lookback_days=LOOKBACK))
        self.old_bars = self._bars()
        desk.move("2014-06-09T16:30-04:00")
        self.split, self.asked_on_split = self._told(lambda: desk.setup("AAPL", lookback_days=LOOKBACK))
        self.new_bars = self._bars()
        self.again, self.asked_again = self._told(lambda: desk.setup("AAPL", lookback_days=LOOKBACK))
        self.third, self.asked_third = self._told(lambda: desk.setup("AAPL", lookback_days=LOOKBACK))
        self.connections_of_third = desk.connections()
        desk.move("2014-06-10T16:30-04:00")
        self.after, self.asked_after = self._told(desk.update)

    def _told(self, operation: Callable[[], Operation]) -> tuple[Operation, dict[str, int]]:
        self.desk.forget()
        done = operation()
        assert done.success, done.as_dict()["problems"] or done.as_dict()["errors"]
        assert planned(done) == sent(done) == sum(self.desk.asked().values())
        return done, self.desk.asked()

    def _bars(self) -> pd.DataFrame:
        rows = self.desk.rows("select * from equity_bars where bar_size = '1 day'")
        return rows.set_index("session")[[*PRICES, "volume", "collected_at"]].sort_index()


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("split")]  # what they look at is collected once


@pytest.fixture(scope="module")
def story(open_desk: OpenDesk) -> Story:
    return Story(open_desk("2014-06-06T16:30-04:00", options=RULES))


def test_before_the_split_prices_stand_in_the_shares_of_that_day(story: Story, sources: Sources) -> None:
    recorded = sources.equity_days("AAPL", BEFORE - timedelta(days=LOOKBACK), BEFORE).astype(float)
    pd.testing.assert_frame_equal(
        story.old_bars[[*PRICES, "volume"]], recorded, check_names=False, check_index_type=False
    )
    assert story.old_bars["close"].iloc[-1] > 600


def test_the_restated_bars_replace_the_old_ones(story: Story, sources: Sources) -> None:
    recorded = sources.equity_days("AAPL", BEFORE - timedelta(days=LOOKBACK), SPLIT_DAY).astype(float)
    old = recorded.index <= BEFORE
    recorded.loc[old, PRICES] = (recorded.loc[old, PRICES] / 7).round(6)
    recorded.loc[old, "volume"] *= 7
    pd.testing.assert_frame_equal(
        story.new_bars[[*PRICES, "volume"]], recorded, check_names=False, check_index_type=False, rtol=0, atol=1.1e-6
    )


def test_the_old_bars_are_kept_as_revisions(story: Story) -> None:
    kept = story.desk.rows("select * from revisions_equity_bars").set_index("session").sort_index()
    assert list(kept.index) == list(story.old_bars.index)
    pd.testing.assert_frame_equal(kept[[*PRICES, "volume", "collected_at"]], story.old_bars, check_index_type=False)


def test_reading_the_history_anew_costs_one_request(story: Story) -> None:
    assert story.asked_on_split["equity bars"] == 2, "the increment, which shows the split, and the history"
    notes = [note for run in story.split.runs for report in run.reports for note in report.notes]
    assert any("restated by 0.142857" in note for note in notes)


def test_the_split_lists_every_expiry_again_but_resolves_nothing(story: Story, sources: Sources) -> None:
    chain = sources.chain("AAPL", SPLIT_DAY, 20)
    selected = 2 * 2 * 3 * chain["expiry"].nunique()
    assert story.asked_on_split == {
        "parameters": 1,
        "listing": chain["expiry"].nunique(),
        "spot": 1,
        "quote": selected,
        "equity bars": 2,
        "option bars": selected,
    }


def test_both_chains_are_told_apart(story: Story, sources: Sources) -> None:
    rows = story.desk.rows("select * from option_chains")
    old, new = rows[rows["session"] == BEFORE], rows[rows["session"] == SPLIT_DAY]
    assert set(new["local_symbol"]) == set(sources.chain("AAPL", SPLIT_DAY, 20)["osi"])
    assert not set(old["local_symbol"]) & set(new["local_symbol"])
    assert not set(old["con_id"]) & set(new["con_id"])
    assert 490.0 in set(old["strike"])
    assert 490.0 not in set(new["strike"])
    strikes = set(sources.chain("AAPL", SPLIT_DAY, 20)["strike"])
    assert {70.71, 71.43} <= strikes, "495 and 500 divided by seven"
    assert set(new["strike"]) == strikes
    assert old.loc[old["selected"], "strike"].between(500, 800).all()
    assert new.loc[new["selected"], "strike"].between(80, 110).all()


def test_option_bars_of_both_chains_stand_side_by_side(story: Story, sources: Sources) -> None:
    stored = story.desk.rows("select * from option_bars where bar_size = '1 day' and session <= '2014-06-09'")
    chosen = story.desk.rows(
        "select distinct local_symbol, session from option_chains where selected and session <= '2014-06-09'"
    )
    found = stored.set_index(["local_symbol", "session"])[[*PRICES, "volume"]].sort_index()
    parts = [
        sources.option_days("AAPL", set(chosen.loc[chosen["session"] == day, "local_symbol"]), day, day)
        for day in (BEFORE, SPLIT_DAY)
    ]
    pd.testing.assert_frame_equal(
        found, pd.concat(parts).sort_index(), check_names=False, check_index_type=False, check_dtype=False
    )
    assert not story.desk.rows("select * from revisions_option_bars").shape[0], (
        "contracts of their own, nothing restated"
    )


def test_the_same_setup_at_the_same_moment_asks_once_more_for_what_quotes_lack_and_then_nothing(story: Story) -> None:
    partial = story.desk.rows(
        "select count(*) as n from option_chains where session = '2014-06-09' and quote_outcome = 'partial'"
    )["n"][0]
    assert story.asked_again == {"quote": partial}, "open interest was not published"
    assert story.asked_third == {}
    assert story.connections_of_third == 0


def test_the_next_session_costs_its_increment_only(story: Story) -> None:
    selected = story.desk.rows("select count(*) as n from option_chains where selected and session = '2014-06-10'")[
        "n"
    ][0]
    assert selected > 0
    assert story.asked_after == {
        "parameters": 1,
        "spot": 1,
        "quote": selected,
        "equity bars": 1,
        "option bars": selected,
    }


def test_the_increment_adds_one_session_and_revises_nothing(story: Story, sources: Sources) -> None:
    bars = story.desk.rows("select * from equity_bars where bar_size = '1 day' order by session")
    assert list(bars["session"])[-2:] == [SPLIT_DAY, AFTER]
    assert bars["close"].iloc[-1] == sources.equity_days("AAPL", AFTER, AFTER)["close"].iloc[0]
    assert len(story.desk.rows("select * from revisions_equity_bars")) == len(story.old_bars)


def test_the_unadjusted_chain_of_the_day_before_is_still_there(story: Story) -> None:
    sessions = story.desk.rows("select distinct session from option_chains order by session")["session"]
    assert list(sessions) == [BEFORE, SPLIT_DAY, AFTER]
