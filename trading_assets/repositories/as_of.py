"""The archive as it was known at an instant, as SQL: from `collected_at` and the revisions.

A row is known from the moment its answer came (`collected_at`) until the answer that took its place (`superseded_at` of
its revision). Of several answers for one key the latest known one counts. `FIRST` asks for each row as it was first
collected: prices before a later split restated them, and before any correction. A row that was withdrawn (no answer
took its place) is no such value, and neither is what came before it.

Not undone: a symbol given to another series (`universe resolve`), and rows written by versions without revisions.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from trading_assets.errors import InvalidRequest
from trading_assets.repositories.schemas import DATASETS, Dataset

FIRST: Literal["first"] = "first"
"""In place of an instant: each row as it was first collected."""

AsOf = datetime | Literal["first"]
"""An instant with a zone, or `FIRST`."""


def checked(as_of: AsOf | str) -> AsOf:
    """The instant or `FIRST`; text is an ISO instant with a zone. Raises `InvalidRequest`."""
    if isinstance(as_of, str) and as_of == FIRST:
        return FIRST
    instant = as_of
    if isinstance(as_of, str):
        with suppress(ValueError):
            instant = datetime.fromisoformat(as_of)
    if not isinstance(instant, datetime) or instant != instant or instant.tzinfo is None:  # NaT equals nothing
        raise InvalidRequest(
            f"as_of is {as_of!r}: give an instant with a time zone, for example '2024-06-03T16:00-04:00', or 'first'"
            " for the values as first collected."
        )
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # at the ends of the years that `datetime` knows
        raise InvalidRequest(f"as_of is {as_of!r}: in UTC this is no instant of the years 1 to 9999.") from None


def as_of_views(as_of: AsOf) -> str:
    """Statements that put temporary views of all datasets, as they were known then, in front of the lake's own."""
    statements = []
    for dataset in DATASETS.values():
        rows, revisions = (f'memory.main."{name}"' for name in (dataset.name, f"revisions_{dataset.name}"))
        view = as_of_sql(dataset, rows, revisions, as_of)
        statements.append(f'create or replace temporary view "{dataset.name}" as {view}')
    return ";".join(statements) + ";"


def as_of_sql(dataset: Dataset, rows: str, revisions: str, as_of: AsOf) -> str:
    """A SELECT of the dataset's columns out of two relations of SQL text: its present rows, and their revisions.

    Most keys have no revision that matters; only those that have one are compared row by row.
    """
    key = ", ".join(f'"{name}"' for name in dataset.key)
    columns = ", ".join(f'"{name}"' for name in dataset.schema.names)
    same = " and ".join(f'w."{name}" = r."{name}"' for name in dataset.key)
    if as_of == FIRST:
        present, past, order = "true", "withdrawn_at is null or superseded_at > withdrawn_at", "asc"
    else:
        assert isinstance(as_of, datetime)
        instant = f"timestamptz '{as_of.isoformat()}'"
        present, order = f"collected_at <= {instant}", "desc"
        past = f"collected_at <= {instant} and superseded_at > {instant}"
    return f"""
        with stored as (select {columns} from {rows}),
        marked as (
            select r.*, superseded_by = 0 and not exists (
                       from stored w
                       where {same} and w.request_id = 0 and w.collected_at = r.superseded_at) as withdrawn
            from {revisions} r),
        superseded as (
            select *, max(superseded_at) filter (withdrawn) over (partition by {key}) as withdrawn_at from marked),
        present as (select {columns} from stored where {present}),
        past as (select {columns} from superseded where {past}),
        contested as (
            select * from past
            union all
            select * from present semi join past using ({key}))
        select {columns} from present anti join past using ({key})
        union all
        select {columns} from contested
        qualify row_number() over (partition by {key} order by collected_at {order}, request_id {order}) = 1"""
