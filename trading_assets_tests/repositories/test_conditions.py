"""One condition a dataset, bar size, symbol and session, whatever the coverage holds."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.conditions import (
    CONDITION_SCHEMA,
    PRECEDENCE,
    count_conditions,
    query_conditions,
    symbol_conditions,
)
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, option_bar, table

DAYS = [date(2015, 12, day) for day in (17, 18, 21, 22, 23)]
NOW = datetime(2015, 12, 24, 15, 0, tzinfo=UTC)
"""In the half-day session of the 24th: the 23rd is the last closed one."""
TODAY = date(2015, 12, 24)

CONTRACT = {"dataset": "option_bars", "bar_size": "8 hours", "con_id": 1001}


SNAPSHOT = {"bar_size": ""}


def fill(
    folder: Path,
    coverage: Sequence[dict[str, Any]],
    bars: Sequence[dict[str, Any]] = (),
    chains: Sequence[dict[str, Any]] = (),
    contracts: Sequence[date] = (),
) -> None:
    """A lake with these rows; of contracts, the sessions with details of AAPL."""
    store = ParquetStore(folder)
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(session) for session in contracts]))
    store.upsert(COVERAGE, table(COVERAGE, coverage))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, bars))
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, chains))


def told(folder: Path, dataset: str, now: datetime = NOW, **bounds: Any) -> dict[date, tuple[str, str]]:
    """Condition and reason by session, of AAPL."""
    rows = symbol_conditions(folder, calendar(), now, ["AAPL"], datasets=[dataset], **bounds).to_pylist()
    assert len({row["session"] for row in rows}) == len(rows)
    return {row["session"]: (row["condition"], row["reason"]) for row in rows}


def selected(session: date, con_id: int = 1001, **terms: Any) -> dict[str, Any]:
    return {**chain_row(session, con_id=con_id, strike=float(con_id), **terms), "selected": True}


def test_an_empty_lake_wants_nothing(tmp_path: Path) -> None:
    found = symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"])
    assert (found.num_rows, found.schema) == (0, CONDITION_SCHEMA)
    assert symbol_conditions(tmp_path, calendar(), NOW, []).num_rows == 0
    assert symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"], datasets=["coverage"]).num_rows == 0


def test_bars_not_asked_for_are_pending_and_gone_bars_too(tmp_path: Path) -> None:
    later = NOW + timedelta(days=30)
    refused = covered(DAYS[3], "error", reason="The broker did not answer.", broker_code=162, retry_after=later)
    fill(tmp_path, [covered(DAYS[0]), covered(DAYS[1]), refused], [bar(DAYS[0])])
    assert told(tmp_path, "equity_bars") == {
        DAYS[0]: ("complete", ""),
        DAYS[1]: ("pending", "The bars are gone from the lake; they are requested again."),
        DAYS[2]: ("pending", "Not collected yet."),
        DAYS[3]: ("error", "The broker did not answer."),
        DAYS[4]: ("pending", "Not collected yet."),
    }
    (row,) = symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"], first=DAYS[3], last=DAYS[3]).to_pylist()
    assert (row["broker_code"], row["retry_after"], row["instruments"], row["complete"]) == (162, later, 1, 0)
    asked = query_conditions(
        tmp_path, calendar(), NOW, ["AAPL"], "select session from conditions where askable > 0 order by session"
    )
    assert asked["session"].to_pylist() == [DAYS[1], DAYS[2], DAYS[4]]


def test_each_bar_size_in_use_begins_with_its_own_first_session(tmp_path: Path) -> None:
    fill(tmp_path, [covered(DAYS[0], "no_trades"), covered(DAYS[3], "no_trades", bar_size="5 mins")])
    rows = symbol_conditions(
        tmp_path, calendar(), NOW, ["AAPL"], equity_bar_sizes=["1 day", "5 mins", "1 min"]
    ).to_pylist()
    assert Counter(row["bar_size"] for row in rows) == {"1 day": 5, "5 mins": 2}


def test_missed_chains_are_lost_and_missed_contracts_carried(tmp_path: Path) -> None:
    fill(
        tmp_path,
        [covered(DAYS[0], dataset=name, bar_size="") for name in ("contracts", "option_chains")],
        contracts=DAYS[:1],
    )
    chains, contracts = told(tmp_path, "option_chains"), told(tmp_path, "contracts")
    lost = "No snapshot was taken while session 2015-12-18 was current; a chain of a past session is unavailable."
    assert chains[DAYS[1]] == ("expired_lost", lost)
    assert contracts[DAYS[1]][0] == "complete"
    assert "2015-12-18" in contracts[DAYS[1]][1]
    assert TODAY not in chains, "the running session is wanted once it is recorded"
    after_the_close = datetime(2015, 12, 24, 20, 0, tzinfo=UTC)
    assert told(tmp_path, "option_chains", after_the_close)[TODAY] == ("pending", "Not collected yet.")
    assert told(tmp_path, "equity_bars")[DAYS[0]] == (
        "pending",
        "Not collected yet.",
    ), "wanted from the day the symbol was set up"


def test_snapshots_whose_rows_are_gone_are_not_complete(tmp_path: Path) -> None:
    days = [*DAYS, TODAY]
    coverage = [covered(day, dataset=name, **SNAPSHOT) for name in ("contracts", "option_chains") for day in days]
    fill(tmp_path, coverage, chains=[selected(day) for day in DAYS[:2]], contracts=DAYS[:2])
    chains, contracts = told(tmp_path, "option_chains"), told(tmp_path, "contracts")
    asked_again = ("pending", "Nothing of it is in the lake, though it was recorded; it is requested again.")
    assert chains[TODAY] == contracts[TODAY] == asked_again
    assert [chains[day][0] for day in DAYS] == ["complete"] * 2 + ["expired_lost"] * 3
    assert chains[DAYS[2]][1].startswith(
        "Nothing of the chain of session 2015-12-21 is in the lake, though it was recorded;"
    )
    assert [contracts[day][0] for day in DAYS] == ["complete"] * 5, "the details of the 18th are a few days old"
    assert contracts[DAYS[1]][1] == ""
    assert contracts[DAYS[2]][1].startswith(
        "The contract details of session 2015-12-21 are gone from the lake; those of the sessions beside"
    )
    asked = query_conditions(
        tmp_path,
        calendar(),
        NOW,
        ["AAPL"],
        "select dataset, session from conditions where askable > 0 and bar_size = ''",
    )
    assert {(row["dataset"], row["session"]) for row in asked.to_pylist()} == {
        ("contracts", TODAY),
        ("option_chains", TODAY),
    }


def test_contracts_of_which_no_row_is_left_are_pending(tmp_path: Path) -> None:
    fill(tmp_path, [covered(day, dataset="contracts", **SNAPSHOT) for day in DAYS])
    found = told(tmp_path, "contracts")
    assert {condition for condition, _ in found.values()} == {"pending"}
    assert (
        found[DAYS[0]][1]
        == "The contract details of session 2015-12-17 are gone from the lake; the next update answers for them."
    )


def test_a_partial_chain_without_a_row_is_not_there(tmp_path: Path) -> None:
    failed = "The listing failed of 20160115."
    fill(
        tmp_path,
        [
            covered(day, "partial", dataset="option_chains", reason=failed, **SNAPSHOT)
            for day in (DAYS[3], DAYS[4], TODAY)
        ],
    )
    ParquetStore(tmp_path).upsert(OPTION_CHAINS, table(OPTION_CHAINS, [selected(DAYS[3])]))
    found = told(tmp_path, "option_chains")
    assert found[DAYS[3]] == ("partial", failed)
    assert found[DAYS[4]][0] == "expired_lost"
    assert found[TODAY] == (
        "pending",
        f"Nothing of it is in the lake, though it was recorded; it is requested again. {failed}",
    )


def test_contract_details_are_believed_for_some_days_and_answered_for_by_later_ones(tmp_path: Path) -> None:
    late = datetime(2016, 1, 8, 22, 0, tzinfo=UTC)
    fill(tmp_path, [covered(DAYS[0], dataset="contracts", **SNAPSHOT)], contracts=DAYS[:1])
    found = told(tmp_path, "contracts", late)
    assert [day for day, (condition, _) in found.items() if condition == "complete"] == DAYS, (
        "the 24th is seven days after the 17th"
    )
    assert (
        found[DAYS[4]][1]
        == "Not asked for in session 2015-12-23; the details of an earlier session are recent enough to answer for it."
    )
    assert found[TODAY][0] == "pending"
    assert (
        found[TODAY][1]
        == "The contract details of session 2015-12-24 are neither verified nor recent enough; the next update answers"
        " for them."
    )
    told_less = told(tmp_path, "contracts", late, verify_days=2)
    assert [day for day, (condition, _) in told_less.items() if condition == "complete"] == DAYS[:2]
    part = told(tmp_path, "contracts", late, first=DAYS[3], last=TODAY)
    assert part == {day: found[day] for day in (DAYS[3], DAYS[4], TODAY)}, (
        "what answers may lie outside of what is looked at"
    )

    fill(tmp_path, [covered(date(2016, 1, 6), dataset="contracts", **SNAPSHOT)], contracts=[date(2016, 1, 6)])
    answered = told(tmp_path, "contracts", late)
    assert {day for day, (condition, _) in answered.items() if condition != "complete"} == {date(2016, 1, 8)}, (
        "the current session"
    )
    carried = "Not asked for in session 2015-12-24; the details of the sessions beside it answer for it."
    assert answered[TODAY][1] == carried
    fill(tmp_path, [covered(TODAY, dataset="contracts", reason=carried, request_id=0, **SNAPSHOT)])
    assert told(tmp_path, "contracts", late)[TODAY] == (
        "complete",
        carried,
    ), "recorded as carried: no row of it is missed"


def test_a_snapshot_left_pending_is_lost_once_its_session_is_past(tmp_path: Path) -> None:
    snapshot = {"dataset": "option_chains", "bar_size": ""}
    fill(
        tmp_path,
        [
            covered(DAYS[4], "pending", reason="No answer.", **snapshot),
            covered(TODAY, "pending", reason="No answer.", **snapshot),
        ],
    )
    found = told(tmp_path, "option_chains")
    assert found[DAYS[4]][0] == "expired_lost"
    assert found[TODAY] == ("pending", "No answer.")


def test_a_refusal_answers_until_its_retry_time(tmp_path: Path) -> None:
    until = datetime(2015, 12, 22, 14, 0, tzinfo=UTC)
    fill(
        tmp_path,
        [
            covered(
                DAYS[0],
                "no_contract",
                dataset="option_chains",
                bar_size="",
                reason="No options.",
                broker_code=200,
                retry_after=until,
            )
        ],
    )
    assert [condition for condition, _ in told(tmp_path, "option_chains").values()] == ["no_contract"] * 3 + [
        "expired_lost"
    ] * 2
    rows = symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"], datasets=["option_bars"]).to_pylist()
    assert {(row["condition"], row["reason"], row["broker_code"], row["instruments"]) for row in rows} == {
        ("no_contract", "No options.", 200, 0)
    }


def test_contracts_are_rolled_up_to_the_worst(tmp_path: Path) -> None:
    rows = [covered(day, "no_trades", **CONTRACT) for day in DAYS]
    rows += [
        covered(DAYS[0], "complete", **{**CONTRACT, "con_id": 1002}),
        covered(DAYS[1], "error", reason="Odd.", **{**CONTRACT, "con_id": 1002}),
    ]
    rows += [
        covered(DAYS[2], "no_trades", **{**CONTRACT, "con_id": 1002}),
        covered(DAYS[4], "expired_lost", **{**CONTRACT, "con_id": 1002}),
    ]
    fill(tmp_path, rows, chains=[selected(DAYS[0]), selected(DAYS[0], 1002)])
    ParquetStore(tmp_path).upsert(
        OPTION_BARS, table(OPTION_BARS, [option_bar(DAYS[0], con_id=1002) | {"bar_size": "8 hours"}])
    )
    found = symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"], datasets=["option_bars"]).to_pylist()
    assert [row["condition"] for row in found] == ["complete", "error", "no_trades", "pending", "expired_lost"]
    assert [row["complete"] for row in found] == [2, 1, 2, 1, 1]
    assert {row["instruments"] for row in found} == {2}
    assert found[1]["reason"] == "1 of 2 contracts: Odd."


def test_contracts_come_from_the_snapshot_that_answers_and_are_alive(tmp_path: Path) -> None:
    gone = selected(DAYS[0], 1003, expiry=DAYS[1]) | {"last_trade": "20151218"}
    fill(
        tmp_path, [covered(DAYS[0], "no_trades", **CONTRACT)], chains=[selected(DAYS[0]), gone, selected(DAYS[3], 1002)]
    )
    found = {
        row["session"]: row
        for row in symbol_conditions(tmp_path, calendar(), NOW, ["AAPL"], datasets=["option_bars"]).to_pylist()
    }
    # 18th: the snapshot after (1002) and the one before (1001, 1003); later 1003 is dead; from the 22nd on 1002 alone
    assert [found[day]["instruments"] for day in DAYS] == [2, 3, 2, 1, 1]
    lost = query_conditions(
        tmp_path,
        calendar(),
        NOW,
        ["AAPL"],
        "select con_id, session from lacking_contracts order by 1, 2",
        datasets=["option_bars"],
    )
    assert 1003 not in lost["con_id"].to_pylist(), "an expired contract can no longer be asked for"
    late = datetime(2016, 3, 1, 22, 0, tzinfo=UTC)
    assert told(tmp_path, "option_bars", late)[DAYS[4]][0] == "expired_lost"


def test_the_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    fill(tmp_path, [covered(DAYS[0]), covered(DAYS[2], "no_trades"), covered(DAYS[0], symbol="IBM")], [bar(DAYS[0])])
    rows = symbol_conditions(tmp_path, calendar(), NOW, ["AAPL", "IBM"]).to_pylist()
    counted = count_conditions(tmp_path, calendar(), NOW, ["AAPL", "IBM"]).to_pylist()
    assert [(row["reason"], row["reason_session"]) for row in counted if row["symbol"] == "AAPL"] == [
        ("", None),
        ("", None),
        ("Not collected yet.", DAYS[4]),
    ]
    assert Counter((row["symbol"], row["condition"]) for row in rows) == {
        (row["symbol"], row["condition"]): row["sessions"] for row in counted
    }


def test_the_precedence_names_every_condition_once() -> None:
    assert sorted(PRECEDENCE) == sorted(Condition)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("contracts", ""),
                ("option_chains", ""),
                ("equity_bars", "1 day"),
                ("equity_bars", "5 mins"),
                ("option_bars", "8 hours"),
            ]
        ),
        st.sampled_from(["AAPL", "IBM", "GONE"]),
        st.sampled_from([0, 1001, 1002]),
        st.sampled_from([*DAYS, TODAY]),
        st.sampled_from(list(Condition)),
        st.sampled_from([None, timedelta(days=-1), timedelta(days=3)]),
    ),
    max_size=25,
    unique_by=lambda row: row[:4],
)
CHAINS = st.lists(
    st.tuples(
        st.sampled_from([*DAYS, TODAY]),
        st.sampled_from([1001, 1002, 1003]),
        st.sampled_from([DAYS[2], date(2016, 1, 15)]),
    ),
    max_size=8,
    unique_by=lambda row: row[:2],
)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=25, deadline=None)
@given(
    ROWS,
    CHAINS,
    st.sampled_from([NOW, datetime(2015, 12, 24, 20, 0, tzinfo=UTC), datetime(2016, 2, 1, 22, 0, tzinfo=UTC)]),
)
def test_exactly_one_condition_whatever_is_recorded(rows: list[Any], chains: list[Any], now: datetime) -> None:
    coverage = []
    for (dataset, size), symbol, con_id, session, condition, retry in rows:
        key = {"dataset": dataset, "bar_size": size, "symbol": symbol, "con_id": con_id}
        coverage.append(
            covered(session, str(condition), retry_after=None if retry is None else NOW + retry, reason="Told.", **key)
        )
    with tempfile.TemporaryDirectory() as folder:
        fill(
            Path(folder),
            coverage,
            chains=[selected(day, con_id, expiry=expiry) for day, con_id, expiry in chains if day <= expiry],
        )
        found = symbol_conditions(
            folder, calendar(), now, ["AAPL", "IBM"], equity_bar_sizes=["1 day", "5 mins"]
        ).to_pylist()
        again = symbol_conditions(
            folder, calendar(), now, ["AAPL", "IBM"], equity_bar_sizes=["1 day", "5 mins"], first=DAYS[1], last=DAYS[3]
        )
    keys = [(row["dataset"], row["bar_size"], row["symbol"], row["session"]) for row in found]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)
    assert {row["condition"] for row in found} <= {str(condition) for condition in Condition}
    assert all(row["reason"] is not None and row["complete"] <= row["instruments"] for row in found)
    spans: dict[tuple[str, str, str], list[date]] = {}
    for *series, session in keys:
        spans.setdefault((series[0], series[1], series[2]), []).append(session)
    for (dataset, _, _), days in spans.items():
        assert days == calendar().sessions(days[0], days[-1]), "no session is left out"
        closed = calendar().last_closed(now)
        assert days[-1] in ((closed,) if dataset.endswith("bars") else (closed, calendar().current(now)))
    assert again.to_pylist() == [row for row in found if DAYS[1] <= row["session"] <= DAYS[3]], (
        "a part is a part of the whole"
    )


def test_what_lies_between_two_answers_that_differ_is_unknown(tmp_path: Path) -> None:
    months = NOW + timedelta(days=60)
    none = {"condition": "no_contract", "reason": "No options are listed.", "retry_after": months, **SNAPSHOT}
    carried = {"dataset": "contracts", "request_id": 0, **SNAPSHOT}
    coverage = [
        covered(DAYS[0], dataset="option_chains", **none),
        covered(DAYS[3], dataset="option_chains", **SNAPSHOT),
        covered(DAYS[0], dataset="contracts", **SNAPSHOT),
        covered(DAYS[1], **carried),
        covered(DAYS[3], dataset="contracts", **SNAPSHOT),
    ]
    fill(tmp_path, coverage, chains=[selected(DAYS[3])], contracts=[DAYS[0], DAYS[1]])
    ParquetStore(tmp_path).upsert(CONTRACTS, table(CONTRACTS, [{**contract_row(DAYS[3]), "con_id": 7}]))
    chains, contracts = told(tmp_path, "option_chains"), told(tmp_path, "contracts")
    assert [chains[day][0] for day in DAYS[:4]] == ["no_contract", "expired_lost", "expired_lost", "complete"]
    assert "No snapshot was taken" in chains[DAYS[1]][1], "options were listed by the 22nd, nobody knows since when"
    assert [contracts[day][0] for day in DAYS[:4]] == ["complete", "pending", "pending", "complete"]
    assert "the answers before and after it differ" in contracts[DAYS[1]][1]
