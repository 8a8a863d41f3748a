"""The universe of active symbols: adding, removing, resolving, and two processes that add at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.instrument import Instrument
from trading_assets.universe import INDEX_EXCHANGES, Universe, describe

ADD = """
import sys
from trading_assets.universe import Universe
universe = Universe(sys.argv[1])
sys.stdin.readline()
for symbol in sys.argv[2:]:
    universe.add([symbol])
"""
"""Waits for a line, then adds symbols one transaction each."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/lake/state.db"


@pytest.fixture
def universe(url: str) -> Universe:
    return Universe(url)


def names(universe: Universe, *, active_only: bool = True) -> list[str]:
    return [entry.symbol for entry in universe.entries(active_only=active_only)]


def test_indices_are_known_by_name_and_the_rest_are_stocks() -> None:
    assert describe("aapl").instrument == Instrument("AAPL", "STK", "SMART", "USD")
    for symbol, exchange in INDEX_EXCHANGES.items():
        assert describe(symbol).instrument == Instrument(symbol, "IND", exchange, "USD")
    assert describe("MID", "IND").exchange == "CBOE"
    assert describe("MID", "IND", "PHLX").exchange == "PHLX"


def test_symbols_are_added_once_and_listed_by_name(universe: Universe) -> None:
    assert universe.entries() == []
    before = datetime.now(UTC)
    added = universe.add(["spy", "AAPL", "Spy"])
    assert [entry.symbol for entry in added] == ["AAPL", "SPY"]
    assert all(before <= entry.added_at <= datetime.now(UTC) for entry in added)
    assert universe.add(["AAPL"]) == added[:1]  # neither twice nor with another time
    assert universe.entries() == added
    for change in (universe.add, universe.remove):
        with pytest.raises(ValueError, match="symbols is empty: name at least one symbol"):
            change([])


def test_a_removed_symbol_is_remembered_and_can_come_back(universe: Universe) -> None:
    before = {entry.symbol: entry.added_at for entry in universe.add(["AAPL", "SPY"])}
    assert universe.remove(["aapl", "IBM"]) == ["AAPL"]
    assert universe.remove(["AAPL"]) == []
    assert names(universe) == ["SPY"]
    assert names(universe, active_only=False) == ["AAPL", "SPY"]
    back = {entry.symbol: entry.added_at for entry in universe.add(["AAPL", "SPY"])}
    assert names(universe) == ["AAPL", "SPY"]
    assert back["AAPL"] > before["AAPL"], "active since now: what it missed in between was never promised"
    assert back["SPY"] == before["SPY"]


def test_how_a_symbol_is_asked_for_is_kept_until_told_anew(universe: Universe) -> None:
    universe.add(["MID"], sec_type="IND", exchange="PHLX")
    assert universe.add(["MID"])[0].instrument == Instrument("MID", "IND", "PHLX", "USD")
    assert universe.add(["MID"], sec_type="STK")[0].instrument == Instrument("MID", "STK", "SMART", "USD")


def test_one_impossible_symbol_adds_none(universe: Universe) -> None:
    with pytest.raises(ValueError, match="'A/B' is not a US stock"):
        universe.add(["AAPL", "A/B"])
    assert universe.entries() == []


def test_resolve_takes_named_symbols_in_their_order_known_or_not(universe: Universe) -> None:
    universe.add(["MID"], sec_type="IND", exchange="PHLX")
    universe.add(["SPY", "AAPL"])
    universe.remove(["AAPL"])
    assert [entry.symbol for entry in universe.resolve(None)] == ["MID", "SPY"]
    assert [entry.symbol for entry in universe.resolve("tsla")] == ["TSLA"]
    with pytest.raises(ValueError, match="symbols is empty"):
        universe.resolve([])
    resolved = universe.resolve(["tsla", "AAPL", "MID", "TSLA"])
    assert [(entry.symbol, entry.sec_type, entry.active) for entry in resolved] == [
        ("TSLA", "STK", True),
        ("AAPL", "STK", False),
        ("MID", "IND", True),
    ]
    assert names(universe, active_only=False) == ["AAPL", "MID", "SPY"]  # resolving adds nothing


def test_two_processes_add_at_once(url: str, universe: Universe) -> None:
    shares = [[f"A{n}" for n in range(25)], [f"A{n}" for n in range(15, 40)]]
    workers = [
        subprocess.Popen([sys.executable, "-c", ADD, url, *share], stdin=subprocess.PIPE, text=True) for share in shares
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.wait(300) for worker in workers] == [0, 0]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    assert names(universe) == sorted(f"A{n}" for n in range(40))


def test_another_process_sees_what_was_added(url: str, universe: Universe) -> None:
    universe.add(["AAPL"])
    assert names(Universe(url)) == ["AAPL"]


def test_route_and_listing_exchange_are_two_attributes(universe: Universe) -> None:
    (entry,) = universe.add(["EXUS"], primary_exchange=" nasdaq ")
    assert entry.instrument == Instrument("EXUS", "STK", "SMART", "USD", "NASDAQ")
    (entry,) = universe.add(["EXUS"], exchange="ARCA")
    assert (entry.exchange, entry.primary_exchange) == ("ARCA", "NASDAQ"), "the one not given stays"
    assert universe.add(["EXUS"]) == [entry]
    (entry,) = universe.add(["EXUS"], exchange="", primary_exchange="")
    assert entry.instrument == Instrument("EXUS", "STK", "SMART", "USD"), "an empty text takes back what was given"
    (index,) = universe.add(["MID"], sec_type="IND", exchange="PHLX")
    assert universe.add(["MID"], exchange="CBOE")[0].instrument == Instrument("MID", "IND", "CBOE", "USD")
    assert index.primary_exchange == ""


@pytest.mark.parametrize(
    ("exchange", "primary_exchange"),
    [("N/A", None), (None, "A B"), (None, "THIRTEENCHARS"), (None, "SMART"), ("NÄSDAQ", None)],
)
def test_what_cannot_be_an_exchange_is_refused(
    universe: Universe, exchange: str | None, primary_exchange: str | None
) -> None:
    with pytest.raises(ValueError, match="exchange"):
        universe.add(["AAPL"], exchange=exchange, primary_exchange=primary_exchange)
    assert universe.entries() == []


OLD_TABLE = """create table universe (
               symbol varchar(32) primary key, sec_type varchar(8) not null, exchange varchar(32) not null,
               currency varchar(8) not null, active boolean not null, added_at varchar(40) not null)"""
"""The table as the version before listing exchanges made it."""

OLD_ROW = "insert into universe values ('MID', 'IND', 'PHLX', 'USD', true, '2024-01-02T00:00:00+00:00')"


def old_database(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in ("drop table if exists universe", OLD_TABLE, OLD_ROW):
            connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def old_url(state_url: str) -> str:
    """A state database of the version before listing exchanges."""
    old_database(state_url)
    return state_url


def test_a_state_database_of_an_older_version_gets_the_new_column(old_url: str) -> None:
    (entry,) = Universe(old_url).entries()
    assert entry.instrument == Instrument("MID", "IND", "PHLX", "USD")
    assert Universe(old_url).add(["EXUS"], primary_exchange="NYSE")[0].primary_exchange == "NYSE"


def test_several_processes_migrate_an_older_state_database_at_once(old_url: str) -> None:
    code = (
        "import sys; sys.stdin.readline(); from trading_assets.universe import Universe;"
        " print(len(Universe(sys.argv[1]).entries()))"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, old_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=300)[0].strip() for worker in workers] == ["1"] * 4
    assert [worker.returncode for worker in workers] == [0] * 4
