from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest, from_record
from trading_assets.collecting.decode import bar_coverage, bar_rows
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import WantedOption, is_expired, plan_equity_bars, plan_option_bars, plan_redownload
from trading_assets.planning.selection import parse_day
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, Condition, Dataset
from trading_assets.sessions import calendar
from trading_assets_tests.planning.broker_model import answer, check_legal

XNYS = calendar()
NOW = datetime(2015, 12, 24, 21, 0, tzinfo=UTC)
SESSIONS = XNYS.sessions(date(2015, 9, 1), date(2015, 12, 24))
AAPL = Instrument("AAPL", con_id=265598, primary_exchange="NASDAQ")
GOOG = Instrument("GOOG", con_id=208813719, primary_exchange="NASDAQ")


def option(
    con_id: int,
    last_trade: str = "20151231",
    strike: float = 100.0,
    right: str = "C",
    symbol: str = "AAPL",
    osi: str = "",
) -> Instrument:
    local = osi or f"{symbol:<6}{last_trade[2:]}{right}{round(strike * 1000):08d}"
    words = {
        "symbol": symbol,
        "sec_type": "OPT",
        "last_trade": last_trade,
        "strike": strike,
        "right": right,
        "multiplier": "100",
    }
    return Instrument(con_id=con_id, local_symbol=local, trading_class=symbol, **words)  # type: ignore[arg-type]


class Lake:
    """What coverage remembers between runs: the conditions of each contract's sessions."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.condition: dict[tuple[int | str, date], tuple[Condition, datetime | None]] = {}

    def settled(self, now: datetime) -> dict[int | str, set[date]]:
        found: dict[int | str, set[date]] = {}
        for (who, session), (condition, retry_after) in self.condition.items():
            if condition.settled or (retry_after is not None and retry_after > now):
                found.setdefault(who, set()).add(session)
        return found

    def record(self, results: list[Result], now: datetime) -> None:
        results = [replace(result, finished_at=now) for result in results]
        rows = bar_rows(results, self.dataset, XNYS)
        for row in bar_coverage(results, rows, XNYS).to_pylist():
            key = (row["con_id"] or row["symbol"], row["session"])
            if self.condition.get(key, (None, None))[0] is not Condition.COMPLETE:
                self.condition[key] = (Condition(row["condition"]), row["retry_after"])


FAILURES = [
    Outcome(OutcomeKind.TIMEOUT),
    Outcome(OutcomeKind.DISCONNECTED, 1100, "Connectivity lost"),
    Outcome(OutcomeKind.PACING, 162, "pacing violation"),
    Outcome(OutcomeKind.CANCELLED),
]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_nothing_wanted_is_missing_after_a_complete_run_for_any_interleaving(data: st.DataObject) -> None:
    """Runs over changing sets of contracts and sessions, with failures; at the end everything is settled and nothing is
    requested again."""
    contracts = [
        option(i, last_trade, 90.0 + i)
        for i, last_trade in enumerate(["20151016", "20151218", "20151231", "20160115"], start=1)
    ]
    expiries = {c.con_id: date(int(c.last_trade[:4]), int(c.last_trade[4:6]), int(c.last_trade[6:])) for c in contracts}
    traded = {c.con_id: data.draw(st.sets(st.sampled_from(SESSIONS), max_size=20)) for c in contracts}
    lake, sent, moments = Lake(OPTION_BARS), 0, sorted(data.draw(st.lists(st.sampled_from(SESSIONS[20:]), max_size=4)))
    for day in [*moments, SESSIONS[-1]]:
        now = XNYS.closes_at(day) + timedelta(hours=data.draw(st.integers(0, 4)))
        chosen = data.draw(st.sets(st.sampled_from(contracts), min_size=1)) if day != SESSIONS[-1] else set(contracts)
        complete = day == SESSIONS[-1]
        wanted = [WantedOption(c, expiries[c.con_id], XNYS.sessions(SESSIONS[0], day)) for c in chosen]
        settled = lake.settled(now)
        plan = plan_option_bars(wanted, settled, now, XNYS)  # type: ignore[arg-type]
        results = []
        for request in plan.requests:
            check_legal(request, now)
            assert not set(XNYS.sessions(request.first_session, request.session)) <= settled.get(
                request.instrument.con_id, set()
            )
            assert request.first_session not in settled.get(request.instrument.con_id, set())
            sent += 1
            failing = not complete and data.draw(st.booleans())
            failure = Result(request, data.draw(st.sampled_from(FAILURES)), None, sent, now) if failing else None
            results.append(failure or answer(request, traded[request.instrument.con_id], XNYS, now, sent))
        lake.record(results, now)
        for gone in plan.lost:
            assert is_expired(gone.expiry, now)
            lake.condition |= {
                (gone.instrument.con_id, session): (Condition.EXPIRED_LOST, None) for session in gone.sessions
            }
    final = lake.settled(NOW)
    for contract in contracts:
        alive = {session for session in SESSIONS if session <= expiries[contract.con_id]}
        assert alive <= final.get(contract.con_id, set())
        for session in alive & traded[contract.con_id]:
            assert lake.condition[contract.con_id, session][0] in (Condition.COMPLETE, Condition.EXPIRED_LOST)
        for session in alive - traded[contract.con_id]:
            assert lake.condition[contract.con_id, session][0] is not Condition.COMPLETE
    again = plan_option_bars([WantedOption(c, expiries[c.con_id], SESSIONS) for c in contracts], final, NOW, XNYS)  # type: ignore[arg-type]
    assert again.requests == []
    assert again.lost == []


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_equity_runs_end_with_everything_settled_and_ask_one_request_a_symbol(data: st.DataObject) -> None:
    listed = {"AAPL": set(SESSIONS), "GOOG": set(SESSIONS[30:])}
    lake, sent, bar_size = Lake(EQUITY_BARS), 0, data.draw(st.sampled_from(["1 day", "1 hour", "8 hours"]))
    for day in [*sorted(data.draw(st.lists(st.sampled_from(SESSIONS[40:]), max_size=3))), SESSIONS[-1]]:
        now = XNYS.closes_at(day)
        first = data.draw(st.sampled_from(SESSIONS[:20])) if day != SESSIONS[-1] else SESSIONS[0]
        wanted = {name: (words, XNYS.sessions(first, day)) for name, words in (("AAPL", AAPL), ("GOOG", GOOG))}
        settled = {str(symbol): sessions for symbol, sessions in lake.settled(now).items()}
        stored = {
            name: max(
                (s for (who, s), (c, _) in lake.condition.items() if who == name and c is Condition.COMPLETE),
                default=None,
            )
            for name in wanted
        }
        requests = plan_equity_bars(wanted, settled, stored, bar_size, now, XNYS)
        assert requests == plan_equity_bars(dict(reversed(wanted.items())), settled, stored, bar_size, now, XNYS)
        assert len(requests) == len({r.symbol for r in requests})
        results = []
        for request in requests:
            check_legal(request, now)
            assert set(XNYS.sessions(request.first_session, request.session)) - settled.get(request.symbol, set())
            sent += 1
            results.append(answer(request, listed[request.symbol], XNYS, now, sent))
        lake.record(results, now)
    final = {str(symbol): sessions for symbol, sessions in lake.settled(NOW).items()}
    assert final == {"AAPL": set(SESSIONS), "GOOG": set(SESSIONS)}
    assert {s for (who, s), (c, _) in lake.condition.items() if who == "GOOG" and c is Condition.COMPLETE} == set(
        SESSIONS[30:]
    )


def test_an_unfinished_session_is_never_asked_for() -> None:
    before_close = datetime(2015, 12, 24, 17, 0, tzinfo=UTC)
    [request] = plan_equity_bars({"AAPL": (AAPL, SESSIONS)}, {}, {}, "1 day", before_close, XNYS)
    assert request.session == date(2015, 12, 23)
    assert request.end <= before_close


def test_the_increment_reaches_back_one_stored_session() -> None:
    settled = {"AAPL": set(SESSIONS[:-1])}
    [request] = plan_equity_bars({"AAPL": (AAPL, SESSIONS)}, settled, {"AAPL": SESSIONS[-2]}, "1 day", NOW, XNYS)
    assert (request.first_session, request.session) == (SESSIONS[-2], SESSIONS[-1])
    assert (
        plan_equity_bars(
            {"AAPL": (AAPL, SESSIONS)}, {"AAPL": set(SESSIONS)}, {"AAPL": SESSIONS[-1]}, "1 day", NOW, XNYS
        )
        == []
    )


def test_older_history_asked_for_later_overlaps_the_stored_bars_too() -> None:
    settled = {"AAPL": set(SESSIONS[20:])}
    wanted, last = {"AAPL": (AAPL, SESSIONS)}, {"AAPL": SESSIONS[-1]}
    [request] = plan_equity_bars(wanted, settled, last, "1 day", NOW, XNYS)
    assert (request.first_session, request.session) == (SESSIONS[0], SESSIONS[20])
    again = {"AAPL": (SESSIONS[-5], SESSIONS[24])}
    [request] = plan_equity_bars(wanted, settled, last, "1 day", NOW, XNYS, again=again)
    assert (request.first_session, request.session) == (SESSIONS[0], SESSIONS[24])


@pytest.mark.parametrize(
    ("size", "since", "reached"),
    [("1 day", -40, -40), ("1 hour", -6, -6), ("1 min", -6, -6), ("1 min", -40, -22), ("5 secs", -6, -1)],
)
def test_the_increment_reaches_back_over_as_many_sessions_as_one_request_holds(
    size: str, since: int, reached: int
) -> None:
    settled, last = {"AAPL": set(SESSIONS[:-1])}, {"AAPL": SESSIONS[-2]}
    again = {"AAPL": (SESSIONS[since], SESSIONS[4])}
    [request] = plan_equity_bars({"AAPL": (AAPL, SESSIONS)}, settled, last, size, NOW, XNYS, again=again)
    assert (request.first_session, request.session) == (SESSIONS[reached], SESSIONS[-1])


def test_the_overlap_never_costs_a_request() -> None:
    missing = SESSIONS[-1:]
    settled = {"AAPL": set(SESSIONS[:-1])}
    [request] = plan_equity_bars({"AAPL": (AAPL, SESSIONS)}, settled, {"AAPL": SESSIONS[-2]}, "5 secs", NOW, XNYS)
    assert request.first_session == missing[0]


def test_a_symbol_added_costs_only_its_own_requests() -> None:
    wanted = {"AAPL": (AAPL, SESSIONS), "GOOG": (GOOG, SESSIONS)}
    requests = plan_equity_bars(wanted, {"AAPL": set(SESSIONS)}, {"AAPL": SESSIONS[-1]}, "1 day", NOW, XNYS)
    assert [request.symbol for request in requests] == ["GOOG"]


def test_a_restated_symbol_is_read_anew_in_one_request() -> None:
    [request] = plan_redownload(AAPL, "1 day", SESSIONS[0], date(2016, 1, 31), NOW, XNYS)
    assert (request.first_session, request.session) == (SESSIONS[0], SESSIONS[-1])


def test_second_bars_are_asked_for_window_by_window() -> None:
    requests = plan_equity_bars({"AAPL": (AAPL, SESSIONS[-2:])}, {}, {}, "1 secs", NOW, XNYS)
    assert len(requests) == 12 + 7
    assert len({request.key for request in requests}) == 19
    assert all(from_record(request.as_record()) == request for request in requests)


def test_expiring_contracts_come_first_then_symbol_strike_and_right() -> None:
    contracts = [
        option(1, "20160115", 100.0),
        option(2, "20151231", 110.0, "P"),
        option(3, "20151231", 110.0, "C"),
        option(4, "20151231", 90.0, symbol="GOOG"),
        option(5, "20151224", 500.0),
    ]
    wanted = [WantedOption(c, parse_day(c.last_trade), SESSIONS) for c in contracts]
    plan = plan_option_bars(wanted, {}, NOW, XNYS)
    assert [request.instrument.con_id for request in plan.requests] == [5, 3, 2, 4, 1]
    assert plan == plan_option_bars(reversed(wanted), {}, NOW, XNYS)


@pytest.mark.parametrize(
    ("now", "asked"),
    [
        (datetime(2015, 12, 18, 22, 0, tzinfo=UTC), True),
        (datetime(2015, 12, 19, 4, 59, tzinfo=UTC), True),
        (datetime(2015, 12, 19, 5, 0, tzinfo=UTC), False),
    ],
)
def test_an_option_is_asked_for_until_midnight_of_its_expiry_and_never_after(now: datetime, asked: bool) -> None:
    wanted = [WantedOption(option(1, "20151218"), date(2015, 12, 18), SESSIONS)]
    plan = plan_option_bars(wanted, {1: set(SESSIONS[:10])}, now, XNYS)
    assert bool(plan.requests) is asked
    if asked:
        assert plan.requests[0].session == date(2015, 12, 18)
        assert not plan.lost
    else:
        assert plan.lost[0].sessions == tuple(s for s in SESSIONS[10:] if s <= date(2015, 12, 18))


def test_an_am_settled_contract_is_wanted_until_its_last_trading_day() -> None:
    spx = option(1, "20151217", 2000.0, symbol="SPX", osi="SPX   151218C02000000")
    [request] = plan_option_bars(
        [WantedOption(spx, date(2015, 12, 18), SESSIONS)], {}, datetime(2015, 12, 18, 22, 0, tzinfo=UTC), XNYS
    ).requests
    assert request.session == date(2015, 12, 17)


def test_a_contract_listed_for_a_year_is_one_request_and_the_next_session_another() -> None:
    year = XNYS.lookback(NOW, 365)
    plan = plan_option_bars([WantedOption(option(1), date(2015, 12, 31), year)], {}, NOW, XNYS)
    assert len(plan.requests) == 1
    assert plan.requests[0].bar_size == "8 hours"
    later = datetime(2015, 12, 28, 21, 0, tzinfo=UTC)
    wanted = [WantedOption(option(1), date(2015, 12, 31), XNYS.lookback(later, 365))]
    [increment] = plan_option_bars(wanted, {1: set(year)}, later, XNYS).requests
    assert increment.first_session == increment.session == date(2015, 12, 28)


@pytest.mark.parametrize("bar_size", ["1 day", "1 secs"])
def test_bars_that_options_cannot_have_are_refused(bar_size: str) -> None:
    with pytest.raises(ValueError, match="8 hours"):
        plan_option_bars([], {}, NOW, XNYS, bar_size)


def test_bars_requests_survive_the_journal() -> None:
    [request] = plan_equity_bars({"AAPL": (AAPL, SESSIONS)}, {}, {}, "1 day", NOW, XNYS)
    assert isinstance(request, BarsRequest)
    assert from_record(request.as_record()) == request
