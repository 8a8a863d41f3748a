"""The recorded SPX days replayed one after the other: 24 chains land as recorded, the missing days and the holiday copy
are told.

The recording lacks the sessions 2019-05-10 and 05-17 and holds a copy of 05-24 under 05-27, a holiday. It has chains
only, so the days are collected by the snapshot job; the bars of SPX are another matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
import pytest

from trading_assets.jobs.runner import RunReport
from trading_assets.monitoring import agenda
from trading_assets.monitoring.skips import Skip
from trading_assets.sessions import calendar
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import Desk
from trading_assets_tests.scenarios.directly import snapshot
from trading_assets_tests.scenarios.sources import Sources

RECORDING = "option_chain_quotes_spx_2019"
MISSING = [date(2019, 5, 10), date(2019, 5, 17)]
HOLIDAY = date(2019, 5, 27)
BEFORE_HOLIDAY = date(2019, 5, 24)
CONFIG: dict[str, dict[str, Any]] = {
    "contracts": {"symbols": ["SPX"], "add_to_universe": True},
    "option_chains": {
        "symbols": ["SPX"],
        "selection": {"max_days_to_expiry": 4, "strikes_around_spot": 3, "trading_classes": ["SPXW"]},
    },
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("spx")]  # one replay for all


@dataclass
class Replay:
    """The days as they came, each with the report of its run and what was asked of the broker."""

    desk: Desk
    runs: dict[date, RunReport] = field(default_factory=dict)
    asked: dict[date, dict[str, int]] = field(default_factory=dict)
    reasons_on_holiday: list[str] = field(default_factory=list)
    commands: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def day(self, day: date) -> None:
        """What happens a quarter of an hour before the usual close of a day: the snapshot job on the current session,
        on days like any other its steps alone."""
        self.desk.move(f"{day}T15:45-04:00")
        self.desk.forget()
        settings = self.desk.settings
        if self.runs and day not in (*MISSING, BEFORE_HOLIDAY, HOLIDAY):
            self.runs[day] = RunReport("snapshot", "", success=True, reports=snapshot(settings, CONFIG))
        else:
            self.runs[day] = self.desk.job("snapshot", [calendar().current(settings.clock())], CONFIG)
        self.asked[day] = self.desk.asked()

    def sessions(self) -> list[date]:
        """The sessions of the replay."""
        return calendar().sessions(min(self.runs), max(self.runs))

    def recorded(self) -> list[date]:
        """The sessions with a recorded chain."""
        return [day for day in self.sessions() if day not in MISSING]


@pytest.fixture(scope="module")
def replay(open_desk: OpenDesk, sources: Sources) -> Replay:
    """Every day from the first to the last recorded one on which somebody might have collected: sessions and the
    holiday."""
    days = sorted({*sources.read(RECORDING)["quote_date"], *MISSING})
    replay = Replay(open_desk(f"{days[0]}T15:45-04:00"))
    for day in days:
        replay.day(day)
        if day == HOLIDAY:
            settings = replay.desk.settings
            decided = [
                decide(settings, settings.clock())
                for decide in (agenda.daily_snapshot, agenda.last_chance, agenda.stale_chains)
            ]
            replay.reasons_on_holiday = [each.reason for each in decided if isinstance(each, Skip)]
    with pytest.MonkeyPatch.context() as patch:
        period = ["--dataset", "option_chains", "--from", str(days[0]), "--to", str(days[-1])]
        replay.commands["coverage"] = replay.desk.command(patch, "coverage", "SPX", "--by-session", *period)
        replay.commands["counts"] = replay.desk.command(patch, "coverage", "SPX", *period)
        replay.commands["validate"] = replay.desk.command(
            patch, "validate", "SPX", "--dataset", "option_chains", "--dataset", "contracts"
        )
    return replay


def test_24_sessions_are_recorded_and_two_are_not(replay: Replay, sources: Sources) -> None:
    recorded = set(sources.read(RECORDING)["quote_date"])
    assert HOLIDAY in recorded
    assert sorted(recorded - {HOLIDAY}) == replay.recorded()
    assert len(replay.recorded()) == 24


def test_every_recorded_session_is_complete(replay: Replay) -> None:
    assert [day for day in replay.recorded() if not replay.runs[day].complete] == []
    stored = replay.desk.rows(
        "select session, count(*) as n from option_chains where quote_outcome = 'complete' and ask is not null group by"
        " session"
    )
    assert sorted(stored["session"]) == replay.recorded()


def test_selected_contracts_are_quoted_with_the_values_of_the_recording(replay: Replay, sources: Sources) -> None:
    columns = {
        "bid": "bid",
        "ask": "ask",
        "last": "last",
        "volume": "volume",
        "open_interest": "open_interest",
        "underlying_price": "underlying_price",
    }
    recorded = sources.read(RECORDING).set_index(["quote_date", "osi"])
    stored = (
        replay.desk.rows("select * from option_chains where selected")
        .set_index(["session", "local_symbol"])
        .sort_index()
    )
    stored = stored.drop(index=MISSING, level="session")
    assert len(stored) > 24 * 12
    expected = recorded.loc[stored.index, list(columns)].astype(float)
    for name in ("bid", "ask", "last"):
        expected[name] = expected[name].where(expected[name] > 0)  # 0 is written for "none"
    pd.testing.assert_frame_equal(stored[list(columns.values())], expected, check_names=False, check_index_type=False)
    volatility = recorded.loc[stored.index, "iv"]
    computed = volatility > 0
    assert computed.mean() > 0.8
    pd.testing.assert_series_equal(
        stored.loc[computed, "implied_volatility"], volatility[computed], check_names=False, check_index_type=False
    )


def test_the_listing_of_a_session_is_the_recorded_one(replay: Replay, sources: Sources) -> None:
    recorded = sources.read(RECORDING)
    stored = replay.desk.rows("select session, local_symbol, expiry from option_chains")
    for day in (replay.recorded()[0], replay.recorded()[-1]):
        found = stored[stored["session"] == day]
        near = recorded[
            (recorded["quote_date"] == day)
            & recorded["expiry"].isin(set(found["expiry"]))
            & (recorded["trading_class"] == "SPXW")
        ]
        assert set(found["local_symbol"]) == set(near["osi"])


def test_a_session_without_market_data_is_told_and_never_taken_for_complete(replay: Replay) -> None:
    for day in MISSING:
        report = replay.runs[day].reports[-1]
        (problem,) = report.problems
        assert (problem.symbol, problem.kind) == ("SPX", "failed")
        assert f"holds a value: the broker has no market data of session {day}." in problem.sentence
    values = replay.desk.rows(
        f"select count(*) as n from option_chains where session in ('{MISSING[0]}', '{MISSING[1]}') and coalesce(bid,"
        " ask, last) is not null"
    )
    assert values["n"][0] == 0, "the quotes of the day before are not those of this one"


def test_the_coverage_command_tells_each_session_once(replay: Replay) -> None:
    code, rows = replay.commands["coverage"]
    assert code == 0
    told = {row["session"]: row for row in rows}
    assert sorted(told) == [str(day) for day in replay.sessions()]
    assert len(rows) == len(told)
    without_greeks = set(
        replay.desk.rows("select distinct session from option_chains where selected and delta is null")["session"]
    )
    assert len(without_greeks - {*MISSING}) == 3, "a quote of each of these sessions has none in the recording"
    partial = {*MISSING, *without_greeks}
    assert {day: told[str(day)]["condition"] for day in replay.sessions()} == {
        day: "partial" if day in partial else "complete" for day in replay.sessions()
    }
    for day in without_greeks - {*MISSING}:
        assert told[str(day)]["reason"] == "1 of 36 quotes lacks greeks."
    for day in MISSING:
        assert f"no market data of session {day}" in told[str(day)]["reason"]
    counts = Counter({row["condition"]: row["sessions"] for row in replay.commands["counts"][1]})
    assert counts == {"complete": 21, "partial": 5}


def test_on_the_holiday_nothing_is_asked_and_the_reason_is_told(replay: Replay) -> None:
    assert replay.asked[HOLIDAY] == {}
    assert replay.runs[HOLIDAY].complete
    assert sum(report.rows for report in replay.runs[HOLIDAY].reports) == 0
    snapshot, last_chance, stale = replay.reasons_on_holiday
    assert snapshot.startswith(
        f"The exchange is closed on Monday {HOLIDAY}. The snapshot of session {BEFORE_HOLIDAY} is complete"
    )
    assert last_chance.startswith(f"The exchange is closed on Monday {HOLIDAY}.")
    assert "no session has begun" in stale
    stored = replay.desk.rows(
        "select distinct session from option_chains union select distinct session from coverage where symbol = 'SPX'"
    )
    assert HOLIDAY not in set(stored["session"])


def test_a_backfill_of_the_holiday_is_refused(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = replay.desk.command(monkeypatch, "backfill", "SPX", "--from", str(HOLIDAY), "--to", str(HOLIDAY))
    assert (code, document) == (2, None)
    assert f"There is no trading session from {HOLIDAY} to {HOLIDAY}." in " ".join(capsys.readouterr().err.split())


def test_the_rules_name_the_two_missing_days_and_accuse_no_other(replay: Replay) -> None:
    code, document = replay.commands["validate"]
    failing = {rule["rule"]: rule for rule in document["rules"] if not rule["passed"]}
    accused = {name: sorted(row["session"] for row in rule["rows"]) for name, rule in failing.items()}
    missing = [str(day) for day in MISSING]
    assert accused == {"chain_each_session": missing, "open_interest_present": missing}
    assert code == 0, "warnings are told and block nothing"
    examined = {rule["rule"]: rule["examined"] for rule in document["rules"]}
    assert examined["not_a_copy"] >= 24
    assert examined["bid_not_above_ask"] > 24 * 12


def test_each_day_costs_its_increment(replay: Replay) -> None:
    first, *others = replay.recorded()
    assert replay.asked[first]["contract"] == 1
    assert all(replay.asked[day]["parameters"] == replay.asked[day]["spot"] == 1 for day in replay.recorded())
    assert all(replay.asked[day].get("listing", 0) <= replay.asked[first]["listing"] + 1 for day in others)
