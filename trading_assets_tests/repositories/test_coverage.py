"""What needs no request."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.schemas import COVERAGE, Condition
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, covered, table

DAYS = calendar().sessions(date(2015, 12, 14), date(2016, 1, 8))


@pytest.fixture
def coverage(tmp_path: Path) -> CoverageRepository:
    return CoverageRepository(ParquetStore(tmp_path))


def record(coverage: CoverageRepository, *rows: dict[str, object]) -> None:
    coverage.record(table(COVERAGE, rows))


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


answers = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "GOOG"]),
        st.integers(0, 2),
        st.sampled_from(DAYS),
        st.sampled_from(list(Condition)),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers)
def test_recorded_conditions_equal_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[str, int, date, Condition, int]]
) -> None:
    coverage = CoverageRepository(ParquetStore(tmp_path_factory.mktemp("lake")))
    model: dict[tuple[str, int, date], tuple[Condition, int]] = {}
    for symbol, con_id, day, condition, hour in answers:
        key = symbol, con_id, day
        record(
            coverage,
            covered(day, condition.value, symbol=symbol, con_id=con_id, collected_at=NOON + timedelta(hours=hour)),
        )
        old = model.get(key)
        stronger = old is not None and old[0] is Condition.COMPLETE and condition is not Condition.COMPLETE
        weaker = old is not None and old[0] is not Condition.COMPLETE and condition is Condition.COMPLETE
        if old is None or weaker or (not stronger and old[0] is not condition and hour >= old[1]):
            model[key] = condition, hour
    stored = coverage.recorded("equity_bars", "1 day").to_pylist()
    recorded = {(row["symbol"], row["con_id"], row["session"]): row["condition"] for row in stored}
    assert recorded == {key: condition for key, (condition, _) in model.items()}
