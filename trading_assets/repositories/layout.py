"""The migration of a lake to the present layout of its folders, at its first opening by a program of this version.

Version 1 named the folder of a variant `bar_size=1_day` and `dataset=equity_bars`. Tools read a column's value from
such a name (and then find no row of `1 day`); version 2 names it `1_day` and `equity_bars`.

Safe under `kill -9` and among processes: `lake.json` first says that a migration has begun, and programs of version 1
refuse the lake from then on; every folder is renamed in one step, under the locks of its files, which a writer of
version 1 may still hold; `lake.json` then says that it is done. Readers and writers of this version look at `lake.json`
first: they wait for a migration that runs, and complete one that was killed. So nobody reads while files move.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path

from trading_assets.repositories.files import TEMPORARY_SUFFIX, locked, sync
from trading_assets.repositories.identity import LAKE_VERSION, LakeIdentity
from trading_assets.repositories.layout_names import is_period_file, is_variant_folder
from trading_assets.repositories.merge import later_answer_wins, revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset

_LOCK = "layout"

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

_settled: set[Path] = set()
"""Data folders that this process has seen in the present layout."""


def settle(data_dir: Path) -> bool:
    """Bring the lake to the present layout, if it is not; whether it is now. Costs one read of `lake.json`, once a
    process.

    False where there is no lake yet, and for an older one that this user may not write: it is read as it is
    (`files.dataset_files` and the views list both kinds of folders). Raises `DamagedIdentity`, `LayoutMismatch` for a
    lake of a newer program, `LakeBusy`.
    """
    root = data_dir.absolute()
    if root in _settled:
        return True
    lake = LakeIdentity(root).held()
    if lake is None:
        return False
    if lake.version < LAKE_VERSION or lake.migrating:
        try:
            migrate(root)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            return False
    _settled.add(root)
    return True


def settle_for_writing(data_dir: Path, dataset: Dataset) -> None:
    """The same, before the dataset is written. Folders of version 1 that came from an old backup since are taken in
    too."""
    root = data_dir.absolute()
    if settle(root) and any(_older_folders(root, kind) for kind in (dataset, revisions_of(dataset))):
        with locked(root, _LOCK):
            _move(root, dataset)


def migrate(root: Path) -> None:
    """Move the folders of an older layout and write down that it is done; nothing where `lake.json` says so already.
    Raises as `settle` does."""
    identity = LakeIdentity(root)
    with locked(root, _LOCK):
        lake = identity.held()
        if lake is None or (lake.version == LAKE_VERSION and not lake.migrating):
            return  # another process has done it while this one waited
        identity.mark_migration(begun=True)
        for dataset in DATASETS.values():
            _move(root, dataset)
        identity.mark_migration(begun=False)


def _older_folders(root: Path, dataset: Dataset) -> list[Path]:
    if dataset.variant is None:
        return []
    folders = (root / dataset.name).glob(f"{dataset.variant}=*")
    return sorted(folder for folder in folders if is_variant_folder(dataset, folder.name))


def _period_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.parquet") if is_period_file(file.name))


def _move(root: Path, dataset: Dataset) -> None:
    """Move the folders of a dataset and of its revisions."""
    for kind in (revisions_of(dataset), dataset):
        older = _older_folders(root, kind)
        for folder in older:
            with ExitStack() as stack:
                for file in _period_files(folder):
                    # The names that writers of version 1 lock, for the revisions too.
                    stack.enter_context(locked(root, f"{dataset.name}/{folder.name}/{file.name}"))
                _move_folder(root, dataset, kind, folder)
        if older:
            sync(root / kind.name)


def _move_folder(root: Path, dataset: Dataset, kind: Dataset, older: Path) -> None:
    folder = older.with_name(older.name.partition("=")[2])
    try:
        os.rename(older, folder)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
    # There are both: the rows of the older one are merged into the files of the present one.
    from trading_assets.repositories.coverage import never_weaker
    from trading_assets.repositories.store import ParquetStore

    store, wins = ParquetStore(root), never_weaker if dataset is COVERAGE else later_answer_wins
    for file in _period_files(older):
        store.absorb(dataset, file, f"{folder.name}/{file.name}", wins, revisions=kind is not dataset)
    for left in older.glob(f".*{TEMPORARY_SUFFIX}*"):
        left.unlink(missing_ok=True)
    if not any(older.iterdir()):
        older.rmdir()
