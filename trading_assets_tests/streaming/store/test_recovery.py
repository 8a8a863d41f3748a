"""A recorder that dies: nothing it wrote is lost, and the next one says from when to when nobody looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.repositories.files import read_file
from trading_assets.repositories.live.checkpoint import read_checkpoint, write_checkpoint
from trading_assets.repositories.live.places import parts, segments
from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live.segments import head, message, read_segment
from trading_assets.repositories.live_schema import LIVE_DATASETS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.streaming.store import LiveTail, LiveWriter, latest_quotes, rows
from trading_assets.streaming.updates import Gap, GapReason, QuoteUpdate
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.streaming.live_rows import SESSION, START, STEP, at, bar, gap, quote


def record_and_die(folder: Path, updates: list[QuoteUpdate], gaps: list[Gap]) -> None:
    """Record, and end without a close."""
    writer = LiveWriter(folder, clock=at(0))
    writer.append(updates[: len(updates) // 2], [bar(0)], gaps)
    writer.flush()
    writer.append(updates[len(updates) // 2 :])
    writer.flush()


@pytest.fixture
def dead(forks: ForkServer, tmp_path: Path) -> Callable[[list[QuoteUpdate], list[Gap]], Path]:
    """Makes a lake in which a recorder with those updates and gaps died."""

    def died(updates: list[QuoteUpdate], gaps: list[Gap]) -> Path:
        forks.run(record_and_die, tmp_path, updates, gaps)
        return tmp_path

    return died


def stored(folder: Path) -> list[QuoteUpdate]:
    found = [
        update for place in parts(folder, LIVE_QUOTES) for update in rows.quotes(read_file(place.part, LIVE_QUOTES))
    ]
    return sorted(found, key=lambda update: update.seq)


def test_all_it_wrote_is_there_and_the_gap_begins_with_its_last_row(dead: Callable[..., Path]) -> None:
    given = [quote(n, 1000 + n % 2) for n in range(600)]
    folder = dead(given, [gap(5, con_id=77)])
    writer = LiveWriter(folder, clock=at(1000))
    assert writer.recovered.died and writer.next_seq == 600
    assert [(found.stream_id, found.began, found.ended) for found in writer.recovered.gaps] == [
        (name, START + 599 * STEP, None) for name in ("stream-1000", "stream-1001", "bars-1000")
    ]
    assert writer.recovered.open_gaps == (gap(5, con_id=77),), "its stream had a gap already"
    assert stored(folder) == given and latest_quotes(folder)[1000] == given[598]
    writer.append([quote(1100, 1001)])
    writer.close()
    written = [found for place in parts(folder, LIVE_GAPS) for found in rows.gaps(read_file(place.part, LIVE_GAPS))]
    assert [found.reason for found in written].count(GapReason.RECORDER_DIED) == 4
    assert [(found.stream_id, found.ended) for found in written if found.ended] == [
        ("stream-1001", START + 1100 * STEP)
    ], "until something of it comes again nobody looks"


def test_a_gap_of_bars_does_not_end_with_a_quote(tmp_path: Path) -> None:
    """Both are streams of one contract, and one of them may come back later."""
    names = {"quote": "one-q1000", "bar": "one-b1000"}
    writer = LiveWriter(tmp_path, clock=at(0))
    writer.append(gaps=[gap(5)._replace(stream_id=name) for name in names.values()])
    writer.close()
    writer = LiveWriter(tmp_path, clock=at(10))
    writer.append([quote(20)._replace(stream_id="two-q1000")])
    writer.close()
    writer = LiveWriter(tmp_path, clock=at(30))
    assert [found.stream_id for found in writer.recovered.open_gaps] == [names["bar"]]
    writer.append([], [replace(bar(40), stream_id="three-b1000")])
    writer.close()
    writer = LiveWriter(tmp_path, clock=at(30))
    assert writer.recovered.open_gaps == ()
    writer.close()


def test_an_inherited_gap_ends_with_the_next_update_of_its_contract(dead: Callable[..., Path]) -> None:
    folder = dead([quote(1), quote(2)], [gap(5, con_id=77), gap(6, con_id=78)])
    writer = LiveWriter(folder, clock=at(10))
    writer.append([quote(20, con_id=77), quote(21, con_id=77), quote(22)])
    writer.close()
    writer = LiveWriter(folder, clock=at(30))
    assert not writer.recovered.died and writer.recovered.gaps == ()
    assert writer.recovered.open_gaps == (gap(6, con_id=78),)
    writer.close()
    ended = [found for place in parts(folder, LIVE_GAPS) for found in rows.gaps(read_file(place.part, LIVE_GAPS))]
    assert gap(5, con_id=77, ended=20) in ended


def test_a_gap_that_ends_in_a_later_session_is_one_of_that_too(tmp_path: Path) -> None:
    """Whoever asks for the gaps of a session sees that its morning was not recorded."""
    writer = LiveWriter(tmp_path, clock=at(0))
    writer.append(gaps=[gap(5, reason=GapReason.RECORDER_STOPPED)])
    writer.close()
    monday = SESSION + timedelta(days=4)
    writer = LiveWriter(tmp_path, clock=at(10))
    first = quote(20, session=monday)
    writer.append([first])
    writer.close()
    midnight = datetime(2015, 12, 28, 5, 0, tzinfo=UTC)
    found = [rows.gaps(live_table(tmp_path, LIVE_GAPS, session)) for session in (SESSION, monday)]
    assert [[(one.began, one.ended) for one in gaps] for gaps in found] == [
        [(START + 5 * STEP, midnight)],
        [(midnight, first.received_at)],
    ]


@pytest.mark.parametrize("damage", ["cut", "zeros", "flipped"])
def test_a_torn_end_is_left_out(dead: Callable[..., Path], damage: str) -> None:
    given = [quote(n) for n in range(40)]
    folder = dead(given, [])
    (place,) = segments(folder, LIVE_QUOTES)
    content = bytearray(place.path.read_bytes())
    if damage == "cut":
        del content[-100:]
    elif damage == "zeros":
        content[-2000:] = bytes(2000)
    else:
        content[-1000] ^= 1
    place.path.write_bytes(content)
    with LiveTail(folder, from_start=True) as tail:
        assert tail.poll() == given[:20]
    assert latest_quotes(folder) == {1000: given[19]}
    writer = LiveWriter(folder, clock=at(100))
    assert stored(folder) == given[:20] and writer.recovered.gaps[0].began == bar(0).received_at
    writer.close()


def test_a_segment_of_an_earlier_version_is_sealed_with_nulls(dead: Callable[..., Path]) -> None:
    folder = dead([quote(n) for n in range(4)], [])
    (place,) = segments(folder, LIVE_QUOTES)
    assert latest_quotes(folder) == {1000: quote(3)}
    older = replace(LIVE_QUOTES, columns=tuple(one for one in LIVE_QUOTES.columns if one.name != "open_interest"))
    batches, _ = read_segment(LIVE_QUOTES, place.path)
    written = b"".join(message(older, batch.select(older.schema.names)) for batch in batches)
    place.path.write_bytes(head(older) + written)
    known = rows.quote_table([quote(0, con_id=5)]).drop_columns(["open_interest"])
    write_checkpoint(folder, replace(read_checkpoint(folder), quotes=known))
    with LiveTail(folder, from_start=True) as tail:
        assert [update.seq for update in tail.poll()] == [0, 1, 2, 3]
    writer = LiveWriter(folder, clock=at(10))
    assert stored(folder) == [quote(n) for n in range(4)] and writer.next_seq == 4
    assert latest_quotes(folder) == {5: quote(0, con_id=5), 1000: quote(3)}
    writer.close()


def test_after_a_close_there_is_no_gap(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path, clock=at(0))
    writer.append([quote(1)])
    writer.close()
    again = LiveWriter(tmp_path, clock=at(9))
    assert not again.recovered.died and again.recovered.gaps == () and again.next_seq == 2
    again.close()
    assert all(segments(tmp_path, dataset) == [] for dataset in LIVE_DATASETS)
