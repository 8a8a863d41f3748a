from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.collecting.decode import Refusal, Retries, bar_coverage, bar_rows, lost_coverage, snapshot_coverage
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import LostOption, plan_equity_bars
from trading_assets.planning.selection import parse_day
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_BARS
from trading_assets_tests.collecting.decode.answers import AAPL, CALL, NO_DATA, NOW, XNYS, bar, bars_request, result

FIRST, LAST = date(2015, 12, 1), date(2015, 12, 24)
SESSIONS = XNYS.sessions(FIRST, LAST)
TIMEOUT = Outcome(OutcomeKind.TIMEOUT)


def coverage(results: list[Result], now: datetime | None = None) -> list[dict[str, Any]]:
    results = [r if now is None else replace(r, finished_at=now) for r in results]
    bars = pa.concat_tables(
        [
            bar_rows(results, dataset, XNYS).select(["con_id", "bar_size", "session"])
            for dataset in (EQUITY_BARS, OPTION_BARS)
        ]
    )
    table = bar_coverage(results, bars, XNYS)
    assert table.schema.equals(COVERAGE.schema, check_metadata=True)
    table.validate(full=True)
    return table.to_pylist()


def conditions(rows: list[dict[str, Any]]) -> dict[date, str]:
    return {row["session"]: row["condition"] for row in rows}


def stock(outcome: Outcome | None = None, sessions: list[date] | None = None, request_id: int = 1) -> Result:
    request = bars_request(AAPL, FIRST, LAST, "1 day")
    return result(
        request,
        {"bars": [bar(f"{s:%Y%m%d}") for s in sessions]} if sessions else None,
        outcome or Outcome(OutcomeKind.COMPLETE),
        request_id,
    )


def option(outcome: Outcome | None = None, sessions: list[date] | None = None, instrument: Instrument = CALL) -> Result:
    request = bars_request(instrument, FIRST, min(LAST, parse_day(instrument.last_trade)), "8 hours")
    bars = {"bars": [bar(XNYS.opens_at(s).timestamp()) for s in sessions]} if sessions else None
    return result(request, bars, outcome or Outcome(OutcomeKind.COMPLETE))


def test_sessions_with_a_bar_are_complete_and_an_underlying_has_no_contract_id() -> None:
    rows = coverage([stock(sessions=SESSIONS)])
    assert [row["session"] for row in rows] == SESSIONS
    assert {(row["condition"], row["reason"], row["broker_code"], row["con_id"], row["dataset"]) for row in rows} == {
        ("complete", "", None, 0, "equity_bars")
    }


def test_a_stock_listed_later_has_no_trades_before() -> None:
    rows = coverage([stock(sessions=SESSIONS[10:])])
    assert conditions(rows) == dict.fromkeys(SESSIONS[:10], "no_trades") | dict.fromkeys(SESSIONS[10:], "complete")
    assert "begin later" in rows[0]["reason"]
    assert rows[0]["retry_after"] is None


def test_a_recent_session_of_a_stock_without_its_bar_is_asked_for_again_later() -> None:
    rows = coverage([stock(sessions=SESSIONS[:-1])])
    assert (rows[-1]["condition"], rows[-1]["retry_after"]) == ("pending", NOW + timedelta(hours=12))
    weeks_later = coverage([stock(sessions=SESSIONS[:-1])], now=NOW + timedelta(days=20))
    assert weeks_later[-1]["condition"] == "no_trades"


def test_no_data_at_all_for_a_stock_is_believed_for_old_sessions_only() -> None:
    found = conditions(coverage([stock(NO_DATA)]))
    assert found[FIRST] == "no_trades"
    assert found[LAST] == "pending"


def test_an_option_without_trades_is_settled() -> None:
    for answer in (option(NO_DATA), option(sessions=SESSIONS[3:5])):
        rows = coverage([answer])
        assert len(rows) == len(SESSIONS)
        assert {row["condition"] for row in rows} <= {"no_trades", "complete"}
        assert {row["con_id"] for row in rows} == {CALL.con_id}


@pytest.mark.parametrize(
    ("kind", "condition", "retried"),
    [
        (OutcomeKind.NOT_PERMITTED, "not_permitted", True),
        (OutcomeKind.NO_CONTRACT, "no_contract", True),
        (OutcomeKind.REJECTED, "error", True),
        (OutcomeKind.EXPIRED, "expired_lost", False),
        (OutcomeKind.TIMEOUT, "pending", False),
        (OutcomeKind.DISCONNECTED, "pending", False),
        (OutcomeKind.PACING, "pending", False),
        (OutcomeKind.UNAVAILABLE, "pending", False),
        (OutcomeKind.CANCELLED, "pending", False),
    ],
)
def test_failures_are_never_no_data(kind: OutcomeKind, condition: str, retried: bool) -> None:
    rows = coverage([option(Outcome(kind, 321, "the broker's words"))])
    assert {row["condition"] for row in rows} == {condition}
    assert {row["broker_code"] for row in rows} == {321}
    assert all(row["reason"] for row in rows)
    assert {row["retry_after"] for row in rows} == {XNYS.opens_at(date(2015, 12, 28)) if retried else None}, (
        "the next session asks again"
    )


@pytest.mark.parametrize(
    ("kind", "condition"), [(OutcomeKind.NOT_PERMITTED, "not_permitted"), (OutcomeKind.REJECTED, "error")]
)
def test_a_refusal_that_an_earlier_session_brought_too_is_believed_for_long(kind: OutcomeKind, condition: str) -> None:
    refusal = Refusal(condition, 321, NOW - timedelta(days=1), NOW - timedelta(hours=6))
    retries = Retries(XNYS, 30, {("1 day", "AAPL", 0): refusal})
    table = bar_coverage([stock(Outcome(kind, 321, "words"))], EQUITY_BARS.schema.empty_table(), XNYS, retries=retries)
    assert set(table["retry_after"].to_pylist()) == {NOW + timedelta(days=30)}
    rows = snapshot_coverage(
        "contracts",
        LAST,
        {"AAPL": Outcome(kind, 321, "words")},
        NOW,
        retries=Retries(XNYS, 30, {("", "AAPL", 0): refusal}),
    )
    assert rows["retry_after"].to_pylist() == [NOW + timedelta(days=30)]


def test_a_contract_gone_after_its_last_trading_day_is_lost_not_untraded() -> None:
    gone = Instrument(
        "GOOG", "OPT", con_id=9, last_trade="20151218", local_symbol="GOOG  151218C00750000", strike=750.0, right="C"
    )
    for outcome in (
        NO_DATA,
        Outcome(OutcomeKind.NO_CONTRACT, 200, "No security definition has been found for the request"),
    ):
        assert {row["condition"] for row in coverage([option(outcome, instrument=gone)])} == {"expired_lost"}
    evening = datetime(2015, 12, 18, 22, 0, tzinfo=UTC)
    assert {row["condition"] for row in coverage([option(NO_DATA, instrument=gone)], now=evening)} == {"no_trades"}


def test_a_session_with_a_bar_stays_complete_when_a_second_answer_fails() -> None:
    rows = coverage([stock(sessions=SESSIONS, request_id=1), stock(TIMEOUT, request_id=2)])
    assert {row["condition"] for row in rows} == {"complete"}
    assert {row["broker_code"] for row in rows} == {None}


def test_sessions_not_closed_when_the_answer_came_are_not_spoken_of() -> None:
    rows = coverage([stock(sessions=SESSIONS)], now=datetime(2015, 12, 24, 17, 59, tzinfo=UTC))
    assert rows[-1]["session"] == date(2015, 12, 23)


def seconds(answered: list[bool]) -> list[Result]:
    requests = plan_equity_bars({"AAPL": (AAPL, [LAST])}, {}, {}, "1 secs", NOW, XNYS)
    return [
        result(
            r,
            {"bars": [bar(r.end.timestamp() - 10)]} if ok else None,
            Outcome(OutcomeKind.COMPLETE) if ok else TIMEOUT,
            i,
        )
        for i, (r, ok) in enumerate(zip(requests, answered, strict=True))
    ]


def test_a_session_of_second_bars_is_complete_only_when_every_window_was_answered() -> None:
    assert conditions(coverage(seconds([True] * 7))) == {LAST: "complete"}
    for missing in (0, 3, 6):
        [row] = coverage(seconds([i != missing for i in range(7)]))
        assert row["condition"] in ("partial", "pending")


def test_lost_options_are_recorded_without_a_request() -> None:
    table = lost_coverage([LostOption(CALL, LAST, (FIRST, LAST))], "8 hours", NOW)
    assert table.schema.equals(COVERAGE.schema)
    assert [(r["session"], r["condition"], r["request_id"]) for r in table.to_pylist()] == [
        (FIRST, "expired_lost", 0),
        (LAST, "expired_lost", 0),
    ]
    assert lost_coverage([], "8 hours", NOW).num_rows == 0


def test_snapshots_are_complete_partial_or_failed_by_symbol() -> None:
    outcomes = {
        "AAPL": Outcome(OutcomeKind.COMPLETE),
        "GOOG": Outcome(OutcomeKind.COMPLETE),
        "NOPE": Outcome(OutcomeKind.NO_CONTRACT, 200, "No security definition has been found for the request"),
        "SLOW": TIMEOUT,
    }
    table = snapshot_coverage(
        "option_chains", LAST, outcomes, NOW, partial={"GOOG": "3 of 40 quotes failed."}, request_ids={"AAPL": 7}
    )
    assert table.schema.equals(COVERAGE.schema)
    rows = {row["symbol"]: row for row in table.to_pylist()}
    assert [rows[s]["condition"] for s in ("AAPL", "GOOG", "NOPE", "SLOW")] == [
        "complete",
        "partial",
        "no_contract",
        "pending",
    ]
    assert (rows["AAPL"]["request_id"], rows["GOOG"]["reason"], rows["NOPE"]["broker_code"]) == (
        7,
        "3 of 40 quotes failed.",
        200,
    )
    assert rows["SLOW"]["reason"]
    assert rows["SLOW"]["retry_after"] is None


def test_half_a_million_sessions_are_covered() -> None:
    year = XNYS.lookback(NOW, 365)
    contracts = [
        Instrument("GOOG", "OPT", con_id=i, last_trade="20151231", strike=1.0, right="C", local_symbol="")
        for i in range(1, 2_001)
    ]
    bars = {"bars": [bar(XNYS.opens_at(s).timestamp()) for s in year[-25:]]}
    results = [result(bars_request(c, year[0], year[-1], "8 hours"), bars, request_id=c.con_id) for c in contracts]
    rows = bar_rows(results, OPTION_BARS, XNYS)
    table = bar_coverage(results, rows, XNYS)
    assert rows.num_rows == 50_000
    assert table.num_rows == 2_000 * len(year)
    assert table.filter(pa.compute.equal(table["condition"], "complete")).num_rows == 50_000
