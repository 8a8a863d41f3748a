"""Checksums of rows by column, independent of the order of the rows and of how they are spread over files.

Of each column: the sum, modulo 2^64, of a 64-bit hash of every row's key and value. So the sum over the parts of a
dataset is that of the whole, and a value that moved to another row is seen. They are computed from values alone and are
the same on every machine and with every version of Arrow. They detect damage and mistakes, not forgery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

Hashes = npt.NDArray[np.uint64]

_WITH_BITS = (pt.is_floating, pt.is_integer, pt.is_boolean, pt.is_temporal)

_NULL = np.uint64(0x9E3779B97F4A7C15)
"""Stands for null: the hash of no value that is likely to occur."""


def column_checksums(table: pa.Table, key: Sequence[str]) -> dict[str, str]:
    """The checksum of each column, 16 hexadecimal digits; `key` are the columns that name a row."""
    rows = np.zeros(table.num_rows, dtype=np.uint64)
    for name in key:
        rows = _mixed(rows ^ _hashes(table[name]))
    return {name: _hex(_sum(_mixed(rows + _hashes(table[name])))) for name in table.schema.names}


def added(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The checksums of several disjoint sets of rows together; a column that a part lacks counts as without rows
    there."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = (total.get(name, 0) + int(value, 16)) % 2**64
    return {name: f"{value:016x}" for name, value in total.items()}


def _sum(hashes: Hashes) -> int:
    return int(np.sum(hashes, dtype=np.uint64))


def _hex(value: int) -> str:
    return f"{value:016x}"


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64: each bit of the result depends on all bits of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hashes(column: pa.ChunkedArray) -> Hashes:
    """A 64-bit number for each value: its bits, of a text the first of its SHA-256, of anything else those of its text
    in Python."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # of no row
        return np.empty(0, dtype=np.uint64)
    if pt.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    nulls = np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    if pt.is_string(array.type) or pt.is_large_string(array.type):
        found = _text(array)
    elif any(is_kind(array.type) for is_kind in _WITH_BITS):
        found = _bits(array)
    else:  # no column of a dataset, but one that somebody added
        found = _text(pa.array([repr(value) for value in array.to_pylist()], pa.string()))
    return np.where(nulls, _NULL, _mixed(found))


def _bits(array: pa.Array) -> Hashes:
    if pt.is_floating(array.type):
        values = pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        return np.ascontiguousarray(values).view(np.uint64)
    if pt.is_temporal(array.type):
        array = array.cast(pa.int32() if pt.is_date32(array.type) else pa.int64())
    whole = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(whole).view(np.uint64)


def _text(array: pa.Array) -> Hashes:
    encoded = pc.dictionary_encode(pc.fill_null(array, ""))
    digests = [
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") for text in encoded.dictionary.to_pylist()
    ]
    return np.array(digests, dtype=np.uint64)[encoded.indices.to_numpy(zero_copy_only=False)]
