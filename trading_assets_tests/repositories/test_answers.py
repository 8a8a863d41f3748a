"""Remembered answers: the same as asking again, whatever is written between."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.repositories import ParquetStore, answers, catalog
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets.repositories.views import DatasetView
from trading_assets_tests.repositories.frames import bar, contract_row, table

DAYS = [date(2014, 6, day) for day in (9, 10, 11, 12, 13)]
SYMBOLS = ("AAPL", "GOOG")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that DuckDB was asked."""
    texts: list[str] = []

    def query(data_dir: Path, sql: str, parameters: Any = None, *, few: bool = False) -> pa.Table:
        texts.append(sql)
        return catalog.query(data_dir, sql, parameters)

    monkeypatch.setattr(answers, "query", query)
    return texts


def test_the_same_question_is_asked_once_until_its_dataset_is_written(tmp_path: Path, asked: list[str]) -> None:
    store, view = ParquetStore(tmp_path), DatasetView(tmp_path, EQUITY_BARS)
    assert view.stored_sessions(SYMBOLS) == {}
    assert not asked, "there is no file"
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0])]))
    assert [view.stored_sessions(SYMBOLS) for _ in range(3)] == [{"AAPL": [DAYS[0]]}] * 3
    assert len(asked) == 1
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(DAYS[0])]))
    assert view.stored_sessions(SYMBOLS) == {"AAPL": [DAYS[0]]}
    assert len(asked) == 1, "another dataset is no concern"
    assert view.stored_sessions(SYMBOLS, where="bar_size = '1 min'") == {}
    assert len(asked) == 2, "another question"
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[1])]))
    assert view.stored_sessions(SYMBOLS) == {"AAPL": DAYS[:2]}


def test_a_large_answer_is_not_kept(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day) for day in DAYS]))
    view = DatasetView(tmp_path, EQUITY_BARS)
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 100)
    assert view.table().equals(view.table())
    assert view.table().nbytes > 100
    assert len(asked) == 3


def test_no_more_answers_are_kept_than_may_be(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_ANSWERS", 2)
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0])]))
    view = DatasetView(tmp_path, EQUITY_BARS)
    for symbol in ("A", "B", "A", "C", "A", "B"):
        view.stored_sessions([symbol])
    assert len(asked) == 4, "A is the latest used of two, B was the older one"


writes = st.lists(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(SYMBOLS), st.integers(1, 9), st.booleans()), max_size=6
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(writes)
def test_whatever_is_written_or_deleted_the_answer_is_that_of_the_files(
    tmp_path_factory: pytest.TempPathFactory, writes: Any
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    store, view = ParquetStore(folder), DatasetView(folder, EQUITY_BARS)
    for day, symbol, close, deleted in writes:
        if deleted:
            for file in (folder / "equity_bars").rglob("*.parquet"):
                file.unlink()
        else:
            store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, 10.0 + close, symbol=symbol)]))
        for symbols in (SYMBOLS, SYMBOLS[:1]):
            sql = "select * from equity_bars where symbol in (select unnest(?)) order by session, symbol"
            fresh = catalog.query(folder, sql, [list(symbols)]).to_pylist()
            read = sorted(view.table(symbols=symbols).to_pylist(), key=lambda row: (row["session"], row["symbol"]))
            assert read == fresh
            assert {(s, d) for s, days in view.stored_sessions(symbols).items() for d in days} == {
                (r["symbol"], r["session"]) for r in fresh
            }


def test_a_forked_child_waits_for_no_lock_of_its_parent(tmp_path: Path) -> None:
    """A thread of the parent may hold the locks at the moment of the fork; in the child nobody would release them."""
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0])]))
    view = DatasetView(tmp_path, EQUITY_BARS)
    with answers._guard, catalog._guard:
        if not (child := os.fork()):
            signal.alarm(20)  # ends a child that waits
            os._exit(0 if view.stored_sessions(["AAPL"]) == {"AAPL": [DAYS[0]]} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
