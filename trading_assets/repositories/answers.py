"""Answers to queries about one dataset, remembered as long as its files stay as they are.

A collection asks the same of the lake again and again (which sessions are stored, the newest contracts); planning and
running a query takes some milliseconds, a look at the files a tenth of one.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.repositories.catalog import query
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.schemas import Dataset

MOST_ANSWERS = 64
LARGEST_ANSWER = 2**20
"""Bytes of rows above which an answer is not kept."""

Mark = tuple[str, int, int, int, int]
"""Path, inode, size and the times of the last change of content and of state of a file: the last cannot be set back."""

_answers: OrderedDict[tuple[Path, str, str], tuple[list[Mark], pa.Table]] = OrderedDict()
_guard = threading.Lock()


def remembered(data_dir: Path, dataset: Dataset, sql: str, parameters: Sequence[Any]) -> pa.Table:
    """What `catalog.query` gives for `sql`, which must name no dataset but this one and no present time. Raises as that
    does."""
    root = Path(data_dir).expanduser().absolute()
    key = (root, sql, repr(parameters))
    before = _marks(root, dataset)
    with _guard:
        known = _answers.get(key)
        if known is not None and known[0] == before:
            _answers.move_to_end(key)
            return known[1]
    found = query(root, sql, parameters, few=True)
    if found.nbytes <= LARGEST_ANSWER and _marks(root, dataset) == before:
        with _guard:
            _answers[key] = before, found
            while len(_answers) > MOST_ANSWERS:
                _answers.popitem(last=False)
    return found


def _begin_anew() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _guard
    _guard = threading.Lock()
    _answers.clear()


os.register_at_fork(after_in_child=_begin_anew)


def _marks(data_dir: Path, dataset: Dataset) -> list[Mark]:
    marks = []
    for path in dataset_files(data_dir, dataset):
        try:
            status = os.stat(path)
        except OSError:
            continue  # removed since its folder was listed, or not to be looked at: the query says which
        marks.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return marks
