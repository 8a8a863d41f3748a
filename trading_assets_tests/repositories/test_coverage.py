"""What needs no request."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.schemas import COVERAGE, INSTANT, Condition
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, covered, table

DAYS = calendar().sessions(date(2015, 12, 14), date(2016, 1, 8))


@pytest.fixture
def coverage(tmp_path: Path) -> CoverageRepository:
    return CoverageRepository(ParquetStore(tmp_path))


def record(coverage: CoverageRepository, *rows: dict[str, object]) -> None:
    coverage.record(table(COVERAGE, rows))


def test_a_settled_condition_is_not_asked_again_and_another_only_after_its_time(coverage: CoverageRepository) -> None:
    later = NOON + timedelta(days=30)
    record(
        coverage,
        covered(DAYS[0]),
        covered(DAYS[1], "no_trades", reason="No trades."),
        covered(DAYS[2], "expired_lost", reason="Expired before it was collected."),
        covered(DAYS[3], "not_permitted", reason="No subscription.", broker_code=354, retry_after=later),
        covered(DAYS[4], "partial", reason="Half of it."),
        covered(DAYS[5], "pending"),
        covered(DAYS[6], "error", retry_after=None),
    )
    assert coverage.settled_sessions("equity_bars", "1 day", ["AAPL"], now=NOON)["AAPL", 0] == set(DAYS[:4])
    assert coverage.settled_sessions("equity_bars", "1 day", ["AAPL"], now=later)["AAPL", 0] == set(DAYS[:3])
    assert coverage.settled_sessions("equity_bars", "1 day", ["AAPL"])["AAPL", 0] == set(DAYS[:3])


def test_instruments_sizes_datasets_and_dates_are_told_apart(coverage: CoverageRepository) -> None:
    record(
        coverage,
        covered(DAYS[0]),
        covered(DAYS[-1]),
        covered(DAYS[0], symbol="GOOG"),
        covered(DAYS[1], bar_size="1 hour"),
        covered(DAYS[2], dataset="option_bars", con_id=7),
        covered(DAYS[3], dataset="option_bars", con_id=8),
        covered(DAYS[4], dataset="contracts", bar_size=""),
    )
    settled = coverage.settled_sessions("equity_bars", "1 day", now=NOON)
    assert dict(settled) == {("AAPL", 0): {DAYS[0], DAYS[-1]}, ("GOOG", 0): {DAYS[0]}}
    assert len(settled) == 2 and ("GOOG", 0) in settled and ("IBM", 0) not in settled and settled["IBM", 0] == frozenset()
    assert dict(coverage.settled_sessions("equity_bars", "1 day", ["AAPL"], DAYS[1], DAYS[-1])) == {("AAPL", 0): {DAYS[-1]}}
    assert dict(coverage.settled_sessions("option_bars", "1 day", con_ids=[8])) == {("AAPL", 8): {DAYS[3]}}
    assert dict(coverage.settled_sessions("contracts", "", ["AAPL"])) == {("AAPL", 0): {DAYS[4]}}
    assert dict(coverage.settled_sessions("option_chains", "", ["AAPL"])) == {}


def test_conditions_are_given_as_recorded(coverage: CoverageRepository) -> None:
    record(coverage, covered(DAYS[0]), covered(DAYS[-1], "error", reason="Timed out.", symbol="GOOG"))
    assert coverage.conditions("equity_bars").num_rows == 2
    (row,) = coverage.conditions("equity_bars", "1 day", ["GOOG"], DAYS[0], DAYS[-1]).to_pylist()
    assert (row["condition"], row["reason"]) == ("error", "Timed out.")
    assert coverage.conditions("equity_bars", "1 day", ["GOOG"], DAYS[0], DAYS[3]).num_rows == 0


def test_what_is_complete_stays_complete(coverage: CoverageRepository) -> None:
    tomorrow = NOON + timedelta(days=1)
    record(coverage, covered(DAYS[0]))
    for weaker in ("no_trades", "error", "partial", "pending", "expired_lost"):
        record(coverage, covered(DAYS[0], weaker, collected_at=tomorrow))
    assert coverage.conditions("equity_bars")["condition"].to_pylist() == ["complete"]


def test_a_complete_answer_counts_even_when_it_is_older(coverage: CoverageRepository) -> None:
    record(coverage, covered(DAYS[0], "error", collected_at=NOON + timedelta(days=1)))
    record(coverage, covered(DAYS[0]))
    assert coverage.conditions("equity_bars")["condition"].to_pylist() == ["complete"]


def test_a_naive_instant_is_refused(coverage: CoverageRepository) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        coverage.settled_sessions("equity_bars", "1 day", now=datetime(2015, 12, 24))


answers = st.lists(
    st.tuples(st.sampled_from(["AAPL", "GOOG"]), st.integers(0, 2), st.sampled_from(DAYS), st.sampled_from(list(Condition)), st.integers(0, 3)),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers)
def test_settled_sessions_equal_a_dictionary(tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[str, int, date, Condition, int]]) -> None:
    coverage = CoverageRepository(ParquetStore(tmp_path_factory.mktemp("lake")))
    model: dict[tuple[str, int, date], tuple[Condition, int]] = {}
    for symbol, con_id, day, condition, hour in answers:
        key = symbol, con_id, day
        record(coverage, covered(day, condition.value, symbol=symbol, con_id=con_id, collected_at=NOON + timedelta(hours=hour)))
        old = model.get(key)
        stronger = old is not None and old[0] is Condition.COMPLETE and condition is not Condition.COMPLETE
        weaker = old is not None and old[0] is not Condition.COMPLETE and condition is Condition.COMPLETE
        if old is None or weaker or (not stronger and old[0] is not condition and hour >= old[1]):
            model[key] = condition, hour
    expected: dict[tuple[str, int], set[date]] = {}
    for (symbol, con_id, day), (condition, _) in model.items():
        if condition.settled:
            expected.setdefault((symbol, con_id), set()).add(day)
    assert dict(coverage.settled_sessions("equity_bars", "1 day")) == expected


def test_two_thousand_contracts_of_a_year(coverage: CoverageRepository) -> None:
    sessions = calendar().sessions(date(2015, 1, 1), date(2015, 12, 31))
    contracts, rows = 2000, 2000 * len(sessions)
    columns = {
        "dataset": pa.array(np.repeat("option_bars", rows)),
        "bar_size": pa.array(np.repeat("1 day", rows)),
        "symbol": pa.array(np.repeat("AAPL", rows)),
        "con_id": pa.array(np.repeat(np.arange(1, contracts + 1), len(sessions))),
        "session": pa.array(sessions * contracts, pa.date32()),
        "condition": pa.array(np.tile(["complete", "no_trades", "error", "pending"], rows // 4)),
        "reason": pa.array(np.repeat("", rows)),
        "broker_code": pa.nulls(rows, pa.int32()),
        "retry_after": pa.nulls(rows, INSTANT),
        "collected_at": pa.array([NOON] * rows, INSTANT),
        "request_id": pa.array(np.ones(rows, dtype=np.int64)),
    }
    coverage.record(pa.table(columns, schema=COVERAGE.schema))
    settled = coverage.settled_sessions("option_bars", "1 day", ["AAPL"], sessions[0], sessions[-1], NOON)
    assert len(settled) == contracts
    assert sum(map(len, settled.values())) == rows // 2
    assert settled["AAPL", 1] == {day for i, day in enumerate(sessions) if i % 4 < 2}
