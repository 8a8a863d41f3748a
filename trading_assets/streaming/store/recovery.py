"""What a recorder finds when it starts: the end of the one before it.

A recorder that was killed leaves segments, or a checkpoint that says that it was recording. Its segments are sealed,
and each of its streams that had no open gap gets a gap `recorder_died` from the last row it wrote on. Like every gap
that is left open, it ends when an update of the stream comes again. Killed at any step, recovery is simply done again:
a gap has the same key then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trading_assets.errors import UnreadableFile
from trading_assets.repositories.live.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from trading_assets.repositories.live.places import Place, segments
from trading_assets.repositories.live.sealing import seal
from trading_assets.repositories.live.segments import read_segment
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_DATASETS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset
from trading_assets.streaming.days import Days
from trading_assets.streaming.store import rows
from trading_assets.streaming.store.memory import Memory
from trading_assets.streaming.updates import Gap, GapReason

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovered:
    """`died`: the recorder before this one was killed; `gaps` are those that say so, `open_gaps` those that it, or one
    before it, had left open. All of them end when an update of the stream comes again."""

    died: bool
    gaps: tuple[Gap, ...] = ()
    open_gaps: tuple[Gap, ...] = ()


def recover(data_dir: Path) -> tuple[Memory, Recovered, str]:
    """Seal what was left behind, and say what it was; also the name of the latest segment so far. Only the holder of
    the writer's lock may call it.

    The gaps it returns are yet to be written. Raises `OSError`.
    """
    memory, last_name, died = seal_left_behind(data_dir)
    gaps = _died(memory) if died else ()
    memory.streams.clear()
    return memory, Recovered(died, gaps, tuple(memory.open_gaps.values())), last_name


def seal_left_behind(data_dir: Path) -> tuple[Memory, str, bool]:
    """Seal the segments of a recorder that is no more: what it had in memory, the name of its latest segment, and
    whether it died. That it died is found again until a recorder has said so. Only the holder of the writer's lock may
    call it. Raises `OSError`."""
    found = read_checkpoint(data_dir)
    memory = Memory(found)
    left = [(dataset, place) for dataset in LIVE_DATASETS for place in segments(data_dir, dataset)]
    last_name = max([found.name, *(place.name for _, place in left)])
    if left:
        _catch_up(data_dir, memory, found)
        # Before the segments are sealed, so that whoever is killed here finds the same again.
        write_checkpoint(data_dir, memory.checkpoint(last_name, 0, recording=found.recording or not found.name))
        for dataset, place in left:
            try:
                seal(data_dir, dataset, place)
            except UnreadableFile as error:
                logger.error("It stays where it is, and its rows are in no dataset: %s", error)
    return memory, last_name, found.recording or (bool(left) and not found.name)


def _catch_up(data_dir: Path, memory: Memory, found: Checkpoint) -> None:
    """Remember the rows of segments that came after the checkpoint."""
    for place in segments(data_dir, LIVE_QUOTES):
        if place.name >= found.name:
            begin = found.offset if place.name == found.name else 0
            for batch in _batches(LIVE_QUOTES, place, begin):
                memory.note_quotes(rows.quotes(batch))
    for place in segments(data_dir, LIVE_BARS):
        for batch in _batches(LIVE_BARS, place):
            memory.note_bars(rows.bars(batch))
    for place in segments(data_dir, LIVE_GAPS):
        for batch in _batches(LIVE_GAPS, place):
            memory.note_gaps(rows.gaps(batch))


def _batches(dataset: Dataset, place: Place, begin: int = 0) -> list[pa.RecordBatch]:
    """The rows of a segment; none of one that cannot be read, which `seal` names."""
    try:
        return read_segment(dataset, place.segment, begin)[0]
    except UnreadableFile:
        return []


def _died(memory: Memory) -> tuple[Gap, ...]:
    if memory.last_at is None:
        return ()
    in_gap = {gap.stream_id for gap in memory.open_gaps.values()}
    text = "The recorder was killed, or its machine stopped."
    began, session = memory.last_at, Days().session(memory.last_at)
    return tuple(
        Gap(session, stream.con_id, stream.symbol, name, began, None, GapReason.RECORDER_DIED, None, text)
        for name, stream in memory.streams.items()
        if name not in in_gap
    )
