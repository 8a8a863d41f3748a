"""What may be asked for now, read from small lakes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.monitoring.gaps import (
    Gap,
    StaleChain,
    expiring,
    find_gaps,
    new_symbols,
    stale_chains,
    within_budget,
)
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_CHAINS, Dataset
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, table

DAYS = [date(2015, 12, day) for day in (17, 18, 21, 22, 23)]
EVENING = datetime(2015, 12, 23, 23, 0, tzinfo=UTC)
"""Two hours after the close of the 23rd: its scheduled collection is over, and so is the grace."""
CLOSE = datetime(2015, 12, 23, 21, 0, tzinfo=UTC)


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `Settings`, whose `data_dir` is an alias."""
    return given


class Lake:
    """A data folder with an active symbol, filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(**_values({"data_dir": folder, "now": EVENING}))
        self.store = ParquetStore(folder)
        Universe(self.settings.state_url).add(["AAPL"])

    def put(self, dataset: Dataset, *rows: dict[str, Any]) -> None:
        self.store.upsert(dataset, table(dataset, rows))

    def set_up(self, *symbols: str, session: date = DAYS[0]) -> None:
        """Contract, chain and one bar of each symbol, with their coverage; nothing selected."""
        for symbol in symbols:
            self.put(CONTRACTS, contract_row(session, symbol))
            self.put(EQUITY_BARS, bar(session, symbol=symbol))
            self.put(COVERAGE, *(covered(session, symbol=symbol, dataset=d, bar_size=s) for d, s in SERIES))


SERIES = [("contracts", ""), ("option_chains", ""), ("equity_bars", "1 day")]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def selected(session: date, con_id: int, expiry: date = date(2016, 1, 15), **more: Any) -> dict[str, Any]:
    return {
        **chain_row(session, con_id=con_id, strike=float(con_id), expiry=expiry),
        "last_trade": f"{expiry:%Y%m%d}",
        "selected": True,
        **more,
    }


# --- gaps -------------------------------------------------------------------------------------------------------------


def test_an_empty_archive_has_no_gap_and_nothing_stale(tmp_path: Path) -> None:
    settings = Settings(**_values({"data_dir": tmp_path / "lake", "now": EVENING}))
    assert (find_gaps(settings), stale_chains(settings), new_symbols(settings), expiring(settings, DAYS[0])) == (
        [],
        [],
        [],
        {},
    )


def test_missing_closed_sessions_are_one_gap(lake: Lake) -> None:
    lake.set_up("AAPL")
    lake.put(EQUITY_BARS, bar(DAYS[2]))
    lake.put(COVERAGE, covered(DAYS[2]))
    assert find_gaps(lake.settings) == [Gap("AAPL", "equity_bars", "1 day", DAYS[1], DAYS[4], 3, 1, None, 1)]


@pytest.mark.parametrize(
    ("minutes", "last"),
    [(1, DAYS[3]), (89, DAYS[3]), (90, DAYS[4])],
)
def test_the_last_session_is_left_to_its_schedule_for_a_while(lake: Lake, minutes: int, last: date) -> None:
    lake.set_up("AAPL")
    (gap,) = find_gaps(lake.settings, now=CLOSE + timedelta(minutes=minutes))
    assert gap.last == last


def test_what_is_settled_or_waits_is_no_gap(lake: Lake) -> None:
    lake.set_up("AAPL")
    later, earlier = EVENING + timedelta(hours=1), EVENING - timedelta(hours=1)
    lake.put(
        COVERAGE,
        covered(DAYS[1], "no_trades"),
        covered(DAYS[2], "expired_lost"),
        covered(DAYS[3], "error", retry_after=later),
    )
    lake.put(COVERAGE, covered(DAYS[4], "pending", retry_after=earlier))
    (gap,) = find_gaps(lake.settings)
    assert (gap.first, gap.last) == (DAYS[4], DAYS[4])
    assert find_gaps(lake.settings, now=earlier - timedelta(minutes=1)) == []


def test_inactive_symbols_have_no_gaps(lake: Lake) -> None:
    lake.set_up("AAPL", "IBM")
    assert {gap.symbol for gap in find_gaps(lake.settings)} == {"AAPL"}


def test_contracts_that_expire_come_first(lake: Lake) -> None:
    Universe(lake.settings.state_url).add(["IBM"])
    lake.set_up("AAPL", "IBM")
    lake.put(OPTION_CHAINS, selected(DAYS[0], 1), selected(DAYS[0], 2), selected(DAYS[0], 3, expiry=DAYS[1]))
    lake.put(
        OPTION_CHAINS,
        *({**selected(DAYS[0], con_id, expiry=date(2015, 12, 24)), "symbol": "IBM"} for con_id in (11, 12)),
    )
    done = {"dataset": "option_bars", "bar_size": "8 hours"}
    lake.put(COVERAGE, *(covered(day, "no_trades", con_id=1, **done) for day in DAYS))
    gaps = find_gaps(lake.settings)
    assert [(gap.symbol, gap.dataset, gap.expires, gap.instruments) for gap in gaps] == [
        ("IBM", "option_bars", date(2015, 12, 24), 2),
        ("AAPL", "option_bars", date(2016, 1, 15), 1),
        ("AAPL", "equity_bars", None, 1),
        ("IBM", "equity_bars", None, 1),
    ]
    assert [gap.requests for gap in gaps] == [2, 1, 1, 1], "the contract that has expired is asked for no more"
    assert gaps[0].as_dict()["expires"] == date(2015, 12, 24)


def test_the_budget_takes_the_most_urgent_and_part_of_the_last() -> None:
    gaps = [Gap(s, "option_bars", "8 hours", DAYS[0], DAYS[1], 2, cost, expires, cost) for s, cost, expires in (
        ("LATER", 3, date(2016, 2, 1)), ("SOON", 40, DAYS[4]), ("NEXT", 10, date(2016, 1, 1)))]  # fmt: skip
    assert [gap.symbol for gap in within_budget(gaps, 1)] == ["SOON"]
    assert [gap.symbol for gap in within_budget(gaps, 50)] == ["SOON", "NEXT"]
    assert [gap.symbol for gap in within_budget(gaps, 53)] == ["SOON", "NEXT", "LATER"]
    assert within_budget([], 10) == []


# --- stale chains -----------------------------------------------------------------------------------------------------


def quoted(lake: Lake, at: datetime, session: date) -> None:
    lake.put(OPTION_CHAINS, selected(session, 1, quoted_at=at))
    lake.put(COVERAGE, covered(session, dataset="option_chains", bar_size=""))


def test_a_chain_is_stale_after_a_day_when_a_session_has_begun(lake: Lake) -> None:
    lake.set_up("AAPL")
    at = datetime(2015, 12, 22, 20, 45, tzinfo=UTC)
    quoted(lake, at, DAYS[3])
    assert stale_chains(lake.settings, at + timedelta(hours=24)) == []
    assert stale_chains(lake.settings, at + timedelta(hours=24, minutes=1)) == [StaleChain("AAPL", at, DAYS[4])]


def test_over_a_holiday_no_session_begins_and_nothing_is_stale(lake: Lake) -> None:
    lake.set_up("AAPL")
    at = datetime(2015, 12, 24, 17, 45, tzinfo=UTC)
    quoted(lake, at, date(2015, 12, 24))
    assert stale_chains(lake.settings, datetime(2015, 12, 28, 14, 0, tzinfo=UTC)) == [], "before Monday's open"
    assert [chain.session for chain in stale_chains(lake.settings, datetime(2015, 12, 28, 14, 31, tzinfo=UTC))] == [
        date(2015, 12, 28)
    ]


def test_a_chain_that_was_refused_is_not_stale_until_it_may_be_asked_for(lake: Lake) -> None:
    lake.set_up("AAPL")
    until = EVENING + timedelta(days=20)
    lake.put(COVERAGE, covered(DAYS[1], "no_contract", dataset="option_chains", bar_size="", retry_after=until))
    assert stale_chains(lake.settings) == []
    assert [chain.symbol for chain in stale_chains(lake.settings, until + timedelta(days=1))] == ["AAPL"]


def test_a_chain_never_taken_is_stale(lake: Lake) -> None:
    lake.put(CONTRACTS, contract_row(DAYS[4]))
    lake.put(COVERAGE, covered(DAYS[4], "pending", dataset="option_chains", bar_size=""))
    assert stale_chains(lake.settings) == [StaleChain("AAPL", None, DAYS[4])]


# --- new symbols and expiries -----------------------------------------------------------------------------------------


def test_a_symbol_is_new_until_it_is_set_up_whole(lake: Lake) -> None:
    assert new_symbols(lake.settings) == ["AAPL"]
    lake.put(CONTRACTS, contract_row(DAYS[4]))
    lake.put(COVERAGE, covered(DAYS[4], dataset="contracts", bar_size=""))
    assert new_symbols(lake.settings) == ["AAPL"], "only half"
    lake.put(COVERAGE, covered(DAYS[4], dataset="option_chains", bar_size=""))
    assert new_symbols(lake.settings) == ["AAPL"]
    lake.put(COVERAGE, covered(DAYS[4]))
    assert new_symbols(lake.settings) == []


def test_a_symbol_the_broker_does_not_know_is_not_new_until_its_retry_time(lake: Lake) -> None:
    until = EVENING + timedelta(days=30)
    lake.put(COVERAGE, covered(DAYS[4], "no_contract", dataset="contracts", bar_size="", retry_after=until))
    assert new_symbols(lake.settings) == []
    assert new_symbols(lake.settings, until + timedelta(hours=1)) == ["AAPL"]


def test_selected_contracts_on_their_last_day(lake: Lake) -> None:
    settlement = {"expiry": date(2015, 12, 24), "last_trade": "20151223"}
    lake.put(
        OPTION_CHAINS,
        selected(DAYS[0], 1, expiry=DAYS[4]),
        selected(DAYS[1], 1, expiry=DAYS[4]),
        selected(DAYS[1], 2) | settlement,
    )
    lake.put(OPTION_CHAINS, selected(DAYS[0], 3, expiry=DAYS[4]) | {"selected": False})
    lake.put(COVERAGE, covered(DAYS[0], dataset="option_chains", bar_size=""))
    assert expiring(lake.settings, DAYS[4]) == {"AAPL": 2}
    assert expiring(lake.settings, DAYS[3]) == {}
