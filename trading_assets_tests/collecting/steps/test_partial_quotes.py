"""A chain whose quotes lack values says so, requests them again within its session, and not without end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.preview import preview
from trading_assets.collecting.report import CollectionReport, ProblemKind
from trading_assets.monitoring.agenda import WantedRun, daily_bars
from trading_assets.monitoring.skips import Skip
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import Fields, Link, Rewriting, asks_quote, collect, rows, settings_for

OPEN = datetime(2024, 6, 3, 15, 0, tzinfo=UTC)
CLOSED = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)

pytestmark = pytest.mark.timeout(600)


class Options:
    """A broker that holds back what `hold(fields, ordinal)` names of the option quotes: for `late` seconds, or for good
    (None)."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.hold: Callable[[Fields, int], bool] = lambda fields, ordinal: False
        self.late: float | None = None
        self._ordinals: dict[str, int] = {}
        self.simulator, self.folder = simulator, folder
        self.wire = Rewriting(simulator.port, on_server=self._answer, on_client=self._asked)

    def collect(self, now: datetime = OPEN, steps: str = "ch", **rules: Any) -> CollectionReport:
        self.simulator.clock.set(now)
        self.wire.frames.clear()
        return collect(self.settings(now), ["AAPL"], steps=steps, rules=rules)[steps[-1]]

    def settings(self, now: datetime = OPEN) -> Settings:
        return settings_for(self.folder, self.wire.port, now, quote_quiet_time=0.5 if self.late is None else 2.0)

    @property
    def quotes(self) -> int:
        """Option quotes that the last collection asked for."""
        return len([frame for frame in self.wire.asked(1) if asks_quote(frame, "OPT")])

    def stored(self) -> list[dict[str, Any]]:
        return rows(self.settings(), 'select * from option_chains where selected order by expiry, strike, "right"')

    def condition(self) -> dict[str, Any]:
        (row,) = rows(
            self.settings(), "select condition, reason, retry_after from coverage where dataset = 'option_chains'"
        )
        return row

    def _asked(self, fields: Fields, _link: Link) -> None:
        if asks_quote(fields, "OPT"):
            self._ordinals[fields[2]] = len([frame for frame in self.wire.asked(1) if asks_quote(frame, "OPT")])

    def _answer(self, fields: Fields, link: Link) -> list[Fields] | None:
        req_id = fields[1] if fields[0] == "21" else fields[2] if len(fields) > 2 else ""
        if (
            fields[0] not in ("1", "2", "21")
            or req_id not in self._ordinals
            or not self.hold(fields, self._ordinals[req_id])
        ):
            return None
        if self.late is not None:
            threading.Timer(self.late, link.to_client, [fields]).start()
        return [placeholder(fields)]


def placeholder(fields: Fields) -> Fields:
    """What TWS sends while it has no value yet."""
    if fields[0] == "21":
        return [*fields[:4], "-1", "-2", "-1", "-1", "-2", "-2", "-2", "-1"]
    return [*fields[:4], "-1", "0", *fields[6:]] if fields[0] == "1" else [*fields[:4], "0"]


def greeks(fields: Fields) -> bool:
    return fields[0] == "21" and fields[2] == "13"


def prices(fields: Fields) -> bool:
    return fields[0] == "1" and fields[3] in ("1", "2")


@pytest.fixture
def options(market: GeneratedMarket, tmp_path: Path) -> Iterator[Options]:
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(market, now=OPEN))
        options = Options(simulator, tmp_path)
        stack.enter_context(options.wire)
        yield options


@pytest.mark.parametrize(
    "held", [greeks, prices, lambda fields: greeks(fields) or prices(fields)], ids=["greeks", "prices", "both"]
)
@pytest.mark.parametrize("late", [0.4, 1.0])
def test_values_that_come_after_their_placeholders_are_stored(
    held: Callable[[Fields], bool], late: float, options: Options
) -> None:
    options.hold, options.late = (lambda fields, _: held(fields)), late
    report = options.collect(CLOSED)
    assert report.problems == []
    assert options.condition()["condition"] == "complete"
    stored = options.stored()
    assert {row["quote_outcome"] for row in stored} == {"complete"}
    assert all(row["bid"] and row["ask"] and row["delta"] and row["vega"] for row in stored)


def test_what_is_lacking_is_counted_and_asked_for_by_the_next_run(options: Options) -> None:
    options.hold = lambda fields, ordinal: (
        (greeks(fields) and ordinal in (1, 2, 3)) or (prices(fields) and ordinal == 4)
    )
    first = options.collect()
    total = options.quotes
    lacking = f"1 of {total} quotes lacks bid and ask, 3 lack greeks."
    assert options.condition() == {"condition": "partial", "reason": lacking, "retry_after": None}
    assert [(problem.kind, problem.sentence) for problem in first.problems] == [
        (ProblemKind.PARTIAL, f"{lacking} They are requested again by the next run of this session.")
    ]
    assert first.complete, "what did not come with a quote is told, and is no failure of the run"
    before = options.stored()
    assert [row["quote_outcome"] for row in before].count("partial") == 4
    assert all(row["bid"] is None or row["bid"] > 0 for row in before)
    assert all(row["delta"] is None or abs(row["delta"]) < 1 for row in before)
    with Archive(options.settings()) as archive:
        plan = preview(
            archive, archive.universe.resolve(["AAPL"]), [], SelectionRules(max_days_to_expiry=8, strikes_around_spot=2)
        )
    assert (plan.requests, plan.exact) == (4, True)

    options.hold = lambda fields, ordinal: False
    assert options.collect().problems == []
    assert (options.quotes, len(options.wire.asked(1)), options.wire.asked(78)) == (
        4,
        4,
        [],
    ), "just these, and nothing else is requested again"
    assert options.condition()["condition"] == "complete"
    assert {row["quote_outcome"] for row in options.stored()} == {"complete"}
    options.collect()
    assert options.quotes == 0


def test_what_never_comes_is_not_asked_for_at_every_run(options: Options) -> None:
    options.hold = lambda fields, ordinal: greeks(fields)
    options.collect()
    total = options.quotes
    options.collect()
    assert options.quotes == total, "once more"
    told = options.collect()
    assert options.quotes == 0
    assert options.condition() == {
        "condition": "partial",
        "reason": f"{total} of {total} quotes lack greeks.",
        "retry_after": OPEN + timedelta(hours=1),
    }
    assert "the next time is 2024-06-03 16:00 UTC" in told.problems[0].sentence
    options.collect(OPEN + timedelta(minutes=59))
    assert options.quotes == 0
    options.collect(OPEN + timedelta(minutes=61))
    assert options.quotes == total, "an hour later, while the market is open"
    options.collect(CLOSED)
    assert options.quotes == 0
    assert options.condition()["retry_after"] == datetime(2024, 6, 4, 13, 30, tzinfo=UTC)


def test_the_days_bars_do_not_wait_for_values_of_quotes(options: Options) -> None:
    settings = options.settings(CLOSED)
    options.collect(CLOSED, "c")
    assert isinstance(daily_bars(settings, CLOSED), Skip), "without a chain they do"
    options.hold = lambda fields, ordinal: greeks(fields) and ordinal == 1
    options.collect(CLOSED, "h")
    assert options.condition()["condition"] == "partial"
    assert isinstance(daily_bars(settings, CLOSED), WantedRun)


def test_a_later_quote_that_lacks_more_leaves_the_earlier_one(options: Options) -> None:
    options.hold = lambda fields, ordinal: greeks(fields) and ordinal == 1
    options.collect()
    (before,) = [row for row in options.stored() if row["quote_outcome"] == "partial"]
    options.hold = lambda fields, ordinal: greeks(fields) or prices(fields)
    options.collect()
    assert options.quotes == 1
    (after,) = [row for row in options.stored() if row["quote_outcome"] == "partial"]
    assert after == before
