"""Which snapshot answers for which session, and so what depends on what between partitions of different sessions.

The rule is that of `repositories.choose_snapshot`: a session's own snapshot, else the earliest after it, else the
latest before it. Bars of options follow also the contracts of the chain before, where a session has no chain of its
own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from trading_assets.arguments import one_of
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.repositories.option_chains import choose_snapshot
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, OPTION_CHAINS, Dataset

SNAPSHOTS = (CONTRACTS.name, OPTION_CHAINS.name)


def sessions_by_symbol(tracker: LineageTracker, dataset: str, symbols: Sequence[str] | None) -> dict[str, list[date]]:
    """The sessions with rows of each symbol (None: of all), in order; of chains those with a selection."""
    where = "selected" if dataset == OPTION_CHAINS.name else "true"
    named = "" if symbols is None else "and symbol in (select unnest($symbols::varchar[]))"
    sql = f"""select symbol, list(distinct session order by session) as sessions from "{dataset}"
              where {where} {named} group by symbol order by symbol"""
    rows = tracker.lake.query(sql, {} if symbols is None else {"symbols": list(symbols)})
    return dict(zip(rows["symbol"].to_pylist(), rows["sessions"].to_pylist(), strict=True))


def used_snapshots(upstream: str, downstream: str, stored: Sequence[date], session: date) -> list[date]:
    """The snapshots of `upstream` that a session of `downstream` takes its contracts from, in order."""
    answering = choose_snapshot(stored, session)
    if answering is None:
        return []
    if (upstream, downstream) != (OPTION_CHAINS.name, "option_bars") or answering <= session:
        return [answering]
    before = bisect_left(stored, session) - 1
    return [stored[before], answering] if before >= 0 else [answering]


def dependent_sessions(
    upstream: str, downstream: str, stored: Sequence[date], snapshot: date, candidates: Sequence[date]
) -> list[date]:
    """Those of the candidate sessions of `downstream` that take their contracts from this snapshot of `upstream`."""
    return [session for session in candidates if snapshot in used_snapshots(upstream, downstream, stored, session)]


def dataset_of(name: str) -> Dataset:
    """The dataset of that name, or of the asset. Raises `InvalidRequest` that names the datasets there are."""
    return DATASETS[one_of(name, DATASETS, "dataset")]
