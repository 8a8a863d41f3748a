from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.collecting.decode import aggregate_sessions, bar_rows, restated
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS
from trading_assets_tests.collecting.decode.answers import AAPL, CALL, NOW, XNYS, bar, bars_request, result

FIRST, LAST = date(2015, 12, 21), date(2015, 12, 24)


def at(session: date, minutes: int = 0) -> float:
    return (XNYS.opens_at(session) + timedelta(minutes=minutes)).timestamp()


def daily(
    bars: list[list[object]], request_id: int = 1, instrument: Instrument = AAPL, now: datetime = NOW, last: date = LAST
):  # type: ignore[no-untyped-def]
    return result(
        bars_request(instrument, FIRST, last, "1 day", now), {"bars": bars}, request_id=request_id, finished_at=now
    )


def test_daily_bars_start_at_the_regular_open() -> None:
    table = bar_rows([daily([bar("20151223"), bar("20151224", 11.0)])], EQUITY_BARS, XNYS)
    assert table.schema.equals(EQUITY_BARS.schema, check_metadata=True)
    table.validate(full=True)
    first, last = table.to_pylist()
    assert (first["session"], first["start"]) == (date(2015, 12, 23), datetime(2015, 12, 23, 14, 30, tzinfo=UTC))
    assert (last["open"], last["high"], last["low"], last["close"], last["volume"], last["wap"], last["bar_count"]) == (
        11,
        13,
        10,
        12,
        100,
        10.5,
        7,
    )
    assert (last["symbol"], last["con_id"], last["bar_size"], last["request_id"]) == ("AAPL", 265598, "1 day", 1)


def test_bars_before_the_first_session_asked_for_are_dropped() -> None:
    table = bar_rows([daily([bar("20141224"), bar("20151218"), bar("20151221")])], EQUITY_BARS, XNYS)
    assert table["session"].to_pylist() == [FIRST]


def test_the_bar_of_an_unfinished_session_is_never_stored() -> None:
    midday = datetime(2015, 12, 24, 17, 0, tzinfo=UTC)
    asked = bars_request(AAPL, FIRST, date(2015, 12, 23), "1 day", midday)
    answer = result(asked, {"bars": [bar("20151223"), bar("20151224")]}, finished_at=midday)
    assert bar_rows([answer], EQUITY_BARS, XNYS)["session"].to_pylist() == [date(2015, 12, 23)]
    wide = bars_request(AAPL, FIRST, LAST, "1 day")
    early = result(wide, {"bars": [bar("20151223"), bar("20151224")]}, finished_at=midday)
    assert bar_rows([early], EQUITY_BARS, XNYS)["session"].to_pylist() == [date(2015, 12, 23)]
    assert bar_rows([replace(early, finished_at=NOW)], EQUITY_BARS, XNYS).num_rows == 2


def test_a_bar_of_a_day_without_trading_belongs_to_no_session() -> None:
    assert bar_rows([daily([bar("20151220"), bar("20151221")])], EQUITY_BARS, XNYS).num_rows == 1


def test_what_the_broker_did_not_compute_is_null() -> None:
    table = bar_rows(
        [daily([bar("20151223", wap=None, count=None), bar("20151224", volume=-1, wap=-1, count=-1)])],
        EQUITY_BARS,
        XNYS,
    )
    assert table["wap"].null_count == table["bar_count"].null_count == 2
    assert table["volume"].to_pylist() == [100.0, None]


def test_round_lots_become_shares_exactly_and_only_for_stocks() -> None:
    lots = [bar("20151224", volume=948837.22)]
    assert bar_rows([daily(lots)], EQUITY_BARS, XNYS, stock_volume_unit="round_lots")["volume"].to_pylist() == [
        94883722.0
    ]
    index = Instrument("SPX", "IND", "CBOE", con_id=416904)
    assert bar_rows([daily(lots, instrument=index)], EQUITY_BARS, XNYS, stock_volume_unit="round_lots")[
        "volume"
    ].to_pylist() == [948837.22]


def test_the_later_of_two_answers_for_a_bar_is_kept() -> None:
    table = bar_rows(
        [daily([bar("20151224", 20.0)], 9), daily([bar("20151223"), bar("20151224")], 4)], EQUITY_BARS, XNYS
    )
    assert list(zip(table["open"].to_pylist(), table["request_id"].to_pylist(), strict=True)) == [(10.0, 4), (20.0, 9)]


def test_option_bars_carry_the_terms_of_the_contract() -> None:
    am_settled = Instrument(
        "SPX",
        "OPT",
        con_id=8,
        last_trade="20160114",
        strike=2000.0,
        right="P",
        multiplier="100",
        local_symbol="SPX   160115P02000000",
        trading_class="SPX",
    )
    answers = [
        result(bars_request(c, FIRST, LAST, "8 hours"), {"bars": [bar(at(LAST))]}, request_id=c.con_id)
        for c in (CALL, am_settled)
    ]
    table = bar_rows([*answers, daily([bar("20151224")])], OPTION_BARS, XNYS)
    assert table.schema.equals(OPTION_BARS.schema, check_metadata=True)
    goog, spx = table.to_pylist()
    assert (goog["strike"], goog["right"], goog["expiry"], goog["multiplier"]) == (
        750.0,
        "C",
        date(2015, 12, 31),
        100.0,
    )
    assert (spx["expiry"], spx["local_symbol"], spx["start"]) == (
        date(2016, 1, 15),
        "SPX   160115P02000000",
        XNYS.opens_at(LAST),
    )


def test_bars_around_the_change_of_the_clock_belong_to_their_new_york_day() -> None:
    sessions = [date(2015, 10, 30), date(2015, 11, 2)]
    answer = result(
        bars_request(AAPL, sessions[0], sessions[1], "1 hour"),
        {"bars": [bar(at(day, minutes)) for day in sessions for minutes in (0, 30, 330)]},
    )
    assert bar_rows([answer], EQUITY_BARS, XNYS)["session"].to_pylist() == [sessions[0]] * 3 + [sessions[1]] * 3


def test_no_answers_no_rows() -> None:
    failed = result(bars_request(AAPL, FIRST, LAST, "1 day"), None, Outcome(OutcomeKind.TIMEOUT))
    for answers in ([], [failed], [daily([])], [daily([bar("20151218")])]):
        assert bar_rows(answers, EQUITY_BARS, XNYS).num_rows == 0


def half_hours(bars: list[list[object]]) -> pa.Table:
    return bar_rows([result(bars_request(CALL, FIRST, LAST, "30 mins"), {"bars": bars})], OPTION_BARS, XNYS)


def test_sessions_are_aggregated_with_the_settlement_bar_of_a_half_day() -> None:
    close = 210  # minutes from the open to 13:00
    table = half_hours(
        [
            [at(date(2015, 12, 23)), 1.0, 1.5, 0.9, 1.2, 10.0, 1.1, 3],
            [at(LAST, 30), 2.0, 2.5, 1.9, 2.2, 10.0, 2.1, 3],
            [at(LAST, 60), 2.2, 3.5, 2.0, 3.0, 30.0, 3.1, 5],
            [at(LAST, close), 2.8, 2.9, 1.8, 1.85, 20.0, 1.9, 1],
        ]
    )
    before, day = aggregate_sessions(table, XNYS).to_pylist()
    assert (before["session"], before["wap"], before["close"]) == (date(2015, 12, 23), 1.1, 1.2)
    assert (day["open"], day["high"], day["low"], day["close"], day["volume"], day["bar_count"]) == (
        2.0,
        3.5,
        1.8,
        1.85,
        60.0,
        9,
    )
    assert day["wap"] == pytest.approx((2.1 * 10 + 3.1 * 30 + 1.9 * 20) / 60)
    assert (day["start"], day["bar_size"], day["strike"]) == (XNYS.opens_at(LAST), "1 day", 750.0)


def test_a_bar_without_average_or_count_leaves_none_for_the_session() -> None:
    table = half_hours([[at(LAST), 1, 1, 1, 1, 5.0, 1.0, 2], [at(LAST, 30), 1, 1, 1, 1, 5.0, None, None]])
    [day] = aggregate_sessions(table, XNYS).to_pylist()
    assert (day["wap"], day["bar_count"], day["volume"]) == (None, None, 10.0)


def test_a_bar_without_a_volume_leaves_none_for_the_session() -> None:
    table = half_hours([[at(LAST), 1, 1, 1, 1, 5.0, 1.0, 2], [at(LAST, 30), 1, 1, 1, 1, None, 1.0, 2]])
    [day] = aggregate_sessions(table, XNYS).to_pylist()
    assert (day["wap"], day["bar_count"], day["volume"]) == (None, 4, None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(XNYS.sessions(FIRST, LAST)), st.integers(0, 6), st.integers(10, 99), st.integers(1, 50)
        ),
        min_size=1,
        unique_by=lambda item: item[:2],
    )
)
@settings(max_examples=50, deadline=None)
def test_aggregation_equals_a_plain_loop(items: list[tuple[date, int, int, int]]) -> None:
    table = half_hours(
        [[at(day, 30 * slot), p, p + 3, p - 2, p + 1, float(v), p + 0.5, v] for day, slot, p, v in items]
    )
    rows = aggregate_sessions(table, XNYS).to_pylist()
    assert [row["session"] for row in rows] == sorted({item[0] for item in items})
    for row in rows:
        inside = sorted(item for item in items if item[0] == row["session"])
        assert row["open"] == inside[0][2]
        assert row["close"] == inside[-1][2] + 1
        assert row["high"] == max(p for _, _, p, _ in inside) + 3
        assert row["low"] == min(p for _, _, p, _ in inside) - 2
        assert row["volume"] == row["bar_count"] == sum(v for *_, v in inside)
        assert row["wap"] == pytest.approx(sum((p + 0.5) * v for _, _, p, v in inside) / row["volume"])


def test_only_finer_bars_of_one_size_are_aggregated() -> None:
    once = aggregate_sessions(half_hours([bar(at(LAST))]), XNYS)
    with pytest.raises(ValueError, match="one size"):
        aggregate_sessions(once, XNYS)
    with pytest.raises(ValueError, match="one size"):
        aggregate_sessions(pa.concat_tables([once, half_hours([bar(at(LAST))])]), XNYS)
    assert aggregate_sessions(OPTION_BARS.schema.empty_table(), XNYS).num_rows == 0


def prices(*bars: list[object]) -> pa.Table:
    return bar_rows([daily(list(bars))], EQUITY_BARS, XNYS)


def test_a_split_restates_the_overlap() -> None:
    stored = prices(["20151222", 644.0, 651.26, 644.47, 645.57, 1.0, None, None])
    new = prices(["20151222", 92.0, 93.04, 92.07, 92.22, 7.0, None, None], bar("20151223"))
    [found] = restated(new, stored)
    assert (found.symbol, found.bar_size, found.bars, found.uniform) == ("AAPL", "1 day", 1, True)
    assert found.ratio == pytest.approx(1 / 7, rel=1e-3)


def test_a_corrected_price_is_not_taken_for_a_split() -> None:
    stored = prices(["20151222", 100.0, 102.0, 99.0, 101.0, 1.0, None, None])
    [found] = restated(prices(["20151222", 100.0, 102.0, 99.0, 101.01, 1.0, None, None]), stored)
    assert not found.uniform
    assert restated(stored, stored) == []
    assert restated(prices(bar("20151223")), stored) == []
