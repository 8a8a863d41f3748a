"""The newest quote of each contract, in milliseconds at any time of the day."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.errors import UnreadableFile
from trading_assets.repositories.live.checkpoint import Checkpoint, read_checkpoint
from trading_assets.repositories.live.places import segments
from trading_assets.repositories.live.segments import read_segment
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.streaming.store import rows
from trading_assets.streaming.updates import QuoteUpdate

logger = logging.getLogger(__name__)


def latest_quotes(
    data_dir: Path | str, con_ids: Collection[int] | None = None, symbols: Collection[str] | None = None
) -> dict[int, QuoteUpdate]:
    """The newest recorded quote of each contract by contract id; `con_ids` and `symbols` (of underlyings) restrict.

    Of contracts whose newest quote is older than a week, none. `received_at` says how old a quote is: also while
    nothing is recorded there are quotes, the last ones.
    """
    root = Path(data_dir)
    while True:
        found = read_checkpoint(root)
        try:
            table = _since(root, found)
        except FileNotFoundError:  # sealed meanwhile; a newer checkpoint was written before
            continue
        if con_ids is not None:
            table = table.filter(pc.is_in(table["con_id"], pa.array(list(con_ids), pa.int64())))
        if symbols is not None:
            table = table.filter(pc.is_in(table["symbol"], pa.array(list(symbols), pa.string())))
        return {update.con_id: update for update in rows.quotes(_last_of_each(table))}


def _since(root: Path, found: Checkpoint) -> pa.Table:
    """The rows of the checkpoint, and those that segments hold after it."""
    batches = found.quotes.to_batches()
    for place in segments(root, LIVE_QUOTES):
        if place.name >= found.name:
            begin = found.offset if place.name == found.name else 0
            try:
                batches += read_segment(LIVE_QUOTES, place.segment, begin)[0]
            except UnreadableFile as error:
                logger.warning("The live quotes in it are left out: %s", error)
    return pa.Table.from_batches(batches, LIVE_QUOTES.schema.remove_metadata())


def _last_of_each(table: pa.Table) -> pa.Table:
    backwards = table["con_id"].to_numpy()[::-1]
    places = len(backwards) - 1 - np.unique(backwards, return_index=True)[1]
    return table.take(pa.array(np.sort(places)))
