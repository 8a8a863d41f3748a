"""The store against a dictionary: upserts, revisions, periods, pruning."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets import __version__
from trading_assets.errors import LayoutMismatch, UnreadableFile
from trading_assets.repositories import LakeIdentity, ParquetStore, UpsertCounts, query
from trading_assets.repositories.files import locked, replacing
from trading_assets.repositories.merge import combined_codes
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, SCHEMA_VERSION, Period
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.sessions import calendar
from trading_assets_tests.repositories.frames import NOON, bar, chain_row, option_bar, table

JUNE_6, JUNE_9 = date(2014, 6, 6), date(2014, 6, 9)


def test_a_first_write_is_read_back_row_for_row_and_names_its_file(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    rows = table(EQUITY_BARS, [bar(JUNE_9, symbol="GOOG"), bar(JUNE_9), bar(JUNE_6), bar(date(2015, 12, 24))])

    counts = store.upsert(EQUITY_BARS, rows)

    assert counts == UpsertCounts(4, 0, 0, ["equity_bars/1_day/2014.parquet", "equity_bars/1_day/2015.parquet"])
    assert (tmp_path / "equity_bars/1_day/2014.parquet").exists()
    read = store.read(EQUITY_BARS)
    assert read.schema.equals(EQUITY_BARS.schema)
    assert read.to_pylist() == [rows.to_pylist()[i] for i in (2, 1, 0, 3)], (
        "sorted by symbol and start within each file"
    )


def test_the_footer_says_who_wrote_the_file_and_what_the_columns_mean(tmp_path: Path) -> None:
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9)]))

    file = pq.ParquetFile(tmp_path / "equity_bars/1_day/2014.parquet")

    assert {key: file.metadata.metadata[key] for key in (b"schema_version", b"writer_version", b"dataset")} == {
        b"schema_version": str(SCHEMA_VERSION).encode(),
        b"writer_version": __version__.encode(),
        b"dataset": b"equity_bars",
    }
    assert file.schema_arrow.field("open").metadata[b"unit"] == b"dollars (index points)"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_equal_row_keeps_its_provenance_and_the_file_is_not_rewritten(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9, wap=None)]))
    file = tmp_path / "equity_bars/1_day/2014.parquet"
    before = file.stat()

    counts = store.upsert(
        EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9, wap=None, collected_at=NOON + timedelta(days=1), request_id=9)])
    )

    assert counts == UpsertCounts(unchanged=1)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert store.read(EQUITY_BARS)["request_id"].to_pylist() == [1]
    assert store.read_revisions(EQUITY_BARS).num_rows == 0


def test_a_restated_bar_moves_the_old_one_to_the_revisions(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    later = NOON + timedelta(days=3)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, 645.57), bar(JUNE_9, 93.7)]))

    counts = store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, 92.22, collected_at=later, request_id=2)]))

    assert counts == UpsertCounts(0, 1, 0, ["equity_bars/1_day/2014.parquet"])
    assert store.read(EQUITY_BARS)["close"].to_pylist() == [92.22, 93.7]
    (old,) = store.read_revisions(EQUITY_BARS).to_pylist()
    assert (old["close"], old["request_id"], old["superseded_at"], old["superseded_by"]) == (645.57, 1, later, 2)


def test_null_and_a_value_differ(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, wap=None), bar(JUNE_9, wap=100.5)]))
    counts = store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, wap=100.5), bar(JUNE_9, wap=None)]))
    assert counts.updated == 2


def test_an_older_answer_that_arrives_late_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, 92.22, request_id=2)]))

    counts = store.upsert(
        EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6, 645.57, collected_at=NOON - timedelta(days=3), request_id=1)])
    )

    assert counts == UpsertCounts(unchanged=1)
    assert store.read(EQUITY_BARS)["close"].to_pylist() == [92.22]
    assert store.read_revisions(EQUITY_BARS).select(["close", "superseded_by"]).to_pylist() == [
        {"close": 645.57, "superseded_by": 2}
    ]


SESSIONS = calendar().sessions(date(2014, 12, 29), date(2015, 1, 5))

cells = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["AAPL", "GOOG"]),
        "session": st.sampled_from(SESSIONS),
        "close": st.sampled_from([10.0, 11.0]),
        "wap": st.sampled_from([None, 10.5]),
        "minute": st.integers(0, 3),
    }
)
frames = st.lists(st.lists(cells, max_size=8, unique_by=lambda c: (c["symbol"], c["session"])), max_size=6)


def _frame(cells: list[dict[str, Any]], request_id: int) -> pa.Table:
    rows = [
        bar(
            c["session"],
            c["close"],
            symbol=c["symbol"],
            wap=c["wap"],
            collected_at=NOON + timedelta(minutes=c["minute"]),
            request_id=request_id,
        )
        for c in cells
    ]
    return table(EQUITY_BARS, rows)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames, st.sampled_from([Period.YEAR, Period.MONTH, Period.DAY]), st.randoms())
def test_any_sequence_of_upserts_equals_a_dictionary_with_a_history(
    tmp_path_factory: pytest.TempPathFactory, frames: Any, period: Period, random: Any
) -> None:
    store = ParquetStore(tmp_path_factory.mktemp("lake"), {"equity_bars": period})
    model: dict[tuple[str, date], dict[str, Any]] = {}
    history: set[tuple[Any, ...]] = set()
    for number, cells in enumerate(frames):
        frame = _frame(cells, number)
        expected = {"inserted": 0, "updated": 0, "unchanged": 0}
        for row in frame.to_pylist():
            key = row["symbol"], row["session"]
            stored = model.get(key)
            if stored is None:
                model[key] = row
                expected["inserted"] += 1
            elif all(stored[name] == row[name] for name in EQUITY_BARS.value_columns):
                expected["unchanged"] += 1
            elif row["collected_at"] >= stored["collected_at"]:
                history.add(tuple(stored.values()))
                model[key] = row
                expected["updated"] += 1
            else:
                history.add(tuple(row.values()))
                expected["unchanged"] += 1
        counts = store.upsert(EQUITY_BARS, frame)
        assert (counts.inserted, counts.updated, counts.unchanged) == tuple(expected.values())
        if random.random() < 0.3:  # written again, as after a kill: nothing changes, nothing is doubled
            store.upsert(EQUITY_BARS, frame)
    assert {(r["symbol"], r["session"]): r for r in store.read(EQUITY_BARS).to_pylist()} == model
    revised = [tuple(row.values())[:-2] for row in store.read_revisions(EQUITY_BARS).to_pylist()]
    assert len(revised) == len(set(revised)) and set(revised) == history
    for path in store.files(EQUITY_BARS):
        rows = pq.ParquetFile(path).read().to_pylist()
        assert rows == sorted(rows, key=lambda row: (row["symbol"], row["start"]))
        assert {period.of(row["session"]) for row in rows} == {path.stem}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc") | st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
        max_size=30,
    )
)
def test_combined_codes_order_rows_as_their_columns(rows: list[tuple[str | None, int, float]]) -> None:
    columns = pa.table(
        {
            "a": pa.array([r[0] for r in rows], pa.string()),
            "b": pa.array([r[1] for r in rows], pa.int64()),
            "c": pa.array([r[2] for r in rows], pa.float64()),
        }
    )
    codes = combined_codes(columns, ["a", "b", "c"]).tolist()
    by_code = [rows[i] for i in sorted(range(len(rows)), key=lambda i: codes[i])]
    assert by_code == sorted(rows, key=lambda r: (r[0] is None, r[0] or "", r[1], r[2]))


def test_many_distinct_values_in_every_column_of_the_order_do_not_overflow() -> None:
    rows = 3000
    columns = pa.table({name: pa.array([i * 7919 % 3001 for i in range(rows)], pa.int64()) for name in "abcdefg"})
    codes = combined_codes(columns, list("abcdefg"))
    assert codes.argsort().tolist() == columns["a"].to_numpy().argsort().tolist()


def test_files_of_other_periods_and_variants_are_not_opened(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(
        EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9), bar(date(2015, 12, 24)), bar(JUNE_9, bar_size="1 hour")])
    )
    for other in ("1_day/2014", "1_hour/2014"):
        (tmp_path / f"equity_bars/{other}.parquet").write_bytes(b"not a Parquet file")

    assert store.read(EQUITY_BARS, variants=["1 day"], first=date(2015, 1, 1)).num_rows == 1
    assert store.read(EQUITY_BARS, variants=["1 day"], first=date(2015, 12, 24), last=date(2016, 3, 1)).num_rows == 1
    with pytest.raises(UnreadableFile, match=r"1_day/2014\.parquet is damaged"):
        store.read(EQUITY_BARS, variants=["1 day"])


def test_options_are_kept_by_month_and_conditions_by_dataset(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(OPTION_BARS, table(OPTION_BARS, [option_bar(date(2015, 12, 24)), option_bar(date(2015, 11, 27))]))
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, [chain_row(date(2015, 12, 24))]))

    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.parquet")) == [
        "option_bars/1_day/2015-11.parquet",
        "option_bars/1_day/2015-12.parquet",
        "option_chains/2015-12.parquet",
    ]


def test_a_lake_keeps_the_periods_it_began_with(tmp_path: Path) -> None:
    ParquetStore(tmp_path, {"equity_bars": Period.DAY}).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9)]))

    assert LakeIdentity(tmp_path).periods() == {"equity_bars": Period.DAY}
    counts = ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6)]))
    assert counts.files == ["equity_bars/1_day/2014-06-06.parquet"], "a store without periods takes the lake's"
    with pytest.raises(LayoutMismatch, match="one file a day, and one file a year was asked for"):
        ParquetStore(tmp_path, {"equity_bars": Period.YEAR}).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6)]))


def test_a_file_of_an_older_schema_is_read_with_nulls_and_upgraded_by_the_next_write(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    path = tmp_path / "equity_bars/1_day/2014.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table(EQUITY_BARS, [bar(JUNE_6)]).drop_columns(["bar_count"]), path)

    assert store.read(EQUITY_BARS)["bar_count"].to_pylist() == [None]
    assert store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9, bar_count=7)])).inserted == 1
    assert pq.ParquetFile(path).read()["bar_count"].to_pylist() == [None, 7]


def test_temporary_files_are_never_read_and_are_cleaned_unless_someone_writes(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9)]))
    folder = tmp_path / "equity_bars/1_day"
    dead = folder / ".2014.parquet.999999.tmp"
    dead.write_bytes(b"half a file")
    (folder / "note.txt").write_text("not ours")
    assert store.read(EQUITY_BARS).num_rows == 1
    with locked(tmp_path, "equity_bars/1_day/2014.parquet"):
        assert remove_temporary_files(store.data_dir) == []
    (tmp_path / ".lake.duckdb.999999.tmp.wal").write_bytes(b"half a catalog")
    assert remove_temporary_files(store.data_dir) == [
        "equity_bars/1_day/.2014.parquet.999999.tmp",
        ".lake.duckdb.999999.tmp.wal",
    ]
    assert sorted(p.name for p in folder.iterdir()) == ["2014.parquet", "note.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"), replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("disk full")
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"] and path.read_text() == "old"


def test_an_empty_frame_writes_nothing_at_all(tmp_path: Path) -> None:
    assert ParquetStore(tmp_path / "lake").upsert(EQUITY_BARS, EQUITY_BARS.schema.empty_table()) == UpsertCounts()
    assert not (tmp_path / "lake").exists()


def test_reading_is_pushed_down_to_row_groups(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    sessions = calendar().sessions(date(2014, 1, 1), date(2014, 12, 31))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(s, symbol=f"S{i:03d}") for i in range(140) for s in sessions]))
    path = tmp_path / "equity_bars/1_day/2014.parquet"
    groups = pq.ParquetFile(path).metadata.num_row_groups
    with pa.OSFile(str(path)) as source:
        fragment = pads.ParquetFileFormat().make_fragment(source)
        read = fragment.subset(filter=pads.field("symbol") == "S003").row_groups
    assert groups == 3 and len(read) == 1
    assert store.read(EQUITY_BARS, where=pads.field("symbol") == "S003").num_rows == len(sessions)


def test_counts_add_up() -> None:
    total = UpsertCounts(1, 2, 3, ["a"]) + UpsertCounts(10, 20, 30, ["a", "b"])
    assert (total, total.rows) == (UpsertCounts(11, 22, 33, ["a", "b"]), 66)


def test_an_unknown_volume_enters_a_file_of_the_time_when_none_could_be(tmp_path: Path) -> None:
    """Files written before a volume could be null say that it never is: they are read, and rewritten with one that
    is."""
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_6)]))
    (path,) = store.files(EQUITY_BARS)
    written = pq.read_table(path)
    position = written.schema.get_field_index("volume")
    required = written.schema.set(position, written.schema.field(position).with_nullable(False))
    pq.write_table(written.cast(required), path)
    assert not pq.read_schema(path).field("volume").nullable
    assert store.read(EQUITY_BARS)["volume"].to_pylist() == [1000.0]

    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(JUNE_9, volume=None)]))

    assert store.read(EQUITY_BARS)["volume"].to_pylist() == [1000.0, None]
    assert query(tmp_path, "select volume from equity_bars order by session")["volume"].to_pylist() == [1000.0, None]
