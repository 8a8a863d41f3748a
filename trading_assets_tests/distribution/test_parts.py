"""How symbols and sessions are split: nothing twice, nothing left out, no larger than asked for."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.routing import gateway_of
from trading_assets.distribution import Work, plan_distribution, symbol_groups
from trading_assets.distribution.parts import session_periods
from trading_assets.errors import InvalidRequest
from trading_assets.repositories.columns import Period
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe

NOW = datetime(2024, 7, 1, 21, tzinfo=UTC)
SESSIONS = calendar().sessions(date(2023, 12, 20), date(2024, 3, 28))
NAMES = ("east", "north", "west")


@settings(max_examples=25)
@given(st.sets(st.text("ABCDEF", min_size=1, max_size=3), max_size=40), st.integers(1, 50), st.booleans())
def test_each_symbol_is_in_one_group(symbols: set[str], most: int, routed: bool) -> None:
    groups = symbol_groups(symbols, most, (lambda symbol: gateway_of(symbol, NAMES)) if routed else None)
    assert sorted(symbol for group in groups for symbol in group.symbols) == sorted(symbols)
    assert all(0 < len(group.symbols) <= most for group in groups)
    for name in {group.gateway for group in groups}:
        sizes = [len(group.symbols) for group in groups if group.gateway == name]
        assert max(sizes) - min(sizes) <= 1 and len(sizes) == -(-sum(sizes) // most)
    if routed:
        assert all(gateway_of(symbol, NAMES) == group.gateway for group in groups for symbol in group.symbols)


@settings(max_examples=25)
@given(st.integers(0, len(SESSIONS) - 1), st.integers(1, 69), st.integers(1, 80), st.sampled_from(Period))
def test_each_session_is_in_one_period(begin: int, count: int, most: int, period: Period) -> None:
    sessions = SESSIONS[begin : begin + count]
    periods = session_periods(sessions, most, period.of)
    held = [[day for day in sessions if first <= day <= last] for first, last in periods]
    assert [day for days in held for day in days] == list(sessions)
    assert all(len(days) <= most for days in held)
    files = Counter(map(period.of, sessions))
    written = Counter(name for days in held for name in set(map(period.of, days)))
    assert all(written[name] == 1 for name, size in files.items() if size <= most), "a file is cut that fits"


def test_periods_end_where_files_end() -> None:
    periods = session_periods(SESSIONS, 42, Period.MONTH.of)
    assert [(str(first), str(last)) for first, last in periods] == [
        ("2023-12-20", "2024-01-31"),
        ("2024-02-01", "2024-03-28"),
    ]


def test_groups_of_different_gateways_take_turns() -> None:
    groups = symbol_groups([f"S{number}" for number in range(60)], 10, lambda symbol: gateway_of(symbol, NAMES))
    assert [group.gateway for group in groups[:3]] == list(NAMES)


@pytest.fixture
def kept(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=NOW)
    Universe(found.state_url).add(["AAPL", "IBM", "SPY"])
    return found


def test_the_same_work_has_the_same_name(kept: Settings) -> None:
    size = {"symbols_per_part": 2, "sessions_per_part": 63}
    plan = plan_distribution(kept, Work.GREEKS, None, "2024-01-02", "2024-06-28", **size)
    assert plan.name.startswith("greeks-2024-01-02-2024-06-28-")
    assert [(part.number, part.symbols, str(part.first), str(part.last)) for part in plan.parts] == [
        (1, ("AAPL",), "2024-01-02", "2024-03-28"),
        (2, ("IBM", "SPY"), "2024-01-02", "2024-03-28"),
        (3, ("AAPL",), "2024-04-01", "2024-06-28"),
        (4, ("IBM", "SPY"), "2024-04-01", "2024-06-28"),
    ]
    later = kept.model_copy(update={"now": datetime(2024, 7, 2, 21, tzinfo=UTC)})
    again = plan_distribution(later, Work.GREEKS, ["SPY", "IBM", "AAPL"], "2024-01-02", "2024-06-28", **size)
    assert again.name == plan.name
    other = plan_distribution(kept, Work.GREEKS, None, "2024-01-02", "2024-06-28", options={"refresh": True})
    assert other.name != plan.name


def test_a_backfill_has_one_period_and_groups_by_gateway(kept: Settings) -> None:
    gateways = [{"name": name, "port": 4000 + number} for number, name in enumerate(NAMES)]
    several = Settings(data_dir=kept.data_dir, now=NOW, broker="tws", gateways=gateways)
    plan = plan_distribution(several, Work.BACKFILL, None, "2020-01-02")
    assert {part.gateway for part in plan.parts} <= set(NAMES)
    assert {(str(part.first), str(part.last)) for part in plan.parts} == {("2020-01-02", "2024-07-01")}
    assert all(part.gateway == gateway_of(symbol, NAMES) for part in plan.parts for symbol in part.symbols)


@pytest.mark.parametrize(
    ("work", "given_", "sentence"),
    [
        (Work.GREEKS, {}, "first is None: name the first session of the greeks"),
        (Work.GREEKS, {"first": "2024-06-28", "last": "2024-07-03"}, "has not begun"),
        (Work.GREEKS, {"first": "2024-06-28", "symbols_per_part": 0}, "must be from 1 to"),
        (Work.VALIDATION, {"sessions_per_part": 5}, "split by symbols alone"),
    ],
)
def test_what_cannot_be_split_is_refused(kept: Settings, work: Work, given_: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        plan_distribution(kept, work, **given_)  # type: ignore[arg-type]


def test_an_unknown_work_names_the_others() -> None:
    with pytest.raises(InvalidRequest, match="give greeks, validation, backfill"):
        Work.of("prices")
