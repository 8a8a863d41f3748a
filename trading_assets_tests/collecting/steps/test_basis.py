"""All stored bars of a symbol stay on one basis, whatever the broker restates and when: collected over the wire session
by session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from math import log
from pathlib import Path
from typing import Any

import pytest

from trading_assets import connect
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.corporate_actions import ActionKind, CorporateAction, MarketWithActions
from trading_assets.validation import RULES, validate
from trading_assets_tests.rewriting import collect, rows, settings_for

ACTION = date(2024, 6, 6)
SIZES = ("1 day", "1 hour")
SPLIT, REVERSE, SPIN_OFF = ActionKind.SPLIT, ActionKind.REVERSE_SPLIT, ActionKind.SPIN_OFF


def act(symbol: str, kind: ActionKind, ratio: float, day: date = ACTION, **how: Any) -> CorporateAction:
    return CorporateAction(symbol, day, kind, ratio, **how)


def penny(symbol: str, price_ratio: float = 0.01) -> CorporateAction:
    """Makes a stock cheap long before."""
    return act(symbol, SPIN_OFF, price_ratio, date(2020, 1, 2))


ACTIONS = [
    *(penny("REV"), act("REV", REVERSE, 20.0)),
    *(penny("REVD"), act("REVD", REVERSE, 20.0, digits=4)),
    *(penny("TWICE"), act("TWICE", SPLIT, 1 / 3, date(2024, 5, 16)), act("TWICE", REVERSE, 20.0)),
    *(penny("CENTS", 0.0003), act("CENTS", REVERSE, 35.0)),
    act("SPIN", SPIN_OFF, 0.9137),
    act("SPEC", ActionKind.SPECIAL_DIVIDEND, 0.7),
    act("LAG", SPLIT, 0.25, lag=1),
    act("LATER", SPLIT, 2 / 3, lag=3, restates_volume=False),
    act("STOCK", ActionKind.STOCK_DIVIDEND, 1 / 1.05, lag=2),
    act("PARTS", SPLIT, 0.25, parts=3),
    act("PART", SPLIT, 0.25, left_out=2),
    *(act("TWO", SPLIT, 0.5), act("TWO", ActionKind.STOCK_DIVIDEND, 1 / 1.1, date(2024, 6, 11), lag=1)),
]
SYMBOLS = sorted({action.symbol for action in ACTIONS})


COLUMNS = "symbol, bar_size, start, session, open, high, low, close, volume, wap, bar_count"
ORDER = "order by symbol, bar_size, start"


class Desk:
    """A data folder and the simulated broker it is filled from."""

    def __init__(
        self, folder: Path, actions: Sequence[CorporateAction], now: str, simulator: Simulator | None = None
    ) -> None:
        self.folder, self.port = folder, 1
        instant = datetime.fromisoformat(now)
        self.simulator = simulator or Simulator(MarketWithActions(actions), now=instant, limits=False)

    def move(self, day: date, hour: int = 17) -> None:
        self.simulator.clock.set(datetime(day.year, day.month, day.day, hour, tzinfo=NEW_YORK))
        self.simulator.reset_counters()

    @property
    def settings(self) -> Settings:
        port, now = self.port, self.simulator.clock.now()
        return settings_for(self.folder, port, now, enforce_pacing=False, equity_bar_sizes=SIZES)

    def collect(self, *symbols: str, steps: str = "e", **how: Any) -> CollectionReport:
        self.port = self.simulator.port
        return collect(self.settings, symbols, steps, **{"bar_sizes": SIZES, **how})["e"]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return rows(self.settings, sql)

    def bars(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.rows(f"select {COLUMNS} from equity_bars {ORDER}")]

    def asked(self) -> int:
        return self.simulator.counters.requests.get("historical_data", 0)


def jumps(desk: Desk, symbol: str) -> dict[str, list[date]]:
    """The sessions that open far from the close before, by bar size."""
    found: dict[str, list[date]] = {}
    sql = f"""select bar_size, session, open / lag(close) over (partition by bar_size order by start) as step
              from equity_bars where symbol = '{symbol}' order by bar_size, start"""
    for row in desk.rows(sql):
        days = found.setdefault(row["bar_size"], [])
        if row["step"] is not None and abs(log(row["step"])) > 0.25:
            days.append(row["session"])
    return found


class Walk:
    """What was asked and said in sessions one after the other, and what lies in the lake at the end."""

    def __init__(self, folder: Path, sizes: Sequence[str]) -> None:
        self.sizes = sizes
        self.asked: dict[date, int] = {}
        self.notes: dict[str, list[str]] = {symbol: [] for symbol in SYMBOLS}
        self.desk = Desk(folder / "lake", ACTIONS, "2024-06-05T16:30-04:00")
        with self.desk.simulator:
            self.desk.collect(*SYMBOLS, steps="ce", lookback_days=40, bar_sizes=sizes)
            self.before = self.desk.bars()
            for day in calendar().sessions(ACTION, date(2024, 6, 14)):
                self.desk.move(day)
                report = self.desk.collect(*SYMBOLS, lookback_days=3, bar_sizes=sizes)
                assert report.problems == []
                self.asked[day] = self.desk.asked()
                for note in report.notes:
                    self.notes[note.partition(" ")[0]].append(f"{day:%d}{note.partition(':')[2]}")
            anew = Desk(folder / "anew", ACTIONS, "2024-06-14T17:00-04:00", self.desk.simulator)
            anew.collect(*SYMBOLS, steps="ce", lookback_days=49, bar_sizes=sizes)
            self.anew = anew.bars()


@pytest.fixture(
    scope="module",
    params=[SIZES, pytest.param(("1 day",), marks=pytest.mark.slow)],
    ids=["two bar sizes", "one bar size"],
)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    return Walk(tmp_path_factory.mktemp("basis"), request.param)


def test_the_lake_is_the_one_that_a_collection_at_the_end_makes(walk: Walk) -> None:
    assert [bar[:3] for bar in walk.desk.bars()] == [bar[:3] for bar in walk.anew]
    assert sorted(set(walk.desk.bars()) - set(walk.anew)) == []


def test_only_a_special_dividend_and_what_the_broker_leaves_out_stay_apart(walk: Walk) -> None:
    apart = {symbol: found for symbol in SYMBOLS if any((found := jumps(walk.desk, symbol)).values())}
    assert apart == {
        "SPEC": {size: [ACTION] for size in walk.sizes},
        "PART": {size: [date(2024, 6, 4), ACTION] for size in walk.sizes},
    }
    suspicion = [rule for rule in RULES if rule.name == "split_suspicion"]
    [named] = validate(walk.desk.settings, rules=suspicion, record=False).results
    found = {(row["symbol"], row["session"]) for row in named.rows.to_pylist()}
    assert found == {("PART", date(2024, 6, 4)), ("PART", ACTION)}


def test_a_restatement_is_named_with_its_ratio_on_the_day_it_comes(walk: Walk) -> None:
    said = {symbol: list(dict.fromkeys(note.partition(" (")[0] for note in walk.notes[symbol])) for symbol in SYMBOLS}
    assert said == {
        "REV": ["06 prices were restated by 20"],
        "REVD": ["06 prices were restated by 20"],
        "TWICE": ["06 prices were restated by 20"],
        "CENTS": said["CENTS"],
        "SPIN": ["06 prices were restated by 0.9137"],
        "SPEC": [],
        "LAG": ["07 prices were restated by 0.25"],
        "LATER": ["11 prices were restated by 0.666667"],
        "STOCK": ["10 prices were restated by 0.952381"],
        "PARTS": [f"{day} prices were restated by 0.25" for day in ("06", "07", "10")],
        "PART": ["06 prices were restated by 0.25"],
        "TWO": ["06 prices were restated by 0.5", "12 prices were restated by 0.909091"],
    }
    assert all(note.startswith("06 prices were restated by ") for note in said["CENTS"]), "cents hide the exact ratio"


def test_a_session_costs_one_request_a_series_and_a_restatement_one_more(walk: Walk) -> None:
    series = len(SYMBOLS) * len(walk.sizes)
    days = [note[:2] for symbol in SYMBOLS for note in walk.notes[symbol]]
    more = {f"{day:%d}": days.count(f"{day:%d}") for day in walk.asked}
    more["10"] //= len(walk.sizes)  # the first request of a week brings the stored hours anyway
    assert {f"{day:%d}": asked - series for day, asked in walk.asked.items()} == more
    assert walk.asked[date(2024, 6, 14)] == series


def test_prices_as_they_were_collected_stay_readable(walk: Walk) -> None:
    for as_of in ("2024-06-05T18:00-04:00", "first"):
        with connect(walk.desk.folder, as_of=as_of) as lake:
            found = lake.sql(f"select {COLUMNS} from equity_bars where session < '{ACTION}' {ORDER}").fetchall()
        assert found == walk.before


def test_what_could_not_be_read_anew_is_named_and_read_by_the_next_collection(tmp_path: Path) -> None:
    desk = Desk(tmp_path, [act("ABC", REVERSE, 20.0)], "2024-06-05T16:30-04:00")
    old = "select bar_size, session, condition from coverage where reason like 'Prices were restated%' order by session"
    with desk.simulator:
        desk.collect("ABC", steps="ce")
        hours = desk.rows("select distinct session from equity_bars where bar_size = '1 hour' order by session")
        desk.move(ACTION)
        desk.simulator.faults.add(do="timed_out", on="historical_data", nth=3, times=2)
        report = desk.collect("ABC", bar_sizes=("1 day",), lookback_days=0)
        assert [problem.symbol for problem in report.problems] == ["ABC"]
        assert jumps(desk, "ABC")["1 day"] == []
        assert desk.rows(old) == [{"bar_size": "1 hour", **row, "condition": "pending"} for row in hours]
        failing = validate(desk.settings, record=False).failing()
        assert {(found.rule.name, found.failed) for found in failing if found.rule.dataset == "equity_bars"} >= {
            ("one_basis", len(hours))
        }
        desk.move(date(2024, 6, 7))
        desk.collect("ABC", bar_sizes=("1 day",), lookback_days=0)
        assert desk.asked() == 2, "the increment, and what was left on the old basis"
        assert desk.rows(old) == []
        assert jumps(desk, "ABC") == {"1 day": [], "1 hour": []}
        assert len(desk.rows("select * from revisions_equity_bars where bar_size = '1 hour'")) == 7 * len(hours)
        desk.move(date(2024, 6, 10))
        assert desk.collect("ABC", bar_sizes=("1 day",), lookback_days=0).notes == []
        assert desk.asked() == 1


def test_options_are_compared_with_the_price_they_were_traded_beside(tmp_path: Path) -> None:
    day, symbol = date(2024, 6, 5), "AAPL"
    desk = Desk(tmp_path, [act(symbol, SPLIT, 0.25)], f"{day}T17:00-04:00")
    rules = [rule for rule in RULES if rule.name in ("not_under_intrinsic", "put_call_parity")]
    with desk.simulator:
        desk.collect(symbol, steps="cheo", lookback_days=0, bar_sizes=("1 day",))
        before = validate(desk.settings, rules=rules, record=False)
        assert all(result.passed and result.examined for result in before.results)
        desk.move(ACTION)
        desk.collect(symbol, lookback_days=0, bar_sizes=("1 day",))
    after = validate(desk.settings, rules=rules, record=False)
    assert [result.as_dict() for result in after.results] == [result.as_dict() for result in before.results]
    with Archive(desk.settings) as archive:
        archive.write(compute_option_greeks(archive, [symbol], [day]))
    [spot] = desk.rows(f"select close from revisions_equity_bars where session = '{day}'")
    found = desk.rows("select distinct underlying_price as close from option_greeks where source = 'bar'")
    assert found == [spot]


def test_a_request_that_is_full_is_followed_by_one_for_the_session_beside_a_jump(tmp_path: Path) -> None:
    """22 sessions of 1 min bars fill a request: a collector that was off for a month reads no stored session again."""
    desk = Desk(tmp_path, [act("ABC", SPLIT, 0.25, restates_volume=False)], "2024-06-05T17:00-04:00")
    with desk.simulator:
        desk.collect("ABC", steps="ce", bar_sizes=("1 min",), lookback_days=0)
        desk.move(date(2024, 7, 9))
        report = desk.collect("ABC", bar_sizes=("1 min",), lookback_days=33)
    assert [note.partition(" (")[0] for note in report.notes] == ["ABC 1 min: prices were restated by 0.25"]
    assert (jumps(desk, "ABC"), desk.asked()) == ({"1 min": []}, 2)
