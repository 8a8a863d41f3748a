"""What lineage answers with: requests, runs, materializations, rows and partitions as plain values.

Instants are UTC. `as_dict` of each gives plain values for JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from trading_assets.plain import Plain


@dataclass(frozen=True, slots=True)
class RequestRecord(Plain):
    """One row of the journal: a question to the broker and what it ended in.

    `first_session` to `session` are the sessions asked for. `contract` is the local symbol of an option, else empty.
    `rows` and `answer_bytes` are the size of the raw answer: its rows, and its bytes as JSON (None: not recorded, the
    request is older than this column). `applied_at` is when the answer was in the lake.
    """

    id: int
    kind: str
    key: str
    dataset: str
    symbol: str
    con_id: int
    contract: str
    last_trade: str
    bar_size: str
    first_session: date
    session: date
    state: str
    outcome: str
    code: int | None
    text: str
    attempts: int
    claimed_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    duration: float | None
    rows: int | None
    answer_bytes: int | None
    applied_at: datetime | None
    run_id: str


@dataclass(frozen=True, slots=True)
class RunRecord(Plain):
    """One run of Dagster. `found` is False where Dagster has no record of it; `sentence` says why then."""

    run_id: str
    found: bool
    job: str = ""
    status: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Materialization(Plain):
    """One event of Dagster: a run recorded that a partition is in the lake.

    `rows` is what the partition held then; `input_versions` are the data versions of the upstream assets it was made
    with.
    """

    storage_id: int
    asset: str
    partition: str
    run_id: str
    at: datetime
    code_version: str
    data_version: str
    rows: int | None
    input_versions: Mapping[str, str]


class Origin(StrEnum):
    """What a row of the lake is."""

    ANSWER = "answer"
    """Decoded from one answer of the broker."""
    AGGREGATED = "aggregated"
    """Summed from finer bars."""
    CARRIED = "carried"
    """An earlier answer that still holds, repeated for this session."""
    SAVED = "saved"
    """Saved by a user: no request brought it."""
    STREAMED = "streamed"
    """Recorded from a running stream, or taken from one in place of a request."""
    DERIVED = "derived"
    """Found out by the platform without a request."""
    REQUEST_GONE = "request_gone"
    """The journal has no record of the request that the row names."""


@dataclass(frozen=True, slots=True)
class RowLineage(Plain):
    """From one row of the lake to where it comes from.

    `standing`: `current`, or of a row in the revisions `superseded` (another took its place) or `withdrawn` (none did).
    `request` is the one that the row names (None: none, or its record is gone), `replaced_by` that of the row in its
    place, `listing` of a quoted chain row the one that brought the contract's terms. `requested_by` is the run that
    sent the request, `recorded_by` the first materialization of the partition after the answer was in the lake, with
    the code version; `partition_run` is its run. `explanation` and `notes` are sentences.
    """

    dataset: str
    row: Mapping[str, Any]
    standing: str
    origin: Origin
    explanation: str
    request_id: int
    request: RequestRecord | None = None
    replaced_by: RequestRecord | None = None
    listing: RequestRecord | None = None
    requested_by: RunRecord | None = None
    recorded_by: Materialization | None = None
    partition_run: RunRecord | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def partition(self) -> str:
        """The partition that the row is in, `YYYY-MM-DD`."""
        return str(self.row["session"])
