"""Sessions whose snapshot was never taken: recorded when the next snapshot is, so that none is silently forgotten.

A chain of a past session is lost; the contract details of one are not, those beside it answer for it (docs: decisions).
No request is made for any of this.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.snapshot_coverage import missed_snapshot_coverage
from trading_assets.repositories.schemas import Condition, Dataset


def missed_snapshots(archive: Archive, dataset: Dataset, symbols: Collection[str], session: date) -> pa.Table:
    """Coverage of the sessions between each symbol's last recorded one and `session`, which is being collected now.

    Sessions in which the symbol was not to be asked for, because the broker had refused it, are left out: the refusal
    answers for them.
    """
    recorded = (
        archive.coverage.recorded(dataset.name, "", symbols, last=session - timedelta(days=1))
        .sort_by("session")
        .to_pylist()
    )
    newest = {row["symbol"]: row for row in recorded}
    missed = {}
    for symbol, row in sorted(newest.items()):
        waits = (
            row["retry_after"].date()
            if Condition(row["condition"]).refused and row["retry_after"] is not None
            else date.min
        )
        days = archive.calendar.sessions(row["session"] + timedelta(days=1), session - timedelta(days=1))
        missed[symbol] = [day for day in days if day >= waits]
    return missed_snapshot_coverage(dataset.name, missed, archive.now)
