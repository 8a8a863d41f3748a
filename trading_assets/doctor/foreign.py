"""Files whose name is none of the lake: copies that a synchronisation tool or a person left beside the data.

The platform does not read them; other tools that read a whole folder do, and count rows twice. A row that only such a
file has may be the lake's own, of a period file that was renamed: it is merged where the journal knows its request.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from trading_assets.backup.databases import reading
from trading_assets.doctor.findings import Finding, set_aside
from trading_assets.errors import UnreadableFile
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.coverage import never_weaker
from trading_assets.repositories.files import dataset_files, read_file
from trading_assets.repositories.merge import later_answer_wins
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset
from trading_assets.repositories.store import ParquetStore
from trading_assets.settings import Settings
from trading_assets.state.pin import lake
from trading_assets.state.tables import requests


def foreign_file(settings: Settings, dataset: Dataset, path: Path) -> Finding:
    """The finding for a file that lies among those of the dataset and is none of them."""
    name = path.relative_to(settings.data_dir).as_posix()
    own = _only_there(settings.data_dir, dataset, path)
    mergeable = own is not None and own.num_rows > 0 and dataset.name in DATASETS and _known(settings, own)
    if own is None:
        lost = "Nothing: it is no readable file of the dataset."
    elif not own.num_rows:
        lost = "Nothing: all rows in it are in the files of the lake too. The lake does not read it."
    else:
        lost = f"Nothing yet: {counted(own.num_rows, 'row')} in it are in no other file."
    does = "merges those rows and sets the file aside" if mergeable else "sets the file aside; nothing is deleted"
    if own is not None and own.num_rows and not mergeable:
        does += "; the journal does not know the requests of those rows, so they are not merged"

    def mend() -> str:
        merged = ""
        if mergeable and own is not None:  # before the file goes: killed in between, they are merged again
            wins = never_weaker if dataset is COVERAGE else later_answer_wins
            counts = ParquetStore(settings.data_dir).upsert(dataset, own, wins=wins)
            merged = f"{counted(counts.inserted + counts.updated, 'row')} merged. "
        aside = set_aside(settings.data_dir, path)
        return f"{merged}Set aside: {aside}."

    return Finding("foreign_name", name, lost, f"trading-assets doctor --fix {does}.", mend)


def foreign_copy(settings: Settings, path: Path) -> Finding:
    """The finding for a copy of another file or folder of the platform (`foreign_files.foreign_beside`)."""
    name = path.relative_to(settings.data_dir).as_posix()

    def mend() -> str:
        return f"Set aside: {set_aside(settings.data_dir, path)}."

    lost = "Nothing: the platform opens what has no addition to its name, and never this copy."
    remedy = (
        "Let no synchronisation tool write into the data folder: one of two changes is lost. trading-assets doctor"
        " --fix sets the copy aside; nothing is deleted."
    )
    return Finding("foreign_name", name, lost, remedy, mend)


def _only_there(data_dir: Path, dataset: Dataset, path: Path) -> pa.Table | None:
    """The rows whose key no other file has; None where the file cannot be read."""
    try:
        mine = read_file(path, dataset).cast(dataset.schema)
    except (UnreadableFile, FileNotFoundError):
        return None
    keys = list(dataset.key)
    for other in dataset_files(data_dir, dataset):
        if other == path or not mine.num_rows:
            continue
        try:
            theirs = read_file(other, dataset, keys).cast(pa.schema([dataset.schema.field(key) for key in keys]))
        except (UnreadableFile, FileNotFoundError):
            continue
        mine = mine.join(theirs, keys, join_type="left anti")
    return mine.select(dataset.schema.names).cast(dataset.schema)


def _known(settings: Settings, rows: pa.Table) -> bool:
    """Whether the state database knows the request of each row, as one for the row's symbol."""
    pairs = set(zip(rows["request_id"].to_pylist(), rows["symbol"].to_pylist(), strict=True))
    try:
        with reading(str(settings.state_url), untouched=True) as state:
            above = state.execute(sa.select(sa.func.max(lake.c.ids_above))).scalar_one_or_none() or 0
            known = {row.id: row.symbol for row in state.execute(sa.select(requests.c.id, requests.c.symbol))}
    except (sa.exc.SQLAlchemyError, OSError):
        return False
    # rows of a closed series have the symbol with the contract's id
    return all(number <= above or known.get(number) == symbol.partition("@")[0] for number, symbol in pairs)
