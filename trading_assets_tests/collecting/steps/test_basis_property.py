"""A generated series of corporate actions and renames over 60 sessions, seen session by session with missed ones, ends
in the lake that one collection at the end makes.

`TRADING_ASSETS_TESTS_EXAMPLES=100` tries more series than a run of the suite has time for.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.corporate_actions import ActionKind, CorporateAction, MarketWithActions
from trading_assets.simulator.market import Bar, ListedContract
from trading_assets_tests.collecting.steps.test_basis import SIZES, Desk, act

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("TRADING_ASSETS_TESTS_EXAMPLES", "1"))
SYMBOLS = ("ABC", "DEF", "GHI", "JKL", "MNO")
SESSIONS = calendar().sessions(date(2024, 3, 1), date(2024, 5, 28))[:60]
STORED_FIRST = 12
"""Sessions that the first collection finds."""

LARGE = [(ActionKind.SPLIT, ratio) for ratio in (1 / 2, 2 / 3, 1 / 3, 1 / 4, 1 / 7, 1 / 20)] + [
    (ActionKind.REVERSE_SPLIT, ratio) for ratio in (2.0, 4.0, 10.0, 20.0, 35.0)
]
SMALL = [(ActionKind.STOCK_DIVIDEND, 1 / 1.05), (ActionKind.STOCK_DIVIDEND, 1 / 1.1), (ActionKind.SPIN_OFF, 0.9137)]


def series(random: Random, symbol: str) -> list[CorporateAction]:
    """Actions of one symbol: the first some sessions after the first collection, each restated before the last
    session."""
    cheap = random.random() < 0.3
    found = [act(symbol, ActionKind.SPLIT, 0.01, date(2020, 1, 2))] if cheap else []
    scale = 0.01 if cheap else 1.0
    place = STORED_FIRST + random.randrange(1, 6)
    while place < 48:
        large = scale < 0.1 or random.random() < 0.6
        kind, ratio = random.choice(LARGE if large else SMALL)
        if (ratio < 1 and scale * ratio < 0.01) or (ratio > 1 and scale * ratio > 4):
            # Cents would hide the ratio of a cheaper stock; a dearer one has no whole share left in a trade.
            kind, ratio = ActionKind.SPLIT if ratio > 1 else ActionKind.REVERSE_SPLIT, 1 / ratio
        scale *= ratio
        lag, left_out = random.choice([0, 0, 1, 2, 8 if large else 3]), random.choice([0, 0, 0, 1])
        how = {"lag": lag, "left_out": left_out, "parts": random.choice([1, 1, 2]), "digits": random.choice([2, 2, 4])}
        restates = random.random() < 0.8
        found.append(act(symbol, kind, ratio, SESSIONS[place], **how, restates_volume=restates))
        if random.random() < 0.15:
            special = min(59, place + 2)
            found.append(act(symbol, ActionKind.SPECIAL_DIVIDEND, 0.8, SESSIONS[special]))
        place += random.choice([3, 4, 15, 25])
    if random.random() < 0.5:  # on the day of the last action, or on another one
        day = random.choice([SESSIONS[random.randrange(STORED_FIRST, 59)], found[-1].session])
        found.append(act(symbol, ActionKind.RENAME, 1.0, max(day, SESSIONS[STORED_FIRST]), new_symbol=f"{symbol}X"))
    return found


def names(actions: list[CorporateAction], day: date) -> list[str]:
    """The symbols of all companies on a day: the user follows a rename."""
    new = {action.symbol: action.new_symbol for action in actions if action.new_symbol and action.has_happened(day)}
    return [new.get(symbol, symbol) for symbol in SYMBOLS]


class Halting(MarketWithActions):
    """Stocks without a bar in some sessions. One market for all examples: it keeps the prices it has made."""

    halted: frozenset[tuple[str, date]] = frozenset()

    def bars(self, contract: ListedContract, *question: Any) -> list[Bar]:
        found = super().bars(contract, *question)
        own = self._own(contract).symbol
        return [bar for bar in found if (own, bar.session) not in self.halted]


def halts(random: Random) -> frozenset[tuple[str, date]]:
    """Some sessions of two symbols, none of the last days: they might be late only."""
    found = set()
    for symbol in random.sample(SYMBOLS, 2):
        begin = random.randrange(STORED_FIRST, 45)
        found |= {(symbol, session) for session in SESSIONS[begin : begin + random.randrange(1, 7)]}
    return frozenset(found)


@pytest.fixture(scope="module")
def market() -> Halting:
    return Halting([])


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 5,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_sessions_seen_one_by_one_end_in_the_lake_of_one_collection_at_the_end(
    seed: int, market: Halting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random = Random(seed)
    actions = [action for symbol in SYMBOLS for action in series(random, symbol)]
    market.actions = tuple(sorted(actions, key=lambda action: action.session))
    market.halted = halts(random)
    folder: Path = tmp_path_factory.mktemp("series")
    seen = sorted({*random.sample(range(STORED_FIRST, 59), 9), STORED_FIRST - 1, 59})
    with Simulator(market, now=None, limits=False) as simulator:
        daily, once = (Desk(folder / name, [], "2024-03-01T17:00-05:00", simulator) for name in ("daily", "once"))
        for place in seen:
            daily.move(SESSIONS[place])
            steps = "ce" if place == seen[0] else "e"
            symbols = names(actions, SESSIONS[place])
            new = place != seen[0] and symbols != names(actions, SESSIONS[seen[seen.index(place) - 1]])
            steps = "ce" if new else steps
            report = daily.collect(*symbols, steps=steps, lookback_days=(SESSIONS[place] - SESSIONS[0]).days)
            assert len(report.notes) <= len(SYMBOLS) * len(SIZES)
        once.collect(*names(actions, SESSIONS[-1]), steps="ce", lookback_days=(SESSIONS[-1] - SESSIONS[0]).days)
    left = daily.rows("select symbol, session from coverage where condition <> 'complete'")
    renamed = {action.new_symbol: action.symbol for action in actions if action.new_symbol}
    assert {(renamed.get(row["symbol"], row["symbol"]), row["session"]) for row in left} <= market.halted
    assert set(daily.bars()) ^ set(once.bars()) == set(), actions
