"""The lineage of a partition, of a request and of a run: what made it, and what it made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from trading_assets.lineage.lake_rows import CURRENT, Found
from trading_assets.lineage.records import Materialization, RequestRecord, RunRecord
from trading_assets.plain import Plain


@dataclass(frozen=True, slots=True)
class RequestGroup(Plain):
    """Requests of one kind and outcome, with their first and last sending, the sum of their answers, and their ids."""

    kind: str
    outcome: str
    count: int
    first_sent: Any
    last_sent: Any
    answer_bytes: int | None
    run_ids: tuple[str, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RowGroup(Plain):
    """Rows of one dataset, symbol and bar size (empty for snapshots) that stand alike, of `sessions` sessions from
    `first` to `last`."""

    dataset: str
    standing: str
    symbol: str
    bar_size: str
    rows: int
    sessions: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class PartitionLineage(Plain):
    """What made a partition. `rows` is how many the lake has of it now, `origins` how many of each origin.

    `materializations` are Dagster's, newest first, `runs` those that recorded it or sent its requests. `requests` are
    those that its rows and its coverage name; `gone` the numbers of those without a record. `notes` are sentences.
    """

    asset: str
    partition: date
    symbol: str | None
    rows: int
    origins: Mapping[str, int]
    materializations: list[Materialization]
    runs: list[RunRecord]
    requests: list[RequestGroup]
    gone: list[int]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RequestLineage(Plain):
    """What a request brought. `groups` are the rows that name it, `aggregated` the daily bars that it has a part in
    without being named, `quarantine` what the quarantine holds of its answer, `rows` the rows themselves."""

    request: RequestRecord | None
    run: RunRecord | None
    groups: list[RowGroup]
    aggregated: list[RowGroup]
    rows: list[Found]
    quarantine: Mapping[str, Any] | None
    notes: list[str]


@dataclass(frozen=True, slots=True)
class RunLineage(Plain):
    """What a run did: the requests that it sent, the rows that they brought (whichever run stored them), and the
    partitions that it recorded."""

    run: RunRecord
    requests: list[RequestGroup]
    rows: list[RowGroup]
    partitions: Mapping[str, list[str]]
    notes: list[str]


def group_requests(requests: Iterable[RequestRecord]) -> list[RequestGroup]:
    """Requests by kind and outcome, in the order of their first ids."""
    groups: dict[tuple[str, str], list[RequestRecord]] = {}
    for one in sorted(requests, key=lambda one: one.id):
        groups.setdefault((one.kind, one.outcome or one.state), []).append(one)
    return [
        RequestGroup(
            kind,
            outcome,
            len(members),
            min((one.sent_at for one in members if one.sent_at is not None), default=None),
            max((one.sent_at for one in members if one.sent_at is not None), default=None),
            sum(one.answer_bytes or 0 for one in members) if any(one.answer_bytes for one in members) else None,
            tuple(dict.fromkeys(one.run_id for one in members if one.run_id)),
            tuple(one.id for one in members),
        )
        for (kind, outcome), members in groups.items()
    ]


def group_rows(rows: Iterable[Found]) -> list[RowGroup]:
    """Rows counted by dataset, standing, symbol and bar size."""
    groups: dict[tuple[str, str, str, str], list[Found]] = defaultdict(list)
    for each in rows:
        key = each.dataset, each.standing, each.row["symbol"], each.row.get("bar_size", "")
        groups[key].append(each)
    counted = []
    for key, members in sorted(groups.items()):
        days = {each.row["session"] for each in members}
        many = sum(each.count for each in members)
        counted.append(RowGroup(*key, rows=many, sessions=len(days), first=min(days), last=max(days)))
    return counted


def group_bars(rows: Sequence[Mapping[str, Any]], dataset: str) -> list[RowGroup]:
    """The same of plain current rows."""
    return group_rows(Found(dataset, CURRENT, row) for row in rows)
