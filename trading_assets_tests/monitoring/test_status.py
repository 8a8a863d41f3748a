"""The state of an archive in one document, and what it calls wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.contact import record_connected, record_failure, record_market_data
from trading_assets.broker.journal import Journal
from trading_assets.broker.ledger import HISTORY_SLOTS, Ledger
from trading_assets.monitoring.status import platform_status
from trading_assets.monitoring.usage import pacing_budget, requests_used
from trading_assets.reliability import CircuitBreaker
from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.broker.conftest import DETAILS, STOCK_BARS, wall_clock
from trading_assets_tests.journals import mark_sent
from trading_assets_tests.repositories.frames import bar, contract_row, covered, table

EVENING = datetime(2015, 12, 23, 23, 0, tzinfo=UTC)
ENDPOINT = "127.0.0.1:1"


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `Settings`, whose `data_dir` is an alias."""
    return given


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An archive with one active symbol and a broker nobody started."""
    found = Settings(**_values({"data_dir": tmp_path / "lake", "now": EVENING, "ib_port": 1}))
    Universe(found.state_url).add(["AAPL"])
    return found


@pytest.fixture
def journal(settings: Settings) -> Iterator[Journal]:
    opened = Journal(settings.state_url)
    yield opened
    opened.close()


def wrong(settings: Settings, **arguments: Any) -> str:
    return "\n".join(platform_status(settings, **{"probe": False, **arguments}).wrong)


def test_a_broker_is_told_by_its_last_contact_or_by_a_probe(settings: Settings) -> None:
    engine = connect_state(settings.state_url)
    assert platform_status(settings, probe=False).broker["reachable"] is None
    record_connected(engine, ENDPOINT, "simulated", 178)
    assert platform_status(settings, probe=False).broker["reachable"] is True
    assert "cannot be reached: 127.0.0.1:1 does not accept a connection" in wrong(settings, probe=True)
    record_failure(engine, ENDPOINT, "No connection to TWS")
    assert "The broker cannot be reached: No connection to TWS" in wrong(settings)


def test_delayed_data_and_a_foreign_account_are_wrong(settings: Settings) -> None:
    engine = connect_state(settings.state_url)
    LakeIdentity(settings.data_dir).pin("live U1")
    record_connected(engine, ENDPOINT, "paper DU1", 178)
    record_market_data(engine, ENDPOINT, "delayed")
    said = wrong(settings)
    assert "The broker at 127.0.0.1:1 is paper DU1, the lake belongs to live U1." in said
    assert "The broker's market data is delayed: subscribe to it" in said


def test_an_open_breaker_is_wrong(settings: Settings) -> None:
    breaker = CircuitBreaker(failure_threshold=1, store=DatabaseStore(connect_state(settings.state_url)))
    breaker.record_failure()
    found = platform_status(settings, probe=False)
    assert (found.breaker["phase"], found.breaker["failures"]) == ("open", 1)
    assert found.breaker["opened_at"].tzinfo is not None
    assert "The circuit breaker is open" in found.wrong[0]


def test_a_symbol_is_told_by_what_it_lacks(settings: Settings) -> None:
    assert "AAPL has no contracts: trading-assets setup AAPL" in wrong(settings)
    store = ParquetStore(settings.data_dir)
    day, later = EVENING.date(), datetime(2016, 1, 20, tzinfo=UTC)
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(day)]))
    optionless = covered(
        day, "no_contract", dataset="option_chains", bar_size="", reason="No options.", retry_after=later
    )
    rows = [
        covered(day, dataset="contracts", bar_size=""),
        optionless,
        covered(day, "not_permitted", reason="No subscription.", retry_after=later),
    ]
    store.upsert(COVERAGE, table(COVERAGE, rows))
    found = platform_status(settings, probe=False)
    assert found.wrong == ["AAPL: equity_bars is refused: No subscription."], "a symbol without options lacks none"
    assert {row["dataset"]: row["conditions"] for row in found.freshness}["option_bars"] == {"no_contract": 1}
    assert found.lake["rows"]["contracts"] == 1
    assert found.as_dict()["symbols"] == ["AAPL"]


def collected(settings: Settings, last: date, *, coverage: bool = True) -> None:
    """Contract and daily bars of AAPL from the 18th to `last`, without options."""
    store, days = ParquetStore(settings.data_dir), calendar().sessions(date(2015, 12, 18), last)
    store.upsert(CONTRACTS, table(CONTRACTS, [contract_row(day) for day in days]))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day) for day in days]))
    if coverage:
        later = datetime(2016, 1, 20, tzinfo=UTC)
        optionless = covered(
            last, "no_contract", dataset="option_chains", bar_size="", reason="No options.", retry_after=later
        )
        details = [covered(day, dataset="contracts", bar_size="") for day in days]
        store.upsert(COVERAGE, table(COVERAGE, [optionless, *details, *(covered(day) for day in days)]))


@pytest.mark.parametrize(
    ("last", "now", "behind"),
    [
        (date(2015, 12, 22), datetime(2015, 12, 23, 22, 25, tzinfo=UTC), 0),
        (date(2015, 12, 22), datetime(2015, 12, 23, 22, 30, tzinfo=UTC), 1),
        (date(2015, 12, 23), datetime(2015, 12, 24, 19, 25, tzinfo=UTC), 0),
        (date(2015, 12, 23), datetime(2015, 12, 24, 19, 30, tzinfo=UTC), 1),
    ],
    ids=["waiting", "due", "half day waiting", "half day due"],
)
def test_bars_are_behind_when_their_collection_is_overdue(
    settings: Settings, last: date, now: datetime, behind: int
) -> None:
    collected(settings, last)
    found = platform_status(settings.model_copy(update={"now": now}), probe=False)
    assert [row["behind"] for row in found.freshness if row["dataset"] == "equity_bars"] == [behind]
    assert found.wrong == (["AAPL: equity_bars is 1 session(s) behind: trading-assets update AAPL"] if behind else [])


def test_rows_without_coverage_are_wrong(settings: Settings) -> None:
    collected(settings, date(2015, 12, 22), coverage=False)
    (said,) = platform_status(settings, probe=False).wrong[:1]
    assert said.startswith(
        "AAPL has rows in contracts, equity_bars and no coverage of them: the folder coverage was deleted"
    )
    assert "trading-assets setup AAPL --lookback-days 5 asks the broker again" in said
    assert not [each for each in platform_status(settings, probe=False).wrong if "behind" in each], "said once"


def test_a_clock_before_the_lake_is_told_in_one_sentence(settings: Settings) -> None:
    collected(settings, date(2015, 12, 23))
    early = settings.model_copy(update={"now": datetime(2015, 12, 21, 20, 0, tzinfo=UTC)})
    assert platform_status(early, probe=False).wrong == [
        "The clock (2015-12-21 20:00 UTC) is before the lake's newest data (session 2015-12-23): change"
        " TRADING_ASSETS_NOW or take it away."
    ]
    assert "clock" not in wrong(settings)


def test_requests_and_budget_are_read_from_the_state(settings: Settings, journal: Journal) -> None:
    claims = journal.claim([DETAILS, STOCK_BARS], wall_clock())
    assert platform_status(settings, probe=False).journal == {"open": 2, "unapplied": 0}
    mark_sent(journal, [claim.request_id for claim in claims])
    used = requests_used(journal.engine)
    assert (used["sent_today"], used["open"]) == (2, 2)
    assert sum(used["by_kind"].values()) == 2
    ledger = Ledger(journal.engine, journal.owner.ensure(), ENDPOINT, settings)
    ledger.rebalance(HISTORY_SLOTS, 0, 5)
    held = pacing_budget(journal.engine, settings)["open_history_requests"]
    assert held["limit"] == settings.open_history_requests
    assert held["used"] == 5
    assert held["left"] == held["limit"] - 5
    journal.close()
    assert pacing_budget(journal.engine, settings)["open_history_requests"]["used"] == 0, (
        "slots of one who has gone do not count"
    )
