"""What the IO manager writes, shows and refuses, through real Dagster runs of small assets."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from trading_assets.assets.partitions import session_partitions
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import COVERAGE, DATASETS, EQUITY_BARS, OPTION_BARS, Dataset
from trading_assets.resources.failures import MAX_RETRIES_TAG
from trading_assets_tests.repositories.frames import bar, covered, option_bar, table
from trading_assets_tests.resources.conftest import MONDAY, NEXT_MONDAY, NOW, THURSDAY, TUESDAY, WEEK, Run, maker


def stored(folder: Path, dataset: Dataset) -> pa.Table:
    return ParquetStore(folder).read(dataset)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step told."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert told.description is not None
    return told.description


def metadata(result: dg.ExecuteInProcessResult, dataset: Dataset) -> dict[str, Any]:
    """Metadata of the newest materialization, which shows the run."""
    *_, event = result.asset_materializations_for_node(f"mine__{dataset.name}")
    return {name: value.value for name, value in event.metadata.items()}


@pytest.mark.parametrize("as_pandas", [False, True], ids=["arrow", "pandas"])
def test_a_frame_of_many_sessions_and_years_is_written_in_one_run(run: Run, folder: Path, as_pandas: bool) -> None:
    sessions = [date(2014, 12, 30), date(2014, 12, 31), *WEEK]
    rows = table(
        EQUITY_BARS,
        [bar(session, 100.0 + n, symbol=symbol) for symbol in ("AAPL", "SPY") for n, session in enumerate(sessions)],
    )
    result = run([maker(EQUITY_BARS, rows.to_pandas() if as_pandas else rows)], [sessions[0], sessions[-1]])
    assert result.success
    assert stored(folder, EQUITY_BARS).sort_by([("symbol", "ascending"), ("start", "ascending")]).equals(rows)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")) == [
        "equity_bars/1_day/2014.parquet",
        "equity_bars/1_day/2015.parquet",
    ]


def test_every_partition_of_the_run_is_materialized(run: Run, instance: dg.DagsterInstance) -> None:
    rows = table(EQUITY_BARS, [bar(session) for session in WEEK])
    assert run([maker(EQUITY_BARS, rows)], [MONDAY, THURSDAY]).success
    assert instance.get_materialized_partitions(dg.AssetKey(["mine", "equity_bars"])) == {
        session.isoformat() for session in WEEK
    }


def test_a_collection_brings_its_coverage_and_its_report(run: Run, folder: Path) -> None:
    report = CollectionReport(
        "equity_bars", THURSDAY, sessions=WEEK, symbols=["AAPL"], planned=5, sent=4, reused=1, saved=2
    )
    report.rows_by_symbol = {"AAPL": 4}
    report.outcomes.update({str(OutcomeKind.COMPLETE): 4, str(OutcomeKind.EMPTY): 1})
    report.snapshots_used = {"2015-12-24": "2015-12-23"}
    report.notes.append("prices were restated")
    report.violation("IBM", "IBM has no contract.")
    rows = table(EQUITY_BARS, [bar(session, 100.0 + n) for n, session in enumerate(WEEK)])
    known = table(COVERAGE, [covered(session) for session in WEEK])
    result = run([maker(EQUITY_BARS, Collected(EQUITY_BARS, rows, known, [], report, NOW))], [MONDAY, THURSDAY])
    assert result.success
    assert stored(folder, EQUITY_BARS).num_rows == stored(folder, COVERAGE).num_rows == 4
    shown = metadata(result, EQUITY_BARS)
    assert {
        name: shown[name]
        for name in ("rows", "requests_planned", "requests_sent", "requests_reused", "requests_saved", "problems")
    } == {
        "rows": 4,
        "requests_planned": 5,
        "requests_sent": 4,
        "requests_reused": 1,
        "requests_saved": 2,
        "problems": 1,
    }
    assert shown["outcomes"] == {"complete": 4, "empty": 1}
    assert shown["rows_by_symbol"] == {"AAPL": 4}
    assert shown["window"] == "2015-12-21 to 2015-12-24, 4 session(s)"
    assert shown["snapshots_used"] == {"2015-12-24": "2015-12-23"}
    assert shown["notes"] == "prices were restated"
    assert shown["dagster/row_count"] == 4
    assert shown["dagster/uri"] == (folder / "equity_bars").as_uri()


def test_the_metadata_of_a_frame_shows_its_rows_and_a_picture(run: Run, folder: Path) -> None:
    rows = table(
        EQUITY_BARS,
        [bar(session, 100.0 + n, symbol=symbol) for symbol in ("AAPL", "SPY") for n, session in enumerate(WEEK)],
    )
    first = metadata(run([maker(EQUITY_BARS, rows)], [MONDAY, THURSDAY]), EQUITY_BARS)
    assert first["rows_by_symbol"] == {"AAPL": 4, "SPY": 4}
    assert (first["inserted"], first["updated"], first["unchanged"]) == (8, 0, 0)
    assert first["requests_sent"] == 0
    assert first["window"] == "2015-12-21 to 2015-12-24, 4 session(s)"
    records = [record.data for record in first["last_rows"].records]
    assert [record["close"] for record in records] == rows["close"].to_pylist()
    assert records[0]["wap"] == ""
    picture = first["picture"].removeprefix("![closes](data:image/png;base64,").removesuffix(")")
    assert base64.b64decode(picture).startswith(b"\x89PNG")

    changed = rows.set_column(
        rows.schema.get_field_index("close"),
        rows.schema.field("close"),
        pa.array([100.5, *rows["close"].to_pylist()[1:]]),
    )
    second = metadata(run([maker(EQUITY_BARS, changed)], [MONDAY, THURSDAY]), EQUITY_BARS)
    assert (second["inserted"], second["updated"], second["unchanged"]) == (0, 1, 7)
    assert query(folder, "select close from revisions_equity_bars")["close"].to_pylist() == [100.0]


def test_without_matplotlib_a_sentence_stands_for_the_picture_and_the_run_succeeds(
    run: Run, without_matplotlib: None
) -> None:
    rows = table(EQUITY_BARS, [bar(session, 100.0 + n) for n, session in enumerate(WEEK)])
    result = run([maker(EQUITY_BARS, rows)], [MONDAY, THURSDAY])
    assert result.success
    shown = metadata(result, EQUITY_BARS)
    assert shown["picture"] == (
        "A picture of data needs Matplotlib, which is not installed: pip install 'trading-assets[pictures]'."
    )
    assert shown["coverage"].startswith("![coverage](data:image/png;base64,"), "the heat map is drawn without it"


def test_one_more_session_is_not_drawn(run: Run) -> None:
    """A daily run writes one session of the ten that it looks at."""
    report = CollectionReport("equity_bars", THURSDAY, sessions=WEEK, symbols=["AAPL"])
    known = table(COVERAGE, [covered(session) for session in WEEK])
    rows = table(EQUITY_BARS, [bar(THURSDAY, 103.0)])
    shown = metadata(
        run([maker(EQUITY_BARS, Collected(EQUITY_BARS, rows, known, [], report, NOW))], [THURSDAY]), EQUITY_BARS
    )
    assert shown["conditions"]
    assert not {"picture", "coverage"} & set(shown)


def test_the_table_in_the_metadata_stays_small(run: Run) -> None:
    sessions = [date(2015, 1, day) for day in range(5, 31) if date(2015, 1, day).weekday() < 5 and day != 19]
    rows = table(OPTION_BARS, [option_bar(session, con_id=1000 + n) for session in sessions for n in range(3)])
    shown = metadata(run([maker(OPTION_BARS, rows)], [sessions[0], sessions[-1]]), OPTION_BARS)
    assert shown["rows"] == len(sessions) * 3
    assert len(shown["last_rows"].records) == 20
    assert "request_id" not in shown["last_rows"].records[0].data
    assert "picture" not in shown


def test_an_empty_frame_writes_nothing_and_says_so(run: Run, folder: Path) -> None:
    shown = metadata(run([maker(EQUITY_BARS, EQUITY_BARS.schema.empty_table())], [MONDAY]), EQUITY_BARS)
    assert (shown["rows"], shown["rows_by_symbol"], shown["inserted"]) == (0, {}, 0)
    assert "last_rows" not in shown
    assert list(folder.rglob("*.parquet")) == []


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "high below low",
        {"high": 90.0},
        "1 row has a high below the low: row 1 (symbol AAPL, bar_size 1 day, start 2015-12-22T14:30:00+00:00).",
    ),
    ("negative price", {"open": 1.0, "low": -1.0, "close": 1.0, "high": 1.0}, "1 row has a negative `low`: row 1 "),
    (
        "doubled key",
        {"session": MONDAY, "start": bar(MONDAY)["start"]},
        "2 rows have a key (symbol, bar_size, start) that another row has too: row 0 ",
    ),
    ("no session", {"session": None}, "1 row has no value in `session`: row 1 "),
    ("no symbol", {"symbol": None}, "1 row has no value in `symbol`: row 1 "),
    (
        "Christmas",
        {"session": date(2015, 12, 25), "start": datetime(2015, 12, 25, 15, tzinfo=UTC)},
        "1 row has a session that is not a trading day",
    ),
    (
        "not closed",
        {"session": NEXT_MONDAY, "start": bar(NEXT_MONDAY)["start"]},
        "1 row has a session that is not closed at 2015-12-24T18:30:00+00:00",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_frame_that_breaks_a_rule_leaves_the_lake_untouched(
    run: Run, folder: Path, instance: dg.DagsterInstance, changes: dict[str, Any], sentence: str
) -> None:
    assert run([maker(EQUITY_BARS, table(EQUITY_BARS, [bar(MONDAY)]))], [MONDAY]).success
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.parquet")}
    result = run([maker(EQUITY_BARS, table(EQUITY_BARS, [bar(MONDAY, 50.0), {**bar(TUESDAY), **changes}]))], [TUESDAY])
    assert not result.success
    assert failure(result).startswith("equity_bars refused the frame and wrote nothing. ")
    assert sentence in failure(result)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.parquet")} == before
    # The same frame would be refused again: no daemon starts the run anew.
    run_record = instance.get_run_by_id(result.run_id)
    assert run_record is not None
    assert run_record.tags[MAX_RETRIES_TAG] == "0"


def naive(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(start=frame["start"].dt.tz_localize(None))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda rows: rows.drop_columns(["volume"]),
            "equity_bars refused the frame and wrote nothing. Column `volume` is missing.",
        ),
        (lambda rows: rows.append_column("extra", rows["close"]), "Column `extra` is not a column of equity_bars."),
        (lambda rows: naive(rows.to_pandas()), "without a time zone; give aware times, for example in UTC."),
        (lambda rows: rows.to_pandas().assign(close="dear"), "Column `close`: "),
        (lambda rows: rows.to_pylist(), "equity_bars wants a pyarrow table or a pandas frame, not list."),
    ],
    ids=["missing column", "strange column", "naive times", "text for a number", "no frame"],
)
def test_a_frame_of_another_shape_is_refused_in_a_sentence(
    run: Run, folder: Path, made: Callable[[pa.Table], Any], sentence: str
) -> None:
    result = run([maker(EQUITY_BARS, made(table(EQUITY_BARS, [bar(MONDAY)])))], [MONDAY])
    assert not result.success
    assert sentence in failure(result)
    assert list(folder.rglob("*.parquet")) == []


def test_an_asset_that_is_no_dataset_is_told_where_to_go(run: Run) -> None:
    @dg.asset(partitions_def=session_partitions())
    def my_signal() -> int:
        return 1

    result = run([my_signal], [MONDAY])
    assert not result.success
    datasets = ", ".join(DATASETS)
    assert failure(result).startswith(f"my_signal is no dataset of the lake ({datasets}): give the asset")


def test_the_metadata_is_plain_json(run: Run, instance: dg.DagsterInstance) -> None:
    """What the event log keeps can be read without our code."""
    run([maker(EQUITY_BARS, table(EQUITY_BARS, [bar(MONDAY)]))], [MONDAY])
    event = instance.get_latest_materialization_event(dg.AssetKey(["mine", "equity_bars"]))
    assert event is not None
    assert json.loads(event.to_json())
