"""What a run merged, session by session: the output of the assets of live data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from trading_assets.repositories.live.merging import Merged, merge_session
from trading_assets.repositories.schemas import Dataset


@dataclass(frozen=True)
class MergedSessions:
    """The period files of a live dataset after a merge. `sessions` are those with rows; `whole` is false when a
    recorder holds rows of them that are not sealed yet."""

    dataset: Dataset
    sessions: Mapping[date, Merged]
    whole: bool = True

    @property
    def rows(self) -> int:
        """Rows of all of them."""
        return sum(merged.rows for merged in self.sessions.values())


def merge_sessions(data_dir: Path, dataset: Dataset, sessions: Sequence[date], *, whole: bool = True) -> MergedSessions:
    """Merge the parts of sessions into their period files; raises as `merge_session`."""
    merged = {session: merge_session(data_dir, dataset, session) for session in sessions}
    return MergedSessions(dataset, {session: found for session, found in merged.items() if found.rows}, whole)
