"""The guide's repositories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trading_assets.errors import InvalidFrame, UnreadableFile
from trading_assets.repositories import (
    ContractRepository,
    CoverageRepository,
    EquityBarRepository,
    OptionBarRepository,
    OptionChainSnapshotRepository,
    ParquetStore,
    choose_snapshot,
    connect,
    to_arrow,
)
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Dataset
from trading_assets.sessions import calculate_missing_windows, calendar
from trading_assets_tests.repositories.frames import EXPIRY, NOON, bar, chain_row, contract_row, option_bar, table

THURSDAY, FRIDAY, MONDAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
CHRISTMAS_EVE = date(2015, 12, 24)


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    """Two symbols, three sessions of 2014 and one of 2015."""
    store = ParquetStore(tmp_path / "data")
    days = [THURSDAY, FRIDAY, MONDAY, CHRISTMAS_EVE]
    store.upsert(
        EQUITY_BARS,
        table(EQUITY_BARS, [bar(d, 100.0 + i, symbol=s) for s in ("GOOG", "AAPL") for i, d in enumerate(days)]),
    )
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(MONDAY, bar_size="1 hour", bar_count=12)]))
    options = [option_bar(d, con_id=c, strike=float(c), right="CP"[c % 2]) for d in days for c in (1, 2)]
    store.upsert(OPTION_BARS, table(OPTION_BARS, options))
    chain = [chain_row(d, con_id=c, strike=float(c)) for d in (THURSDAY, MONDAY, CHRISTMAS_EVE) for c in (2, 1)]
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, chain))
    contracts = [contract_row(d, s, NOON - timedelta(days=7)) for s in ("AAPL", "GOOG") for d in (FRIDAY, MONDAY)]
    store.upsert(CONTRACTS, table(CONTRACTS, [*contracts, contract_row(CHRISTMAS_EVE, "AAPL", NOON)]))
    return store


def days(frame: pd.DataFrame, column: str = "session") -> list[date]:
    """A column of exchange dates."""
    return frame[column].dt.date.tolist()


def test_the_guides_example_of_historical_analysis(store: ParquetStore) -> None:
    equity = EquityBarRepository(str(store.data_dir / "equity_bars"))
    chains = OptionChainSnapshotRepository(store.data_dir / "option_chains")

    bars = equity.load_symbol_data("AAPL", start_date=date(2014, 6, 6), end_date=date(2014, 12, 31))
    chain = chains.load_chain_snapshot("AAPL", date(2014, 6, 9))

    assert days(bars) == [FRIDAY, MONDAY] and bars["close"].tolist() == [101.0, 102.0]
    assert chain["strike"].tolist() == [1.0, 2.0]
    assert len(equity.load_symbol_data("AAPL", bar_size="1 hour")) == 1
    assert len(equity.load_symbol_data("AAPL")) == 4
    assert len(equity.load(symbol="AAPL", trade_date="2014-06-09")) == 1
    assert len(equity.load(trade_date=MONDAY)) == 2
    assert len(equity.load(["AAPL", "GOOG"])) == 8
    assert equity.load(symbol="AAPL", trade_date="2014-06-07").empty


def test_the_guides_example_of_checking_before_requesting(store: ParquetStore) -> None:
    repo = EquityBarRepository(store.data_dir / "equity_bars")
    start, end = date(2014, 6, 4), date(2014, 6, 10)
    present = repo.present_dates("AAPL", "1 day", start, end)
    assert present == {THURSDAY, FRIDAY, MONDAY}
    assert set(pd.bdate_range(start, end).date) - present == {start, end}
    assert calculate_missing_windows(present, start, end) == [(start, start), (end, end)]
    frame = pd.DataFrame({"date": [start, end], "open": 9.0, "high": 9.5, "low": 8.5, "close": 9.0, "volume": 100})
    assert repo.save(frame, symbol="AAPL", bar_size="1 day").inserted == 2
    assert repo.present_dates("AAPL", "1 day", start, end) == set(calendar().sessions(start, end))


def test_frames_have_proper_types_and_dates_behave(store: ParquetStore) -> None:
    frame = EquityBarRepository(data_dir=store.data_dir).load("AAPL")
    types = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert types == {
        "session": "datetime64[us]",
        "symbol": "str",
        "con_id": "int64",
        "start": "datetime64[us, UTC]",
        "bar_size": "str",
        **dict.fromkeys(["open", "high", "low", "close", "volume", "wap"], "float64"),
        "bar_count": "Int64",
        "collected_at": "datetime64[us, UTC]",
        "request_id": "int64",
    }
    for monday in ("2014-06-09", pd.Timestamp(MONDAY), datetime(2014, 6, 9), np.datetime64("2014-06-09")):
        assert len(frame[frame["session"] == monday]) == 1
        assert len(frame[frame["session"] >= monday]) == 2
    assert len(frame[frame["session"].isin(pd.to_datetime([MONDAY, FRIDAY]))]) == 2
    assert len(frame.query("session >= '2014-06-09'")) == 2
    assert set(days(frame)) == {THURSDAY, FRIDAY, MONDAY, CHRISTMAS_EVE}
    assert frame.groupby("session")["close"].sum().loc["2014-06-09"] == 102.0
    by_session = frame.set_index("session")["close"]
    assert len(by_session.loc["2014"]) == 3 and len(by_session.loc["2014-06-06":]) == 3
    assert by_session.resample("YE").count().tolist() == [3, 1]
    assert len(frame.merge(pd.DataFrame({"session": pd.to_datetime([MONDAY]), "factor": 1.5}), on="session")) == 1
    empty = EquityBarRepository(data_dir=store.data_dir).load("NONE")
    assert empty.empty and {name: str(dtype) for name, dtype in empty.dtypes.items()} == types


def test_dates_as_dates_compare_with_dates(store: ParquetStore) -> None:
    repo = EquityBarRepository(data_dir=store.data_dir, dates="date")
    frame = repo.load("AAPL")
    assert str(frame["session"].dtype) == "date32[day][pyarrow]"
    assert len(frame[frame["session"] == MONDAY]) == 1
    assert len(frame[frame["session"].isin([MONDAY, FRIDAY])]) == 2
    assert len(frame[frame["session"] >= MONDAY]) == 2
    assert (
        set(frame["session"]) == {THURSDAY, FRIDAY, MONDAY, CHRISTMAS_EVE} and frame["session"].max() == CHRISTMAS_EVE
    )
    assert frame.groupby("session")["close"].sum().loc[MONDAY] == 102.0
    assert frame.set_index("session")["close"].loc[MONDAY] == 102.0
    assert repo.save(frame).unchanged == 4
    with pytest.raises(ValueError, match=r"dates is 'day': give one of datetime64, date\."):
        EquityBarRepository(data_dir=store.data_dir, dates="day")  # type: ignore[arg-type]


READING: dict[str, Callable[[ParquetStore, Any], Any]] = {
    "bars of a symbol": lambda store, as_: EquityBarRepository(store=store).load_symbol_data("AAPL", as_=as_),
    "bars": lambda store, as_: EquityBarRepository(store=store).load(as_=as_),
    "option bars": lambda store, as_: OptionBarRepository(store=store).load("AAPL", as_=as_),
    "option bars of a symbol": lambda store, as_: OptionBarRepository(store=store).load_symbol_data("AAPL", as_=as_),
    "option bars of a contract": lambda store, as_: OptionBarRepository(store=store).load_contract(1, as_=as_),
    "chains": lambda store, as_: OptionChainSnapshotRepository(store=store).load("AAPL", as_=as_),
    "chain": lambda store, as_: OptionChainSnapshotRepository(store=store).load_chain_snapshot("AAPL", MONDAY, as_=as_),
    "chain that serves": lambda store, as_: (
        OptionChainSnapshotRepository(store=store).latest_chain_snapshot("AAPL", FRIDAY, as_=as_).frame
    ),
    "contracts": lambda store, as_: ContractRepository(store=store).load(as_=as_),
    "contracts of a symbol": lambda store, as_: ContractRepository(store=store).load_symbol_data("AAPL", as_=as_),
    "latest contracts": lambda store, as_: ContractRepository(store=store).latest_of(as_=as_),
}
SAVING = {
    "bars": EquityBarRepository,
    "option bars": OptionBarRepository,
    "chains": OptionChainSnapshotRepository,
    "contracts": ContractRepository,
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_pandas_arrow_and_polars_hold_the_same_rows(
    store: ParquetStore, read: Callable[[ParquetStore, Any], Any]
) -> None:
    table = read(store, "arrow")
    assert isinstance(table, pa.Table) and table.num_rows
    assert isinstance(read(store, "polars"), pl.DataFrame)
    assert read(store, "polars").to_dicts() == table.to_pylist()
    assert to_arrow(_dataset(table), read(store, "pandas")).equals(table.combine_chunks())


def _dataset(table: pa.Table) -> Dataset:
    return next(dataset for dataset in DATASETS.values() if dataset.schema.names == table.column_names)


@pytest.mark.parametrize("name", SAVING)
@pytest.mark.parametrize("as_", ["pandas", "arrow", "polars"])
def test_what_was_loaded_in_any_kind_is_saved_unchanged(store: ParquetStore, name: str, as_: str) -> None:
    frame = READING[name](store, as_)
    counts = SAVING[name](store=store).save(frame)
    assert (counts.unchanged, counts.rows) == (len(frame), len(frame)) and counts.rows > 0


def test_nullable_columns_keep_their_nulls_and_integers(store: ParquetStore) -> None:
    largest = 2**53 + 1  # the first integer that a float cannot hold
    rows = [bar(MONDAY, symbol="NULL", bar_count=None, wap=None), bar(FRIDAY, symbol="NULL", bar_count=largest)]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))
    repo = EquityBarRepository(store=store)
    frame, polars = repo.load("NULL"), repo.load("NULL", as_="polars")
    assert frame["bar_count"].tolist() == [largest, pd.NA] and str(frame["bar_count"].dtype) == "Int64"
    assert polars["bar_count"].to_list() == [largest, None] and polars["wap"].to_list()[1] is None
    assert polars.schema["session"] == pl.Date and polars.schema["start"] == pl.Datetime("us", "UTC")


def test_another_kind_and_polars_that_is_absent_are_refused_in_a_sentence(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = EquityBarRepository(store=store)
    with pytest.raises(ValueError, match=r"as_ is 'csv': give one of pandas, arrow, polars\."):
        repo.load("AAPL", as_="csv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"list is no frame: give one of pandas, Polars or Arrow\."):
        repo.save([1, 2])
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"pip install 'trading-assets\[polars\]'\."):
        repo.load("AAPL", as_="polars")
    assert len(repo.load("AAPL")) == 4


def test_a_query_of_one_year_opens_no_other_file(store: ParquetStore) -> None:
    (store.data_dir / "equity_bars/1_day/2015.parquet").write_bytes(b"broken")
    (store.data_dir / "option_bars/1_day/2015-12.parquet").write_bytes(b"broken")
    (store.data_dir / "option_chains/2015-12.parquet").write_bytes(b"broken")
    bars, options = EquityBarRepository(store=store), OptionBarRepository(store=store)
    assert len(bars.load_symbol_data("AAPL", "2014-01-01", "2014-12-31")) == 3
    assert bars.present_dates("AAPL", "1 day", "2014-06-09", "2014-12-31") == {MONDAY}
    assert len(options.load("AAPL", trade_date=MONDAY)) == 2
    assert len(OptionChainSnapshotRepository(store=store).load_chain_snapshot("AAPL", MONDAY)) == 2
    with pytest.raises(UnreadableFile, match=r"1_day/2015\.parquet is damaged"):
        bars.load_symbol_data("AAPL")


def test_option_bars_by_contract_and_by_terms(store: ParquetStore) -> None:
    repo = OptionBarRepository(store.data_dir / "option_bars")
    assert repo.load("AAPL", con_id=1)["con_id"].unique().tolist() == [1]
    assert len(repo.load_contract(2, MONDAY, MONDAY)) == 1
    assert len(repo.load(con_id=[1, 2], trade_date=MONDAY)) == 2
    assert days(repo.load("AAPL", expiry=EXPIRY, strike=2.0, right="C", start_date=FRIDAY)) == [
        FRIDAY,
        MONDAY,
        CHRISTMAS_EVE,
    ]
    assert len(repo.load(local_symbol="AAPL  160115P00001000")) == 4
    assert repo.load("AAPL", expiry="2016-02-19").empty
    assert len(repo.load_symbol_data("AAPL", "2014-06-06", "2014-06-09")) == 4
    assert repo.present_dates("AAPL", "1 day", FRIDAY, MONDAY, con_id=1) == {FRIDAY, MONDAY}
    assert days(repo.load("AAPL"), "expiry")[0] == EXPIRY
    with pytest.raises(ValueError, match="trade_date, or start_date and end_date"):
        repo.load("AAPL", MONDAY, start_date=FRIDAY)


def test_a_chain_is_of_exactly_the_session_asked_for_and_of_friday_on_a_weekend(store: ParquetStore) -> None:
    repo = OptionChainSnapshotRepository(store.data_dir / "option_chains")
    assert repo.load_chain_snapshot("AAPL", FRIDAY).empty
    assert repo.load_chain_snapshot("GOOG", MONDAY).empty
    assert repo.load_chain_snapshot("AAPL", "2014-06-08").empty, "Sunday belongs to Friday, which has no snapshot"
    assert len(repo.load_chain_snapshot("AAPL", date(2015, 12, 25))) == 2
    assert repo.sessions("AAPL") == [THURSDAY, MONDAY, CHRISTMAS_EVE] and repo.sessions("GOOG") == []
    assert repo.present_dates("AAPL", FRIDAY, "2014-12-31") == {MONDAY}


def test_the_snapshot_that_serves_a_session_is_its_own_else_the_next_else_the_last(store: ParquetStore) -> None:
    repo = OptionChainSnapshotRepository(store.data_dir / "option_chains")
    cases = {MONDAY: MONDAY, FRIDAY: MONDAY, date(2014, 5, 1): THURSDAY, date(2015, 12, 31): CHRISTMAS_EVE}
    for as_of, session in cases.items():
        snapshot = repo.latest_chain_snapshot("AAPL", as_of)
        assert snapshot is not None and (snapshot.session, snapshot.exact) == (session, as_of == session)
        assert set(days(snapshot.frame)) == {session}
    assert (
        str(repo.latest_chain_snapshot("AAPL", FRIDAY))
        == "AAPL chain for 2014-06-06: 2 contracts of 2014-06-09 (there is none of that session, this is the earliest"
        " after it)."
    )
    assert repo.latest_chain_snapshot("GOOG", FRIDAY) is None
    assert choose_snapshot([], FRIDAY) is None


def test_contracts_latest_and_when_verified(store: ParquetStore) -> None:
    repo = ContractRepository(store.data_dir / "contracts")
    latest, earlier = repo.latest("AAPL"), repo.get("AAPL", "2014-06-09")
    assert latest and latest["session"] == CHRISTMAS_EVE and latest["con_id"] == 265598
    assert earlier and earlier["session"] == MONDAY
    as_of = repo.latest("AAPL", as_of=date(2014, 6, 8))
    assert as_of and as_of["session"] == FRIDAY
    assert repo.get("AAPL", THURSDAY) is None and repo.get("IBM") is None
    assert (
        repo.verified_at("AAPL") == NOON
        and repo.verified_at("GOOG") == NOON - timedelta(days=7)
        and repo.verified_at("IBM") is None
    )
    assert days(repo.latest_of()) == [CHRISTMAS_EVE, MONDAY]
    assert days(repo.latest_of(["AAPL"], as_of=FRIDAY)) == [FRIDAY]
    assert repo.latest_of(["IBM"]).empty
    assert repo.symbols() == ["AAPL", "GOOG"] == EquityBarRepository(store=store).symbols()
    assert (
        len(repo.load("AAPL")) == 3
        and len(repo.load(trade_date=MONDAY)) == 2
        and len(repo.load_symbol_data("AAPL", MONDAY)) == 2
    )
    assert repo.present_dates("GOOG") == {FRIDAY, MONDAY}


def test_a_users_bars_are_completed_from_what_the_lake_knows(store: ParquetStore) -> None:
    repo = EquityBarRepository(store=store)
    starts = pd.DatetimeIndex(["2014-06-10 09:30", "2014-06-10 10:30"], tz="America/New_York", name="date")
    frame = pd.DataFrame(
        {"open": 9, "high": 10, "low": 8, "close": 9, "volume": 5, "average": 9.1, "barCount": 3}, index=starts
    )
    before = datetime.now(UTC)

    assert repo.save(frame, symbol="AAPL", bar_size="1 hour").inserted == 2

    saved = repo.load("AAPL", "2014-06-10", "1 hour")
    assert saved["start"].tolist() == starts.tz_convert("UTC").tolist()
    assert (
        (saved["con_id"] == 265598).all()
        and (saved["request_id"] == 0).all()
        and (saved["collected_at"] >= before - timedelta(seconds=1)).all()
    )
    assert saved["wap"].tolist() == [9.1, 9.1] and saved["bar_count"].tolist() == [3, 3]
    assert list(frame.columns)[-1] == "barCount", "the user's frame stays as it was"
    assert (
        repo.save(frame, symbol="NEW", bar_size="1 hour").inserted == 2
        and (repo.load("NEW", bar_size="1 hour")["con_id"] == 0).all()
    )


def test_what_was_loaded_can_be_saved_and_changes_nothing(store: ParquetStore) -> None:
    repo = EquityBarRepository(store=store)
    assert repo.save(repo.load()).unchanged == 8
    options = OptionBarRepository(store=store)
    assert options.save(options.load(), bar_size="1 day").unchanged == 8
    chains = OptionChainSnapshotRepository(store=store)
    assert chains.save(chains.load_chain_snapshot("AAPL", MONDAY), symbol="AAPL", session=MONDAY).unchanged == 2
    for index in ("session", ["session", "symbol"], "start"):
        assert repo.save(repo.load().set_index(index)).unchanged == 8
    contracts = ContractRepository(store=store)
    assert contracts.save(contracts.load()).unchanged == 5
    assert repo.save(store.read(EQUITY_BARS, variants=["1 day"])).unchanged == 8, "an Arrow table, too"


def test_what_cannot_be_completed_is_refused(store: ParquetStore) -> None:
    repo = EquityBarRepository(store=store)
    with pytest.raises(InvalidFrame, match="Column `symbol` has other values than the symbol given, GOOG"):
        repo.save(repo.load("AAPL"), symbol="GOOG")
    with pytest.raises(InvalidFrame, match="Column `bar_size` is missing"):
        repo.save(repo.load("AAPL").drop(columns="bar_size"))
    naive = pd.DataFrame(
        {"open": 9.0, "high": 9.0, "low": 9.0, "close": 9.0, "volume": 1}, index=pd.DatetimeIndex(["2014-06-10 09:30"])
    )
    with pytest.raises(InvalidFrame, match="without a time zone"):
        repo.save(naive, symbol="AAPL", bar_size="1 hour")
    holiday = pd.DataFrame(
        {"date": [date(2014, 7, 4)], "open": 9.0, "high": 9.0, "low": 9.0, "close": 9.0, "volume": 1}
    )
    with pytest.raises(InvalidFrame, match="no value in `start`"):
        repo.save(holiday, symbol="AAPL", bar_size="1 day")


def test_a_repository_is_told_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a folder of equity_bars: give .*/equity_bars, or data_dir="):
        EquityBarRepository(tmp_path)
    with pytest.raises(TypeError, match="takes only one of"):
        EquityBarRepository("equity_bars", data_dir=tmp_path)
    assert EquityBarRepository("equity_bars").store.data_dir == Path()


def test_without_a_folder_the_settings_say_where(store: ParquetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(store.data_dir))
    assert len(EquityBarRepository().load("AAPL")) == 4
    assert len(OptionBarRepository().load("AAPL")) == 8
    assert len(OptionChainSnapshotRepository().load("AAPL")) == 6
    assert ContractRepository().symbols() == ["AAPL", "GOOG"]
    assert CoverageRepository().conditions("equity_bars").num_rows == 0
    assert connect().sql("select count(*) from equity_bars").fetchall() == [(9,)]


@pytest.mark.parametrize("kind", ["object", "string", "category", "str"])
def test_symbols_of_a_frame_and_of_the_call_are_brought_into_one_form(tmp_path: Path, kind: str) -> None:
    repo = EquityBarRepository(data_dir=tmp_path)
    frame = pd.DataFrame(
        {"date": [MONDAY], "open": 9.0, "high": 9.0, "low": 9.0, "close": 9.0, "volume": 1, "con_id": 7}
    )
    named = frame.assign(symbol=pd.Series(["brk.b"], dtype=kind), bar_size="1 day")
    assert repo.save(named).inserted == 1
    assert (
        repo.save(named, symbol="BRK B").unchanged == repo.save(frame, symbol="Brk.B", bar_size="1 Day").unchanged == 1
    )
    assert repo.load("brk b", MONDAY)["symbol"].tolist() == ["BRK B"] and repo.symbols() == ["BRK B"]
    with pytest.raises(InvalidFrame, match=r"Column `symbol`: '\.\./x' is not a US stock"):
        repo.save(named.assign(symbol="../x"))
    with pytest.raises(InvalidFrame, match=r"has other values than the symbol given, AAPL"):
        repo.save(named, symbol="aapl")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".parquet"] == []
