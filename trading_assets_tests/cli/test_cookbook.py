"""Every query of the cookbook runs on a collected lake and finds something, where there is something to find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trading_assets import connect
from trading_assets_tests.cli.conftest import Desk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
RECIPES = re.findall(r"## (\d+)\. ([^\n]*)\n.*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

NOTHING_THERE = {"9", "10"}
"""Nothing is missing and nothing was restated in the lake of these tests."""


def test_there_are_ten() -> None:
    assert [number for number, _, _ in RECIPES] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("number", "question", "sql"), RECIPES, ids=[number for number, _, _ in RECIPES])
def test_it_answers(desk: Desk, number: str, question: str, sql: str) -> None:
    with connect(desk.folder) as connection:
        rows = connection.sql(sql).fetchall()
        assert bool(rows) or number in NOTHING_THERE
        assert not rows or any(value is not None for value in rows[-1][1:])


@pytest.mark.parametrize("as_of", ["2024-06-03T16:00-04:00", "first"])
def test_as_it_was_known(desk: Desk, as_of: str) -> None:
    with connect(desk.folder) as present, connect(desk.folder, as_of=as_of) as past:
        bars = "select count(*) from daily_option_bars"
        assert present.sql(bars).fetchall() != [(0,)]
        assert past.sql(bars).fetchall() == (present.sql(bars).fetchall() if as_of == "first" else [(0,)])
