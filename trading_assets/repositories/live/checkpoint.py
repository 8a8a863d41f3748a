"""The checkpoint of a recorder: the newest quote of each contract, and what it would leave behind if it died now.

Written every few seconds, replaced at once. With what the segments hold after it, it gives the newest quotes without
reading the day, and a recorder that starts what the one before it had open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.repositories.files import remove_leftovers, replacing
from trading_assets.repositories.live.places import FOLDER
from trading_assets.repositories.live.segments import conformed
from trading_assets.repositories.live_schema import LIVE_QUOTES

FILE = "checkpoint.arrow"

_STATE = b"state"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of which rows were written: the session of its newest one, contract and symbol."""

    session: date
    con_id: int
    symbol: str


@dataclass(frozen=True)
class Checkpoint:
    """`quotes` holds the newest row of each contract among all segments up to the byte `offset` of the segment `name`.

    `recording`: whether the recorder had not stopped when this was written. `streams` are those of which it wrote rows,
    `open_gaps` the gaps without an end, as rows of `live_gaps`; `last_at` is the newest instant in its rows, `last_seq`
    the largest number of an update.
    """

    quotes: pa.Table
    name: str = ""
    offset: int = 0
    recording: bool = False
    last_at: datetime | None = None
    last_seq: int = 0
    streams: Mapping[str, Stream] = field(default_factory=dict)
    open_gaps: tuple[tuple[Any, ...], ...] = ()


def read_checkpoint(data_dir: Path) -> Checkpoint:
    """The checkpoint of the lake; an empty one where there is none that can be read."""
    try:
        with pa.OSFile(str(data_dir / FOLDER / FILE)) as source, pa.ipc.open_file(source) as reader:
            table = reader.read_all()
        state = json.loads(table.schema.metadata[_STATE])
        batches = [conformed(LIVE_QUOTES, batch) for batch in table.replace_schema_metadata(None).to_batches()]
        return Checkpoint(pa.Table.from_batches(batches, LIVE_QUOTES.schema.remove_metadata()), **_state(state))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return Checkpoint(LIVE_QUOTES.schema.remove_metadata().empty_table())


def write_checkpoint(data_dir: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint, durably. Only the holder of the writer's lock may. Raises `OSError`."""
    state = {name: value for name, value in vars(checkpoint).items() if name != "quotes"}
    state["streams"] = {name: asdict(stream) for name, stream in checkpoint.streams.items()}
    text = json.dumps(state, default=lambda value: value.isoformat())
    remove_leftovers(data_dir / FOLDER / FILE)
    table = checkpoint.quotes.replace_schema_metadata({_STATE: text.encode()})
    with (
        replacing(data_dir / FOLDER / FILE) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def _state(given: dict[str, Any]) -> dict[str, Any]:
    streams = {
        name: Stream(date.fromisoformat(found["session"]), found["con_id"], found["symbol"])
        for name, found in given["streams"].items()
    }
    gaps = tuple(
        (date.fromisoformat(session), *terms, datetime.fromisoformat(began), None, *reason)
        for session, *terms, began, _, reason in ((*gap[:6], gap[6:]) for gap in given["open_gaps"])
    )
    last_at = given["last_at"] and datetime.fromisoformat(given["last_at"])
    return {**given, "streams": streams, "open_gaps": gaps, "last_at": last_at}
