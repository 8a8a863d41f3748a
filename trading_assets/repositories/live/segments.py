"""Segments: Arrow IPC streams that are appended to, each batch with a checksum.

Any tool reads a whole segment (`pyarrow.ipc.open_stream`). Arrow has no checksums, and after a power failure the end of
a file may be anything; so each batch carries the CRC-32 of its body in its metadata, and a segment ends where the first
batch is incomplete or damaged.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa

from trading_assets.errors import UnreadableFile
from trading_assets.repositories.file_schemas import misfit_of, widened
from trading_assets.repositories.schemas import Dataset

END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""Arrow's mark of the end of a stream."""

_HEAD_BYTES = 2**16
"""More than a schema has."""

_CHECKSUM = re.compile(rb"crc32=([0-9a-f]{8})")


@cache
def head(dataset: Dataset) -> bytes:
    """The bytes a segment begins with: the schema."""
    return bytes(dataset.schema.remove_metadata().serialize())


def message(dataset: Dataset, batch: pa.RecordBatch) -> bytes:
    """The bytes of a batch of the dataset's columns, to be appended to a segment."""
    body = pa.ipc.read_message(batch.serialize()).body
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch, custom_metadata={"checksum": f"crc32={zlib.crc32(body):08x}"})
    return sink.getvalue().to_pybytes()[len(head(dataset)) : -len(END)]


def schema_of(data: pa.Buffer) -> tuple[pa.Schema, int] | None:
    """The schema at the beginning of a segment, and the byte after it; None where it is not complete (yet)."""
    source = pa.BufferReader(data)
    try:
        found = pa.ipc.read_message(source)
        return (pa.ipc.read_schema(found), source.tell()) if found.type == "schema" else None
    except (EOFError, OSError, pa.ArrowException):
        return None


def read_batches(dataset: Dataset, schema: pa.Schema, data: pa.Buffer) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The complete batches in bytes of a segment with that schema, in the dataset's columns, each with the byte after
    it. Nothing after the first one that is incomplete or damaged."""
    source = pa.BufferReader(data)
    while True:
        try:
            found = pa.ipc.read_message(source)
            if found.type != "record batch" or not _intact(found):
                return
            batch = pa.ipc.read_record_batch(found, schema)
        except (EOFError, OSError, pa.ArrowException):
            return
        yield conformed(dataset, batch), source.tell()


def conformed(dataset: Dataset, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in the dataset's columns: one of an earlier version may lack some."""
    wanted = dataset.schema.remove_metadata()
    if batch.schema.equals(wanted):
        return batch
    present = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type) if field.name in present else pa.nulls(batch.num_rows, field.type)
        for field in wanted
    ]
    return pa.record_batch(columns, schema=wanted)


def _intact(found: pa.Message) -> bool:
    checksum = _CHECKSUM.search(found.metadata)
    return checksum is not None and int(checksum[1], 16) == zlib.crc32(found.body)


def read_segment(dataset: Dataset, path: Path, begin: int = 0) -> tuple[list[pa.RecordBatch], int]:
    """The complete batches of a segment from that byte on, and the byte after them. Raises `FileNotFoundError`, and
    `UnreadableFile` for one of another program."""
    with path.open("rb") as file:
        start = schema_of(pa.py_buffer(file.read(_HEAD_BYTES)))
        if start is None:
            return [], begin
        schema, end = start
        if misfit := misfit_of(dataset, schema):
            raise UnreadableFile(path, misfit)
        begin = max(begin, end)
        file.seek(begin)
        # Read and not mapped: a writer that could not write a whole batch cuts its beginning off again.
        data = pa.py_buffer(file.read())
    found = list(read_batches(dataset, schema, data))
    return [batch for batch, _ in found], begin + (found[-1][1] if found else 0)


def with_columns_of(dataset: Dataset, path: Path) -> Dataset:
    """The dataset with the columns that a segment has besides its own. Raises `FileNotFoundError`."""
    with path.open("rb") as file:
        start = schema_of(pa.py_buffer(file.read(_HEAD_BYTES)))
    return dataset if start is None else widened(dataset, (), start[0])
