"""Bars in another unit than the stored ones, over the wire and several days: held, shown, decided, converted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.quarantine import Quarantine
from trading_assets.collecting.accepted_units import accept_units
from trading_assets.collecting.archive import Archive
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.watch import current_issues
from trading_assets.repositories.conditions import symbol_conditions
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import Bar
from trading_assets.validation import RULES, validate
from trading_assets_tests.rewriting import collect, rows, settings_for

DAYS = [datetime.fromisoformat(f"2024-06-{day}T16:30-04:00") for day in ("05", "06", "07", "10", "11")]

Change = Callable[[Bar], Bar]


class Changing(GeneratedMarket):
    """The generated market whose bars are changed on their way, by symbol and kind of instrument."""

    def __init__(self) -> None:
        super().__init__(42)
        self.changes: dict[str, Change] = {}
        self.options: Change | None = None

    def bars(self, contract: Any, *rest: Any) -> Any:
        found = super().bars(contract, *rest)
        change = self.options if contract.sec_type == "OPT" else self.changes.get(contract.symbol)
        return found if change is None else [change(bar) for bar in found]


class Bench:
    """One broker over several days; each test has a data folder of its own."""

    def __init__(self, market: Changing, simulator: Simulator) -> None:
        self.market, self.simulator = market, simulator
        self.folder = Path()
        self.unit = "shares"

    def start(self, folder: Path, unit: str = "shares", **changes: Change) -> None:
        self.folder, self.unit = folder, unit
        self.market.changes, self.market.options = dict(changes), None
        self.simulator.clock.set(DAYS[0])

    @property
    def settings(self) -> Settings:
        now = self.simulator.clock.now()
        return settings_for(self.folder, self.simulator.port, now, enforce_pacing=False, stock_volume_unit=self.unit)

    def day(self, number: int, *symbols: str, steps: str = "e", **how: Any) -> list[tuple[str, str]]:
        """Collect on a day; the symbols and outcomes of what is missing."""
        self.simulator.clock.set(DAYS[number])
        self.simulator.reset_counters()
        reports = collect(self.settings, symbols, steps=steps, **how)
        return [(p.symbol, p.outcome) for report in reports.values() for p in report.problems if p.outcome]

    def accept(self, *given: Any, **how: Any) -> str:
        with Archive(self.settings) as archive:
            return accept_units(archive, *given, **how)

    def volumes(self, symbol: str = "AAPL", size: str = "1 day") -> dict[date, float]:
        sql = f"""select session, sum(volume) as v from equity_bars where symbol = '{symbol}' and bar_size = '{size}'
                  group by session order by session"""
        return {row["session"]: row["v"] for row in rows(self.settings, sql)}

    def truth(self, column: str = "volume", symbol: str = "AAPL") -> dict[date, float]:
        """What the market knows of the last sessions, by session."""
        market = GeneratedMarket(42)
        (contract,) = market.contracts(_stock(symbol), DAYS[-1])
        bars = market.bars(contract, "1 day", "TRADES", DAYS[0] - timedelta(days=60), DAYS[-1], True, DAYS[-1])
        return {bar.session: getattr(bar, column) for bar in bars}

    def held(self) -> list[str]:
        entries = Quarantine(self.settings.state_url).entries()
        return [entry.symbol for entry in entries if entry.held is not None]

    def alerts(self) -> list[tuple[str, str]]:
        return [
            (str(issue.alert_type), issue.subject)
            for issue in current_issues(self.settings)
            if issue.alert_type in ("unit_changed", "missing_equity_data", "answer_quarantined")
        ]

    def asked(self) -> int:
        return self.simulator.counters.requests.get("historical_data", 0)


def _stock(symbol: str) -> Any:
    from trading_assets.simulator.market import ContractQuery

    return ContractQuery(symbol=symbol, sec_type="STK", exchange="SMART", currency="USD")


def in_lots(bar: Bar) -> Bar:
    return replace(bar, volume=float(int(bar.volume) // 100))


def in_cents(bar: Bar) -> Bar:
    names = ("open", "high", "low", "close", "wap")
    return replace(bar, **{name: round(getattr(bar, name) * 100, 4) for name in names})


@pytest.fixture(scope="module")
def broker() -> Iterator[Bench]:
    market = Changing()
    with Simulator(market, now=DAYS[0], limits=False) as simulator:
        yield Bench(market, simulator)


@pytest.fixture
def bench(broker: Bench, tmp_path: Path) -> Bench:
    broker.start(tmp_path / "lake")
    return broker


def test_shares_instead_of_lots_are_held_for_all_symbols_and_accepted_once(bench: Bench, tmp_path: Path) -> None:
    bench.start(tmp_path / "lots", "round_lots", AAPL=in_lots, MSFT=in_lots)
    truth = bench.truth()
    assert bench.day(0, "AAPL", "MSFT", steps="ce", lookback_days=40) == []
    before = bench.volumes()
    bench.market.changes = {}
    both = [("AAPL", "held_for_review"), ("MSFT", "held_for_review")]
    assert bench.day(1, "AAPL", "MSFT") == both
    assert bench.volumes() == before, "nothing stored is replaced"
    assert bench.day(1, "AAPL", "MSFT") == [("AAPL", "error"), ("MSFT", "error")]
    assert bench.asked() == 0, "it is asked again with the next session"
    assert bench.day(2, "AAPL", "MSFT") == both
    (issue,) = [issue for issue in current_issues(bench.settings) if issue.alert_type == "unit_changed"]
    assert "same prices, volume x 100" in issue.reason
    assert "AAPL, MSFT" in issue.reason
    assert bench.alerts() == [("unit_changed", "")], "one alert, and no other for the same sessions"
    reasons = rows(bench.settings, "select distinct reason from coverage where condition = 'error'")
    assert all("volume x 100" in row["reason"] and "quarantine accept" in row["reason"] for row in reasons)
    assert bench.held() == ["AAPL", "MSFT"]
    rule = next(rule for rule in RULES if rule.name == "unit_decided")
    assert validate(bench.settings, rules=[rule]).result("unit_decided").symbols == ("AAPL", "MSFT")

    said = bench.accept()
    assert "volume of equity_bars of every symbol is in shares" in said
    assert bench.volumes() == before, "killed here, the next run does the rest"
    assert bench.held() == []
    with pytest.raises(InvalidRequest, match="held for review"):
        bench.accept()
    assert bench.day(2, "AAPL", "MSFT") == []
    assert bench.asked() == 0, "the kept answers are stored without asking again"
    stored = bench.volumes()
    assert [stored[day.date()] for day in DAYS[:3]] == [truth[day.date()] for day in DAYS[:3]]
    assert all(stored[day] in (volume, truth[day]) for day, volume in before.items()), "and exact where they overlap"
    assert bench.alerts() == []
    assert bench.day(3, "AAPL", "MSFT") == []
    assert bench.volumes()[DAYS[3].date()] == truth[DAYS[3].date()], "later days are converted"
    bench.unit = "shares"
    assert bench.day(4, "AAPL", "MSFT") == [], "a setting that is corrected later converts nothing twice"
    assert bench.volumes()[DAYS[4].date()] == truth[DAYS[4].date()]


def test_lots_instead_of_shares_are_accepted_for_a_range(bench: Bench) -> None:
    truth = bench.truth()
    bench.day(0, "AAPL", "MSFT", steps="ce", lookback_days=40)
    bench.market.changes = {"AAPL": in_lots}
    assert bench.day(1, "AAPL", "MSFT") == [("AAPL", "held_for_review")], "the other symbol goes on"
    assert bench.volumes("MSFT")[DAYS[1].date()] == bench.truth(symbol="MSFT")[DAYS[1].date()]
    with pytest.raises(InvalidRequest, match="give one of shares, round_lots, as_is"):
        bench.accept("AAPL", unit="cents")
    with pytest.raises(InvalidRequest, match="2024-06-06"):
        bench.accept("AAPL", "2024-06-07")
    bench.accept("AAPL", "2024-06-06", "2024-06-07")
    assert bench.day(1, "AAPL") == []
    assert bench.day(2, "AAPL") == []
    stored = bench.volumes()
    assert [stored[day.date()] for day in DAYS[:3]] == [truth[day.date()] // 100 * 100 for day in DAYS[:3]]
    assert bench.day(3, "AAPL") == [("AAPL", "held_for_review")], "after the range it is verified again"
    bench.market.changes = {}
    assert bench.day(4, "AAPL") == [], "TWS sends shares again: a good answer takes the place of the held one"
    assert bench.held() == []
    assert bench.volumes()[DAYS[3].date()] == truth[DAYS[3].date()]


def test_the_setting_changed_together_with_tws(bench: Bench) -> None:
    bench.day(0, "AAPL", steps="ce", lookback_days=40)
    bench.market.changes, bench.unit = {"AAPL": in_lots}, "round_lots"
    assert bench.day(1, "AAPL") == []
    assert bench.alerts() == []


def test_the_first_collection_contradicts_the_setting(bench: Bench, tmp_path: Path) -> None:
    bench.market.changes = {"AAPL": in_lots}
    assert bench.day(0, "AAPL", steps="ce", lookback_days=40) == [("AAPL", "held_for_review")]
    assert bench.volumes() == {}
    assert "AAPL is in round_lots" in bench.accept("AAPL")
    assert bench.day(0, "AAPL", lookback_days=40) == []
    assert bench.volumes()[DAYS[0].date()] == bench.truth()[DAYS[0].date()] // 100 * 100
    bench.start(tmp_path / "other", "round_lots")
    assert bench.day(0, "AAPL", steps="ce", lookback_days=40) == [("AAPL", "held_for_review")]
    bench.accept("AAPL", unit="as_is")
    assert bench.day(0, "AAPL", lookback_days=40) == []
    assert bench.volumes()[DAYS[0].date()] == bench.truth()[DAYS[0].date()] * 100, "the user's word counts"


def test_prices_in_cents(bench: Bench) -> None:
    bench.day(0, "AAPL", steps="ce", lookback_days=40)
    bench.market.changes = {"AAPL": in_cents}
    assert bench.day(1, "AAPL") == [("AAPL", "held_for_review")]
    assert "AAPL is in cents" in bench.accept(["AAPL"])
    assert bench.day(1, "AAPL") == []
    assert bench.day(2, "AAPL") == []
    closes = rows(bench.settings, "select session, close from equity_bars where session >= '2024-06-05' order by 1")
    truth = bench.truth("close")
    assert [row["close"] for row in closes] == [truth[day.date()] for day in DAYS[:3]]
    assert rows(bench.settings, "select * from revisions_equity_bars") == []


def test_times_of_another_zone(bench: Bench) -> None:
    bench.day(0, "AAPL", steps="ce", bar_sizes=["1 hour"])
    bench.market.changes = {"AAPL": lambda bar: replace(bar, start=bar.start - timedelta(hours=3))}
    sizes = {"bar_sizes": ["1 hour"]}
    assert bench.day(1, "AAPL", **sizes) == [("AAPL", "held_for_review")]
    assert DAYS[1].date() not in bench.volumes(size="1 hour")
    assert "AAPL is in -3h" in bench.accept("AAPL")
    assert bench.day(2, "AAPL", **sizes) == []
    (first,) = rows(bench.settings, "select min(start) as first from equity_bars where session = '2024-06-06'")
    assert first["first"] == datetime.fromisoformat("2024-06-06T09:30-04:00")
    assert bench.volumes(size="1 hour").keys() >= {DAYS[1].date(), DAYS[2].date()}


def test_volumes_of_options(bench: Bench) -> None:
    how: dict[str, Any] = {"rules": {"max_days_to_expiry": 20, "strikes_around_spot": 2}}
    bench.day(0, "AAPL", steps="cheo", **how)
    stored = "select sum(volume) as v from option_bars where bar_size = '8 hours'"
    before = rows(bench.settings, stored)
    bench.market.options = lambda bar: replace(bar, volume=bar.volume * 100)
    assert ("AAPL", "held_for_review") in bench.day(0, "AAPL", steps="o", refresh=True)
    assert rows(bench.settings, stored) == before
    assert "volume of option_bars of AAPL is in shares" in bench.accept("AAPL")
    assert bench.day(0, "AAPL", steps="o") == []
    assert rows(bench.settings, stored) == before


def test_an_acceptance_is_the_same_whatever_setting_another_process_has(bench: Bench, tmp_path: Path) -> None:
    bench.start(tmp_path / "lots", "round_lots", AAPL=in_lots)
    truth = bench.truth()
    bench.day(0, "AAPL", steps="ce", lookback_days=40)
    bench.market.changes = {}
    assert bench.day(1, "AAPL") == [("AAPL", "held_for_review")]
    bench.unit = "shares"  # the shell in which the user decides
    said = bench.accept("AAPL")
    assert "is in shares and is converted (the setting stock_volume_unit is round_lots where it was held)" in said
    assert "Here the setting is shares: give TRADING_ASSETS_STOCK_VOLUME_UNIT one value" in said
    bench.unit = "round_lots"
    for number in (1, 2, 3):
        assert bench.day(number, "AAPL") == []
    bench.unit = "shares"
    assert bench.day(4, "AAPL") == []
    stored = bench.volumes()
    assert stored[DAYS[0].date()] in (truth[DAYS[0].date()], truth[DAYS[0].date()] // 100 * 100)
    assert [stored[day.date()] for day in DAYS[1:]] == [truth[day.date()] for day in DAYS[1:]]


@pytest.mark.slow
def test_what_is_accepted_as_it_came_has_the_unit_of_the_process_that_held_it(bench: Bench) -> None:
    assert bench.day(0, "AAPL", steps="c", lookback_days=40) == []
    bench.unit = "round_lots"  # and TWS sends shares
    assert bench.day(0, "AAPL", lookback_days=40) == [("AAPL", "held_for_review")]
    bench.unit = "shares"
    assert "which is round_lots (the setting stock_volume_unit is round_lots where" in bench.accept(
        "AAPL", unit="as_is"
    )
    assert bench.day(0, "AAPL", lookback_days=40) == []
    assert bench.volumes()[DAYS[0].date()] == bench.truth()[DAYS[0].date()] * 100


@pytest.mark.slow
def test_option_bars_say_that_the_first_equity_bars_wait_for_a_decision(bench: Bench) -> None:
    rules: dict[str, Any] = {"rules": {"max_days_to_expiry": 10, "strikes_around_spot": 1}}
    bench.market.changes = {"AAPL": in_lots}
    bench.day(0, "AAPL", steps="che", lookback_days=40, **rules)
    report = collect(bench.settings, ["AAPL"], steps="o", **rules)["o"]
    (problem,) = report.problems
    assert problem.sentence.startswith(
        "AAPL has no equity_bars in the lake yet, so no bars of its options were requested."
    )
    assert "quarantine accept AAPL" in problem.sentence
    found = symbol_conditions(bench.folder, calendar(), bench.settings.clock(), ["AAPL"], datasets=["option_bars"])
    reasons = {row["reason"][:64] for row in found.to_pylist() if row["condition"] == "pending"}
    assert reasons == {"Equity bars come first. The answer about 1 day bars of AAPL is h"}
    bench.accept("AAPL")
    assert bench.day(0, "AAPL", steps="eo", lookback_days=40, **rules) == []
    assert rows(bench.settings, "select * from option_bars") != []
