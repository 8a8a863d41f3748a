"""What is wanted of bars, what of it is missing, and what may be asked for now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import (
    COVERAGE,
    EQUITY_BARS,
    INSTANT,
    OPTION_BARS,
    OPTION_CHAINS,
    Condition,
    Dataset,
)
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, bar, chain_row, covered, option_bar, table

DAYS = calendar().sessions(date(2015, 12, 14), date(2015, 12, 24))
LAST = DAYS[-1]
SIZE = "8 hours"


def lake_at(folder: Path, now: datetime) -> Lake:
    return Lake(folder, calendar(), now, ("1 day",), 7, timedelta(minutes=30))


def found(
    lake: Lake, dataset: Dataset, size: str, symbols: Sequence[str] = ("AAPL",), sessions: Sequence[date] = DAYS
) -> dict[Any, Any]:
    """Condition, `askable` and `lost` by symbol, contract id and session."""
    rows = lake.wanted(dataset, size, symbols, sessions).to_pylist()
    told = {
        (row["symbol"], row["con_id"], row["session"]): (row["condition"], row["askable"], row["lost"]) for row in rows
    }
    assert len(told) == len(rows)
    return told


def test_a_settled_condition_is_not_asked_again_and_another_only_after_its_time(tmp_path: Path) -> None:
    now, later = datetime(2015, 12, 24, 20, tzinfo=UTC), datetime(2016, 1, 20, tzinfo=UTC)
    store = ParquetStore(tmp_path)
    rows = [
        covered(DAYS[0]),
        covered(DAYS[1], "no_trades", reason="No trades."),
        covered(DAYS[2], "expired_lost", reason="Expired before it was collected."),
        covered(DAYS[3], "not_permitted", reason="No subscription.", broker_code=354, retry_after=later),
        covered(DAYS[4], "partial", reason="Half of it."),
        covered(DAYS[5], "pending"),
        covered(DAYS[6], "error", retry_after=None),
        covered(DAYS[7], bar_size="1 hour"),
        covered(DAYS[7], dataset="option_bars", con_id=7),
        covered(DAYS[7], symbol="GOOG"),
    ]
    store.upsert(COVERAGE, table(COVERAGE, rows))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAYS[0])]))
    told = found(lake_at(tmp_path, now), EQUITY_BARS, "1 day")
    assert [session for (_, _, session), (_, askable, _) in told.items() if askable] == DAYS[4:]
    told = found(lake_at(tmp_path, later), EQUITY_BARS, "1 day")
    assert [session for (_, _, session), (_, askable, _) in told.items() if askable] == DAYS[3:]
    assert not any(lost for _, _, lost in told.values())


@pytest.mark.parametrize("before", [timedelta(minutes=1), timedelta(days=3)])
def test_what_is_not_closed_is_not_wanted(tmp_path: Path, before: timedelta) -> None:
    now = calendar().closes_at(LAST) - before
    told = found(lake_at(tmp_path, now), EQUITY_BARS, "1 day")
    assert [session for _, _, session in told] == [day for day in DAYS if calendar().is_closed(day, now)]
    assert found(lake_at(tmp_path, now), EQUITY_BARS, "1 day", sessions=[LAST]) == {}


def test_a_naive_instant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        lake_at(tmp_path, datetime(2015, 12, 24)).wanted(EQUITY_BARS, "1 day", ["AAPL"], DAYS)


def test_a_thousand_contracts_of_a_year(tmp_path: Path) -> None:
    sessions = calendar().sessions(date(2015, 1, 1), date(2015, 12, 31))
    contracts, rows = 1000, 1000 * len(sessions)
    columns = {
        "dataset": pa.array(np.repeat("option_bars", rows)),
        "bar_size": pa.array(np.repeat(SIZE, rows)),
        "symbol": pa.array(np.repeat("AAPL", rows)),
        "con_id": pa.array(np.repeat(np.arange(1, contracts + 1), len(sessions))),
        "session": pa.array(sessions * contracts, pa.date32()),
        "condition": pa.array(np.tile(["expired_lost", "no_trades", "error", "pending"], rows // 4)),
        "reason": pa.array(np.repeat("", rows)),
        "broker_code": pa.nulls(rows, pa.int32()),
        "retry_after": pa.nulls(rows, INSTANT),
        "collected_at": pa.array([NOON] * rows, INSTANT),
        "request_id": pa.array(np.ones(rows, dtype=np.int64)),
    }
    store = ParquetStore(tmp_path)
    CoverageRepository(store).record(pa.table(columns, schema=COVERAGE.schema))
    terms = {"expiry": date(2016, 1, 15), "selected": True}
    listed = [
        {**chain_row(sessions[0], con_id=con_id, strike=float(con_id)), **terms} for con_id in range(1, contracts + 1)
    ]
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, listed))
    wanted = lake_at(tmp_path, datetime(2016, 1, 4, tzinfo=UTC)).wanted(OPTION_BARS, SIZE, ["AAPL"], sessions)
    assert wanted.num_rows == rows
    assert sum(wanted["askable"].to_pylist()) == rows // 2
    of_one = {row["session"] for row in wanted.to_pylist() if row["con_id"] == 1 and not row["askable"]}
    assert of_one == {day for i, day in enumerate(sessions) if i % 4 < 2}


CONTRACTS = {con_id: DAYS[con_id * 2] for con_id in (1, 2, 3, 4)}
"""Expiry by contract id; the first of them expire in the middle of the sessions."""

NOWS = [datetime(2015, 12, day, hour, tzinfo=UTC) for day in (17, 22, 28) for hour in (15, 22)]

told = st.tuples(st.sampled_from(Condition), st.sampled_from([None, -1, 2]))
of_equity = st.dictionaries(st.sampled_from(DAYS), told)
of_options = st.dictionaries(st.tuples(st.sampled_from(list(CONTRACTS)), st.sampled_from(DAYS)), told)
selections = st.dictionaries(st.sampled_from(DAYS), st.sets(st.sampled_from(list(CONTRACTS))))


def condition(told: tuple[Condition, int | None], now: datetime) -> dict[str, Any]:
    kind, days = told
    waits = None if days is None or kind.settled or kind is Condition.PENDING else now + timedelta(days=days)
    return {"condition": str(kind), "retry_after": waits}


def expected(told: dict[str, Any] | None, present: bool, expired: bool, now: datetime) -> tuple[bool, bool]:
    """`askable` and `lost` of what was recorded (None: nothing), by the words of the documentation."""
    settled = told is not None and Condition(told["condition"]).settled and (present or told["condition"] != "complete")
    waits = told is not None and told["retry_after"] is not None and told["retry_after"] > now
    partial = told is not None and told["condition"] == "partial"
    return not settled and not expired and not waits, not settled and expired and not waits and not partial


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(NOWS),
    of_equity,
    st.sets(st.sampled_from(DAYS)),
    of_options,
    st.sets(st.sampled_from(DAYS)),
    selections,
)
def test_it_is_what_a_plain_model_says(
    tmp_path_factory: pytest.TempPathFactory,
    now: datetime,
    equity: Any,
    stored: Any,
    options: Any,
    optioned: Any,
    selected: Any,
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    store, xnys = ParquetStore(folder), calendar()
    equity = {day: condition(each, now) for day, each in equity.items()}
    options = {key: condition(each, now) for key, each in options.items() if key[1] <= CONTRACTS[key[0]]}
    selected = {day: {con_id for con_id in chosen if CONTRACTS[con_id] >= day} for day, chosen in selected.items()}
    bars = {(con_id, day) for con_id, expiry in CONTRACTS.items() for day in optioned if day <= expiry}
    rows = [covered(day, **each) for day, each in equity.items()]
    rows += [
        covered(day, dataset="option_bars", bar_size=SIZE, con_id=con_id, **each)
        for (con_id, day), each in options.items()
    ]
    store.upsert(COVERAGE, table(COVERAGE, rows))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day) for day in stored]))
    store.upsert(
        OPTION_BARS, table(OPTION_BARS, [{**option_bar(day, con_id=con_id), "bar_size": SIZE} for con_id, day in bars])
    )
    chains = [
        {**chain_row(day, con_id=con_id, strike=float(con_id), expiry=CONTRACTS[con_id]), "selected": True}
        for day, chosen in selected.items()
        for con_id in chosen
    ]
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, chains))
    lake, closed = lake_at(folder, now), [day for day in DAYS if xnys.is_closed(day, now)]

    told = found(lake, EQUITY_BARS, "1 day")
    assert {key: rest for key, (_, *rest) in told.items()} == {
        ("AAPL", 0, day): list(expected(equity.get(day), day in stored, False, now)) for day in closed
    }

    snapshots = sorted(day for day, chosen in selected.items() if chosen)
    wanted = {}
    for day in closed:
        before, after = [each for each in snapshots if each < day], [each for each in snapshots if each >= day]
        used = {*after[:1], *(before[-1:] if day not in snapshots else ())}
        for con_id in {con_id for each in used for con_id in selected[each] if CONTRACTS[con_id] >= day}:
            expired = now.astimezone(xnys.closes_at(day).tzinfo).date() > CONTRACTS[con_id]
            wanted["AAPL", con_id, day] = list(
                expected(options.get((con_id, day)), (con_id, day) in bars, expired, now)
            )
    told = found(lake, OPTION_BARS, SIZE)
    assert {key: rest for key, (_, *rest) in told.items()} == wanted


def test_of_an_expired_contract_a_part_stays_and_what_waits_is_not_lost_yet(tmp_path: Path) -> None:
    now = datetime(2015, 12, 24, 20, tzinfo=UTC)
    expiry, later = DAYS[4], datetime(2015, 12, 30, tzinfo=UTC)
    terms = {"dataset": "option_bars", "bar_size": SIZE, "con_id": 1}
    store = ParquetStore(tmp_path)
    rows = [
        covered(DAYS[0], "partial", reason="A bar is in quarantine.", **terms),
        covered(DAYS[1], "partial", reason="A bar is in quarantine.", retry_after=later, **terms),
        covered(DAYS[2], "not_permitted", reason="No subscription.", broker_code=354, retry_after=later, **terms),
        covered(DAYS[3], "error", reason="Timed out.", **terms),
    ]
    store.upsert(COVERAGE, table(COVERAGE, rows))
    store.upsert(
        OPTION_CHAINS, table(OPTION_CHAINS, [{**chain_row(DAYS[0], con_id=1, expiry=expiry), "selected": True}])
    )
    told = found(lake_at(tmp_path, now), OPTION_BARS, SIZE)
    lost = {session for (_, _, session), (_, askable, lost) in told.items() if lost and not askable}
    assert lost == {DAYS[3], DAYS[4]}, "of a part and of what waits the recorded words stay"
    assert told["AAPL", 1, DAYS[2]][0] == "not_permitted"
    assert found(lake_at(tmp_path, later), OPTION_BARS, SIZE)["AAPL", 1, DAYS[2]] == ("expired_lost", False, True)
