"""Updates as rows of the live datasets and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset
from trading_assets.streaming.updates import BarUpdate, Gap, GapReason, QuoteUpdate

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_QUOTE_FIELDS = QuoteUpdate._fields
_GAP_FIELDS = Gap._fields
_BAR_FIELDS = tuple(name for name in LIVE_BARS.schema.names if name not in ("collected_at", "request_id"))


def quote_batch(updates: Sequence[QuoteUpdate]) -> pa.RecordBatch:
    """Rows of `live_quotes`, at least one."""
    values = dict(zip(_QUOTE_FIELDS, zip(*updates, strict=True), strict=True))
    return _batch(LIVE_QUOTES, values, values["received_at"])


def bar_batch(updates: Sequence[BarUpdate]) -> pa.RecordBatch:
    """Rows of `live_bars`, at least one."""
    values = {name: [getattr(update, name) for update in updates] for name in _BAR_FIELDS}
    return _batch(LIVE_BARS, values, values["received_at"])


def gap_batch(gaps: Sequence[Gap], now: datetime) -> pa.RecordBatch:
    """Rows of `live_gaps`, at least one, written at that instant."""
    values = dict(zip(_GAP_FIELDS, zip(*gaps, strict=True), strict=True))
    return _batch(LIVE_GAPS, {**values, "reason": [str(gap.reason) for gap in gaps]}, [now] * len(gaps))


def _batch(dataset: Dataset, values: Mapping[str, Sequence[Any]], collected_at: Sequence[datetime]) -> pa.RecordBatch:
    given = {**values, "collected_at": collected_at, "request_id": [0] * len(collected_at)}
    schema = dataset.schema.remove_metadata()
    return pa.record_batch([_array(given[field.name], field.type) for field in schema], schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pt.is_timestamp(kind):  # Arrow's own conversion of instants with a zone takes four times as long
        return pa.array([None if v is None else (v - _EPOCH) // _MICROSECOND for v in values], pa.int64()).view(kind)
    return pa.array(values, kind, from_pandas=pt.is_floating(kind))  # of numbers, NaN is null


def quote_table(updates: Sequence[QuoteUpdate]) -> pa.Table:
    """Rows of `live_quotes`, any number."""
    schema = LIVE_QUOTES.schema.remove_metadata()
    return pa.Table.from_batches([quote_batch(updates)] if updates else [], schema)


def quotes(batch: pa.RecordBatch | pa.Table) -> list[QuoteUpdate]:
    """The updates in rows of `live_quotes`, in their order."""
    return [QuoteUpdate(*row) for row in _tuples(batch, _QUOTE_FIELDS)]


def bars(batch: pa.RecordBatch | pa.Table) -> list[BarUpdate]:
    """The bars in rows of `live_bars`, in their order."""
    return [BarUpdate(*row) for row in _tuples(batch, [field.name for field in fields(BarUpdate)])]


def gaps(batch: pa.RecordBatch | pa.Table) -> list[Gap]:
    """The gaps in rows of `live_gaps`, in their order."""
    found = [Gap(*row) for row in _tuples(batch, _GAP_FIELDS)]
    return [gap._replace(reason=GapReason(gap.reason)) for gap in found]


def _tuples(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> zip[tuple[Any, ...]]:
    return zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    if pt.is_timestamp(column.type):
        numbers = column.cast(pa.int64()).to_pylist()
        return [None if number is None else _EPOCH + timedelta(microseconds=number) for number in numbers]
    return column.to_pylist()
