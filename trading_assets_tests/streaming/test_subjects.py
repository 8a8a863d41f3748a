"""Which contracts are streamed, in which order they get lines: from the lake alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.frames import completed
from trading_assets.repositories.positions_schema import POSITION_SNAPSHOTS
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.subjects import Subject, subjects_of
from trading_assets_tests.simulator.tiny_market import NOW, OPTIONS


def named(subjects: Sequence[Subject]) -> list[str]:
    return [f"{subject.kind} {subject.contract}" for subject in subjects]


def hold(lake: Path, at: datetime, **quantities: float) -> None:
    """An account's look: quantities by contract id, as in `o114=-2`."""
    by_id = {option.con_id: option for option in OPTIONS}
    rows = []
    for name, quantity in quantities.items():
        option = by_id[int(name[1:])]
        rows.append(
            {
                "session": at.date(),
                "at": at,
                "account": "DU1",
                "con_id": option.con_id,
                "symbol": "AAA",
                "sec_type": "OPT",
                "local_symbol": option.local_symbol,
                "trading_class": "AAA",
                "expiry": option.expiry,
                "strike": option.strike,
                "right": option.right,
                "multiplier": 100.0,
                "currency": "USD",
                "quantity": quantity,
            }
        )
    ParquetStore(lake).upsert(POSITION_SNAPSHOTS, completed(POSITION_SNAPSHOTS, pd.DataFrame(rows), {}))


def test_underlyings_come_first_then_options_nearest_the_money(lake: Path) -> None:
    wanted = [Subscription("AAA", 5), Subscription("IDX")]
    assert named(subjects_of(wanted, lake, NOW)) == [
        "quote AAA",
        "quote IDX",
        "bar AAA",
        "bar IDX",
        "quote AAA 2024-06-21 100 C",
        "quote AAA 2024-06-21 100 P",
        "quote AAA 2024-07-19 100 C",
        "quote AAA 2024-07-19 100 P",
        "quote AAA 2024-06-21 95 C",
    ]


def test_what_is_held_comes_before_other_options(lake: Path) -> None:
    """As of the newest look; beside those nearest the money."""
    hold(lake, NOW - timedelta(days=3), o110=5)
    hold(lake, NOW, o117=-2, o111=0)
    found = named(subjects_of([Subscription("AAA", 2)], lake, NOW))
    assert found == [
        "quote AAA",
        "bar AAA",
        "quote AAA 2024-07-19 105 P",
        "quote AAA 2024-06-21 100 C",
        "quote AAA 2024-06-21 100 P",
    ]


def test_expired_contracts_are_not_streamed(lake: Path) -> None:
    """Until midnight in New York of their last day they are alive; a chain without any other is refused."""
    evening = datetime.fromisoformat("2024-06-21T21:00-04:00")
    assert "quote AAA 2024-06-21 100 C" in named(subjects_of([Subscription("AAA", 1)], lake, evening))
    after = evening + timedelta(hours=4)
    assert "quote AAA 2024-07-19 100 C" in named(subjects_of([Subscription("AAA", 1)], lake, after))
    *_, refused = sorted(
        subjects_of([Subscription("AAA", 1)], lake, after + timedelta(days=60)), key=lambda subject: subject.refusal
    )
    assert refused.contract == "AAA options"
    assert "trading-assets update AAA" in refused.refusal


def test_asking_for_more_and_for_less_is_one_stream_each(lake: Path) -> None:
    both = subjects_of([Subscription("AAA", 1), Subscription("AAA", 3), Subscription("aaa")], lake, NOW)
    assert named(both) == named(subjects_of([Subscription("AAA", 3)], lake, NOW))


def test_a_lake_without_anything_refuses_each_symbol(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        (refused,) = subjects_of([Subscription("AAPL", 5)], folder, NOW)
        assert "trading-assets setup AAPL" in refused.refusal
