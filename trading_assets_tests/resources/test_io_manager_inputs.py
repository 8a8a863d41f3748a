"""What the IO manager hands an asset: rows of its partitions in the kind it names, narrowed as it asks."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from trading_assets.assets.partitions import session_partitions
from trading_assets.repositories import ParquetStore, to_arrow
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_CHAINS, Dataset
from trading_assets.repositories.views import DatasetView
from trading_assets_tests.repositories.frames import bar, chain_row, table
from trading_assets_tests.resources.conftest import MONDAY, THURSDAY, TUESDAY, WEDNESDAY, WEEK, Run


def reader(dataset: Dataset, kind: Any, seen: list[Any], **narrowing: Any) -> list[Any]:
    """An asset that takes the dataset as `kind` and keeps what it got; beside it the dataset itself."""

    def take(context: Any, given: Any) -> None:
        seen.append(given)

    take.__annotations__ = {"given": kind, "return": None}
    ins = {"given": dg.AssetIn(key=dataset.name, metadata=narrowing or None)}
    policy = {"partitions_def": session_partitions(), "backfill_policy": dg.BackfillPolicy.single_run()}
    return [
        dg.AssetSpec(dataset.name, partitions_def=session_partitions()),
        dg.asset(name="reader", ins=ins, **policy)(take),
    ]


@pytest.fixture
def filled(folder: Path) -> Path:
    """Two symbols, four sessions of bars; chains of Monday and Wednesday, SPY's of Monday only."""
    store = ParquetStore(folder)
    store.upsert(
        EQUITY_BARS,
        table(
            EQUITY_BARS, [bar(session, 100.0 + n, symbol=s) for s in ("AAPL", "SPY") for n, session in enumerate(WEEK)]
        ),
    )
    chains = [chain_row(session, con_id=con_id) for session, con_id in ((MONDAY, 1), (WEDNESDAY, 1), (WEDNESDAY, 2))]
    store.upsert(
        OPTION_CHAINS, table(OPTION_CHAINS, [*chains, chain_row(MONDAY, con_id=3, symbol="SPY") | {"symbol": "SPY"}])
    )
    return folder


@pytest.mark.parametrize("kind", [DatasetView, pa.Table, pd.DataFrame])
def test_an_asset_is_given_the_rows_of_its_partitions_in_the_kind_it_names(run: Run, filled: Path, kind: type) -> None:
    seen: list[Any] = []
    assert run(reader(EQUITY_BARS, kind, seen), [TUESDAY, WEDNESDAY]).success
    (given,) = seen
    assert isinstance(given, kind)
    rows = (
        given.table()
        if isinstance(given, DatasetView)
        else given
        if isinstance(given, pa.Table)
        else to_arrow(EQUITY_BARS, given)
    )
    assert sorted(
        zip(rows["symbol"].to_pylist(), rows["session"].to_pylist(), rows["close"].to_pylist(), strict=True)
    ) == [
        (symbol, session, close)
        for symbol in ("AAPL", "SPY")
        for session, close in ((TUESDAY, 101.0), (WEDNESDAY, 102.0))
    ]
    assert rows.column_names == EQUITY_BARS.schema.names


def test_without_an_annotation_an_asset_is_given_a_view(run: Run, filled: Path) -> None:
    seen: list[Any] = []
    assert run(reader(EQUITY_BARS, Any, seen), [TUESDAY]).success
    (view,) = seen
    assert isinstance(view, DatasetView)
    assert view.sessions == (TUESDAY,)
    assert view.table(sessions=WEEK, symbols=["SPY"], columns=["close"], where="close > 100.5")[
        "close"
    ].to_pylist() == [101.0, 102.0, 103.0]


@pytest.mark.parametrize("kind", [pa.Table, pd.DataFrame])
def test_columns_and_symbols_narrow_what_is_read(run: Run, filled: Path, kind: type) -> None:
    seen: list[Any] = []
    assert run(reader(EQUITY_BARS, kind, seen, columns=["session", "close"], symbols=["SPY"]), WEEK).success
    (given,) = seen
    sessions = given["session"].to_pylist() if isinstance(given, pa.Table) else given["session"].dt.date.tolist()
    assert sessions == WEEK
    assert list(given["close"].to_numpy()) == [100.0, 101.0, 102.0, 103.0]


def test_columns_narrow_a_view_too(run: Run, filled: Path) -> None:
    seen: list[Any] = []
    assert run(reader(EQUITY_BARS, DatasetView, seen, columns=["close"]), [MONDAY]).success
    assert seen[0].table().column_names == ["close"]


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (MONDAY, [("AAPL", MONDAY, 1), ("SPY", MONDAY, 3)]),
        # Without a snapshot of its own: the earliest after it, else the latest before it.
        (TUESDAY, [("AAPL", WEDNESDAY, 1), ("AAPL", WEDNESDAY, 2), ("SPY", MONDAY, 3)]),
        (THURSDAY, [("AAPL", WEDNESDAY, 1), ("AAPL", WEDNESDAY, 2), ("SPY", MONDAY, 3)]),
    ],
)
def test_a_snapshot_as_of_a_session(
    run: Run, filled: Path, session: date, expected: list[tuple[str, date, int]]
) -> None:
    seen: list[Any] = []
    assert run(reader(OPTION_CHAINS, pa.Table, seen, as_of="snapshot"), [session]).success
    (rows,) = seen
    assert (
        sorted(zip(rows["symbol"].to_pylist(), rows["session"].to_pylist(), rows["con_id"].to_pylist(), strict=True))
        == expected
    )
    assert rows.schema.names == OPTION_CHAINS.schema.names


def test_a_snapshot_of_named_symbols_and_columns(run: Run, filled: Path) -> None:
    seen: list[Any] = []
    assert run(
        reader(OPTION_CHAINS, pd.DataFrame, seen, as_of="snapshot", symbols=["AAPL", "IBM"], columns=["con_id"]),
        [TUESDAY],
    ).success
    assert seen[0].to_dict("list") == {"con_id": [1, 2]}


@pytest.mark.parametrize("as_of", [{}, {"as_of": "snapshot"}])
def test_reading_an_empty_lake_gives_the_columns_and_no_rows(run: Run, folder: Path, as_of: dict[str, str]) -> None:
    seen: list[Any] = []
    assert run(reader(CONTRACTS, pa.Table, seen, **as_of), [MONDAY]).success
    assert seen[0].num_rows == 0
    assert seen[0].column_names == CONTRACTS.schema.names


def test_what_one_asset_writes_the_next_one_of_the_run_reads(run: Run) -> None:
    seen: list[Any] = []
    policy: dict[str, Any] = {"partitions_def": session_partitions(), "backfill_policy": dg.BackfillPolicy.single_run()}

    @dg.asset(**policy)
    def equity_bars(context: dg.AssetExecutionContext) -> Any:
        return table(EQUITY_BARS, [bar(date.fromisoformat(key)) for key in context.partition_keys])

    @dg.asset(**policy)
    def report(equity_bars: DatasetView) -> None:
        seen.append(equity_bars.table(columns=["session"])["session"].to_pylist())

    assert run([equity_bars, report], WEEK).success
    assert seen == [WEEK]
