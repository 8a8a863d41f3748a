"""What one row of the lake is, and whether a request of the journal is the one it names. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.lineage.lake_rows import Found
from trading_assets.lineage.records import Origin, RequestRecord
from trading_assets.repositories.frames import GIVEN_BY_USER
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    OPTION_GREEKS,
    POSITION_CHANGES,
    POSITION_SNAPSHOTS,
    QUALITY_METRICS,
)

DAILY = "1 day"

SAME_INSTANT = timedelta(milliseconds=1)
"""A row keeps the microsecond in which its answer came."""

SAME_RUN = timedelta(days=1)
"""Contract details of a decided change, and coverage of snapshots, are dated by the run and not by the answer."""

_WITHOUT_REQUEST = (COVERAGE.name, QUALITY_METRICS.name, POSITION_SNAPSHOTS.name, POSITION_CHANGES.name)
"""Datasets in which the platform writes rows that no request brought."""


def belongs(found: Found, request: RequestRecord, *, replayed: bool, symbols: Sequence[str]) -> bool:
    """Whether the request is the one that the row names, and not another with its number.

    Request ids are unique in a lake, unless its state database was put back from an older copy and went on counting.
    Dataset, contract and session must fit, and the instant of the answer: in a lake that is `replayed` with a pinned
    clock, the row has that clock's. `symbols` are those under which the row's series was asked for.
    """
    row = found.row
    dataset = _asked_dataset(found)
    if dataset != request.dataset or (request.symbol != row["symbol"] and request.symbol not in symbols):
        return False
    if request.finished_at is not None and not replayed:
        loose = found.dataset in (CONTRACTS.name, COVERAGE.name)
        apart = abs(row["collected_at"] - request.finished_at)
        if apart > (SAME_RUN if loose else SAME_INSTANT):
            return False
    if found.dataset == OPTION_GREEKS.name:
        return request.con_id == row["con_id"] and _session_fits(dataset, row, request)
    return _contract_fits(found.dataset, row, request) and _session_fits(dataset, row, request)


def _asked_dataset(found: Found) -> str:
    """The dataset of the request that a row names."""
    if found.dataset == OPTION_GREEKS.name:
        return OPTION_CHAINS.name if found.row["source"] == "chain" else OPTION_BARS.name
    return str(found.row["dataset"]) if found.dataset == COVERAGE.name else found.dataset


def _contract_fits(dataset: str, row: Mapping[str, Any], request: RequestRecord) -> bool:
    if request.kind == "option_listing":
        return dataset == COVERAGE.name or not row["quote_outcome"]
    if request.kind == "quote" and dataset == OPTION_CHAINS.name:
        return bool(request.con_id == row["con_id"])
    if request.dataset == OPTION_BARS.name or (dataset == EQUITY_BARS.name and request.con_id):
        return bool(request.con_id == row["con_id"])
    return True


def _session_fits(dataset: str, row: Mapping[str, Any], request: RequestRecord) -> bool:
    session: date = row["session"]
    if dataset in (EQUITY_BARS.name, OPTION_BARS.name):
        return request.first_session <= session <= request.session
    # a snapshot is of its session; what does not change is carried into later ones
    return session == request.session or (request.kind != "quote" and session > request.session)


def origin_of(found: Found, request: RequestRecord | None, stream: str | None = None) -> Origin:
    """What the row is, when `request` is the one that it names (None: it names none, or its record is gone), and
    `stream` the one that it comes from."""
    row = found.row
    if stream is not None:
        return Origin.STREAMED
    if found.dataset == OPTION_GREEKS.name:
        return Origin.DERIVED
    if row["request_id"] == GIVEN_BY_USER:
        return Origin.DERIVED if found.dataset in _WITHOUT_REQUEST else Origin.SAVED
    if request is None:
        return Origin.REQUEST_GONE
    if found.dataset == OPTION_BARS.name and row["bar_size"] != request.bar_size:
        return Origin.AGGREGATED
    unquoted = found.dataset == OPTION_CHAINS.name and row["quote_outcome"] is None
    if (found.dataset == CONTRACTS.name or unquoted) and row["session"] > request.session:
        return Origin.CARRIED
    return Origin.ANSWER


def explain(
    found: Found,
    origin: Origin,
    request: RequestRecord | None,
    finer: Sequence[Mapping[str, Any]],
    gone: str,
    stream: str | None = None,
) -> str:
    """A sentence that says what the row is. `finer` are the finer bars of an aggregated one, `gone` says why there is
    no record of its request, `stream` is the one that the row comes from."""
    row = found.row
    if stream is not None:
        if found.dataset == OPTION_CHAINS.name:
            return (
                f"The quote was taken from the stream {stream} (live_quotes has the update of that instant), not"
                " requested; the terms come from the listing."
            )
        return f"Recorded from the stream {stream}: no request of the journal brought it (docs/live.md)."
    if origin is Origin.REQUEST_GONE:
        return gone
    if origin is Origin.SAVED:
        return "Saved by a user (a repository's `save`, or an asset's own frame): no request to the broker brought it."
    if origin is Origin.DERIVED:
        if found.dataset == OPTION_GREEKS.name:
            inputs = "the quote" if row["source"] == "chain" else "the daily bar"
            of = f", the answer to request {request.id}" if request is not None else ""
            return f"Computed by the platform from {inputs} of the contract in this session{of} (docs/pricing.md)."
        if found.dataset == QUALITY_METRICS.name:
            return "Measured by the platform from the rows of the lake: no request to the broker was made."
        if found.dataset == POSITION_SNAPSHOTS.name:
            return (
                "Listed by the broker at a look at the account (docs/positions.md): no request of the journal brought"
                " it. Mark and greeks were computed by the platform."
            )
        if found.dataset == POSITION_CHANGES.name:
            return f"Concluded by the platform from two looks at the account: {row['reason']}"
        return f"Concluded by the platform without a request: {row['reason'] or row['condition']}"
    assert request is not None
    asked = f"request {request.id}"
    if origin is Origin.AGGREGATED:
        ids = sorted({bar["request_id"] for bar in finer}) or [request.id]
        sizes = ", ".join(sorted({bar["bar_size"] for bar in finer})) or OPTION_BAR_SIZE
        return (
            f"Aggregated from {len(finer)} bar(s) of {sizes} of the session, of request(s) {', '.join(map(str, ids))}:"
            " the broker has no daily bars of options. The row names the request of its last bar."
        )
    if origin is Origin.CARRIED:
        what = "The contract details" if found.dataset == CONTRACTS.name else "The contract's terms"
        return f"{what} were given by {asked} in session {request.session} and carried forward: they still held."
    if found.dataset == COVERAGE.name:
        return f"Says what {asked} ended in for this session: {row['condition']}."
    if found.dataset == OPTION_CHAINS.name:
        if row["quote_outcome"] is not None:
            return f"The quote is the answer to {asked} ({row['quote_outcome']}); the terms come from the listing."
        return f"The contract's terms are the answer to {asked}; the contract was not quoted."
    return f"Decoded from the answer to {asked}."


def standing_note(found: Found) -> str:
    """A sentence about a row that is in the revisions; empty for a current one."""
    row = found.row
    if found.standing == "current":
        return ""
    at = f"{row['superseded_at']:%Y-%m-%d %H:%M:%S} UTC"
    if found.standing == "withdrawn":
        return f"The row was withdrawn at {at}, and no other took its place: it is in revisions_{found.dataset}."
    by = f"of request {row['superseded_by']}" if row["superseded_by"] else "that no request brought"
    return f"The row was superseded at {at} by one {by}: it is in revisions_{found.dataset}."


def request_notes(found: Found, request: RequestRecord) -> list[str]:
    """What is worth knowing about the request of a row."""
    notes = []
    if request.symbol != found.row["symbol"]:
        notes.append(
            f"The request was made for {request.symbol}: the series has the symbol {found.row['symbol']} since then."
        )
    if request.applied_at is None and request.state == "done":
        notes.append(
            f"Request {request.id} is not marked as stored yet: the run that wrote the row was interrupted after the"
            " write, and the next run completes it."
        )
    return notes
