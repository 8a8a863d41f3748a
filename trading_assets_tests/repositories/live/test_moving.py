"""Rows move from segments to parts to the period file: every reader sees each once, at every step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading_assets.errors import InvalidRequest, LayoutMismatch, NewerFile, UnreadableFile
from trading_assets.repositories import LakeIdentity, ParquetStore, connect, query
from trading_assets.repositories.live import views
from trading_assets.repositories.live.merging import Merged, merge_session, merged_parts
from trading_assets.repositories.live.places import Place, live_folder, parts, segments
from trading_assets.repositories.live.reading import live_table, recorded_sessions
from trading_assets.repositories.live.sealing import seal
from trading_assets.repositories.live.segments import head, message
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_DATASETS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.repositories.schemas import Column
from trading_assets.streaming.store import LiveWriter
from trading_assets_tests.streaming.live_rows import SESSION, START, STEP, bar, gap, quote

FILE = "live_quotes/2015-12-24.parquet"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake without rows."""
    LakeIdentity(tmp_path).pin("simulated")
    return tmp_path


@pytest.fixture
def writer(lake: Path) -> Iterator[LiveWriter]:
    """A recorder's writer on the lake."""
    writer = LiveWriter(lake)
    yield writer
    writer.close()


def merge_all(lake: Path) -> list[Merged]:
    return [merge_session(lake, dataset, SESSION) for dataset in LIVE_DATASETS]


def seqs(lake: Path) -> list[int]:
    """The numbers of the updates that each way to read shows, which are the same."""
    found = sorted(live_table(lake, LIVE_QUOTES, SESSION)["seq"].to_pylist())
    sql = "select list(seq order by seq) from live_quotes"
    for small in (views.SMALL_BYTES, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(views, "SMALL_BYTES", small)
            assert [query(lake, sql, live=True)[0][0].as_py() or []] == [found]
    return found


def test_rows_are_seen_once_wherever_they_are(lake: Path, writer: LiveWriter) -> None:
    assert seqs(lake) == []
    writer.append([quote(n, 1 + n % 2) for n in range(4)])
    writer.flush()
    assert seqs(lake) == [0, 1, 2, 3]
    writer.seal()
    writer.append([quote(4)])
    writer.flush()
    assert seqs(lake) == [0, 1, 2, 3, 4]
    assert merge_all(lake)[0] == Merged(1, 4, FILE)
    assert seqs(lake) == [0, 1, 2, 3, 4]
    assert connect(lake).sql("select count(*) from live_quotes").fetchall() == [(4,)], "what is merged"
    writer.seal()
    assert merge_all(lake)[0] == Merged(1, 5, FILE) and merge_all(lake)[0] == Merged(0, 5, FILE)
    assert seqs(lake) == [0, 1, 2, 3, 4] and not list(live_folder(lake, LIVE_QUOTES).iterdir())
    assert recorded_sessions(lake, LIVE_QUOTES) == [SESSION]


@pytest.mark.parametrize("small", [views.SMALL_BYTES, 0])
def test_a_connection_shows_its_rows_once_while_they_move_on(
    lake: Path, writer: LiveWriter, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(views, "SMALL_BYTES", small)
    writer.append([quote(n) for n in range(3)], gaps=[gap(1)])
    writer.flush()
    with connect(lake, live=True) as connection:

        def shown() -> list[tuple[int, int]]:
            sql = "select (select count(*) from live_quotes), (select count(*) from live_gaps)"
            return connection.sql(sql).fetchall()

        assert shown() == [(3, 1)]
        writer.seal()
        assert shown() == [(3, 1)]
        merge_all(lake)
        assert shown() == [(3, 1)]


def test_the_period_file_is_as_the_store_reads_it(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(n, 9 - n % 3, symbol="SPY" if n % 3 else "SPX") for n in range(9)])
    writer.seal()
    merge_all(lake)
    table = ParquetStore(lake).read(LIVE_QUOTES)
    assert table["con_id"].to_pylist() == [9, 9, 9, 7, 7, 7, 8, 8, 8]
    assert table["received_at"].to_pylist()[:2] == [START, START + 3 * STEP]
    assert table.schema.equals(LIVE_QUOTES.schema.remove_metadata())
    assert set(table["request_id"].to_pylist()) == {0}


def test_of_a_gap_its_end_counts_and_of_a_bar_the_later_one(lake: Path, writer: LiveWriter) -> None:
    late = replace(bar(1, close=10.5), received_at=START + 9_000 * STEP)
    writer.append([], [bar(1), late], [gap(1, ended=3), gap(1), gap(4)])
    writer.seal()
    writer.append([], [], [gap(4, ended=6)])
    writer.flush()
    ends = [START + 3 * STEP, START + 6 * STEP]
    for step in (lambda: None, writer.seal, lambda: merge_all(lake)):
        step()
        assert live_table(lake, LIVE_GAPS, SESSION)["ended"].to_pylist() == ends
        assert query(lake, "select ended from live_gaps order by 1", live=True)["ended"].to_pylist() == ends
        assert live_table(lake, LIVE_BARS, SESSION)["close"].to_pylist() == [10.5]
        assert query(lake, "select close from live_bars", live=True)["close"].to_pylist() == [10.5]


def test_a_part_that_was_not_removed_after_its_merge_is_not_seen_and_not_merged_again(
    lake: Path, writer: LiveWriter
) -> None:
    writer.append([quote(n) for n in range(5)])
    writer.flush()
    (segment,) = segments(lake, LIVE_QUOTES)
    kept = shutil.copy(segment.segment, lake / "kept.arrows")
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    shutil.copy(part.part, lake / "kept.parquet")
    shutil.copy(kept, part.segment)
    assert seqs(lake) == list(range(5)), "the segment was not removed after it was sealed"
    assert seal(lake, LIVE_QUOTES, part) == 5 and not part.segment.exists()
    assert merge_all(lake)[0].rows == 5
    part.part.parent.mkdir()
    shutil.copy(lake / "kept.parquet", part.part)
    assert seqs(lake) == list(range(5)) and merged_parts(lake / FILE) == {part.name}
    assert merge_all(lake)[0] == Merged(0, 5, FILE) and not part.part.exists()


def test_a_damaged_part_is_named_and_nothing_changes(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(n) for n in range(5)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    content = part.part.read_bytes()
    part.part.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableFile, match=part.name):
        merge_session(lake, LIVE_QUOTES, SESSION)
    assert part.part.exists() and pq.read_metadata(lake / FILE).num_rows == 0
    part.part.write_bytes(content)
    assert merge_session(lake, LIVE_QUOTES, SESSION).rows == 5


def test_readers_see_every_row_once_while_sessions_are_sealed_and_merged(lake: Path, writer: LiveWriter) -> None:
    """At any instant, by a query and by a connection of one's own."""
    written, rounds = 0, 15

    def move() -> None:
        nonlocal written
        for begin in range(0, 4 * rounds, 4):
            writer.append([quote(n) for n in range(begin, begin + 4)])
            writer.flush()
            written = begin + 4
            writer.seal()
            merge_session(lake, LIVE_QUOTES, SESSION)

    with ThreadPoolExecutor(1) as moving:
        done = moving.submit(move)
        looks = 0
        while not done.done():
            least = written
            counts = query(lake, "select count(*), count(distinct seq) from live_quotes", live=True)
            rows, different = (column[0].as_py() for column in counts.columns)
            assert least <= rows == different
            with connect(lake, live=True) as connection:
                ((rows, different),) = connection.sql(
                    "select count(*), count(distinct seq) from live_quotes"
                ).fetchall()
            assert least <= rows == different
            table = live_table(lake, LIVE_QUOTES, SESSION)
            assert least <= table.num_rows == len(set(table["seq"].to_pylist()))
            looks += 1
        done.result()
    assert looks and seqs(lake) == list(range(4 * rounds))


def test_a_damaged_part_is_named_by_a_query(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(1)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    content = part.part.read_bytes()
    part.part.write_bytes(content[: len(content) // 2])
    for read in (lambda: query(lake, "select * from live_quotes", live=True), lambda: connect(lake, live=True)):
        with pytest.raises(UnreadableFile, match=part.name):
            read()


def test_parts_of_an_earlier_version_have_nulls(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(0)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    pq.write_table(pq.read_table(part.part).drop_columns(["open_interest"]), part.part)
    writer.append([quote(1)._replace(open_interest=7.0)])
    writer.seal()
    for _ in range(2):
        found = query(lake, "select open_interest from live_quotes order by seq", live=True)
        assert found["open_interest"].to_pylist() == [None, 7.0]
        merge_all(lake)


def test_a_session_that_is_wholly_of_an_earlier_version_is_merged(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(0)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    for path in (part.part, lake / FILE):
        pq.write_table(pq.read_table(path).drop_columns(["open_interest"]), path)
    assert live_table(lake, LIVE_QUOTES, SESSION)["open_interest"].to_pylist() == [None]
    assert merge_session(lake, LIVE_QUOTES, SESSION).rows == 1
    assert query(lake, "select open_interest from live_quotes")["open_interest"].to_pylist() == [None]


def test_a_day_is_merged_in_batches(lake: Path, writer: LiveWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.repositories.live.merging.BATCH_ROWS", 7)
    for begin in range(0, 60, 20):
        writer.append(
            [quote(n, n % 3) for n in range(begin, begin + 20)], gaps=[gap(1), gap(2), gap(1, ended=begin + 1)]
        )
        writer.seal()
    assert [merged.rows for merged in merge_all(lake)] == [60, 0, 2]
    assert seqs(lake) == list(range(60))


def test_without_live_rows_nothing_is_merged(lake: Path) -> None:
    assert merge_all(lake) == [Merged(), Merged(), Merged()]
    assert not (lake / "live_quotes").exists()


def test_live_rows_and_an_instant_are_not_asked_for_together(lake: Path) -> None:
    with pytest.raises(InvalidRequest, match="live"):
        connect(lake, live=True, as_of="2015-12-24T16:00-05:00")


def test_columns_of_somebody_else_stay_in_segments_parts_and_period_files(lake: Path, writer: LiveWriter) -> None:
    for n in range(2):
        writer.append([quote(n)])
        writer.seal()
        (part,) = parts(lake, LIVE_QUOTES)
        rows = pq.read_table(part.part)
        for name, values in {'a "note"': [f"mine {n}"], "extra": [n]}.items():
            rows = rows.append_column(name, pa.array(values))
        pq.write_table(rows, part.part)
        assert merge_session(lake, LIVE_QUOTES, SESSION).rows == n + 1
    row = live_table(lake, LIVE_QUOTES, SESSION).slice(0, 1)
    row = row.set_column(row.column_names.index("seq"), row.schema.field("seq"), pa.array([2]))
    wider = replace(LIVE_QUOTES, columns=(*LIVE_QUOTES.columns, Column("extra", pa.int64(), "Mine", nullable=True)))
    segment = Place(str(SESSION), part.name[:-1] + "x", part.path.with_name(part.name[:-1] + "x.arrows"))
    segment.segment.parent.mkdir(exist_ok=True)
    (found,) = row.append_column("extra", pa.array([2])).to_batches()
    batch = pa.record_batch(found.columns, wider.schema.remove_metadata())
    segment.segment.write_bytes(head(wider) + message(wider, batch))
    seal(lake, LIVE_QUOTES, segment)
    assert merge_session(lake, LIVE_QUOTES, SESSION).rows == 3 and seqs(lake) == [0, 1, 2]
    kept = pq.read_table(lake / FILE)
    notes = zip(kept["seq"].to_pylist(), kept["extra"].to_pylist(), kept['a "note"'].to_pylist(), strict=True)
    assert sorted(notes) == [(0, 0, "mine 0"), (1, 1, "mine 1"), (2, 2, None)]


def test_a_part_of_a_newer_program_is_merged_by_that_one(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(0)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    pq.write_table(pq.read_table(part.part).replace_schema_metadata({"schema_version": "99"}), part.part)
    content = part.part.read_bytes()
    with pytest.raises(NewerFile, match=part.name):
        merge_session(lake, LIVE_QUOTES, SESSION)
    assert part.part.read_bytes() == content and seqs(lake) == [0]


def test_a_copy_of_a_period_file_hides_no_part(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(0)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    footer = {"merged_parts": part.name}
    pq.write_table(pq.read_table(lake / FILE).replace_schema_metadata(footer), lake / FILE.replace(".p", " (1).p"))
    assert seqs(lake) == [0]


def test_columns_that_differ_in_capitals_alone_are_not_mixed(lake: Path, writer: LiveWriter) -> None:
    writer.append([quote(0)])
    writer.seal()
    (part,) = parts(lake, LIVE_QUOTES)
    pq.write_table(pq.read_table(part.part).append_column("Bid", pa.array([1.0])), part.part)
    with pytest.raises(LayoutMismatch, match=r"column `Bid`, which differs from `bid` in capitals only\. Rename"):
        merge_session(lake, LIVE_QUOTES, SESSION)
    assert part.part.exists()
