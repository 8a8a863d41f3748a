"""The Parquet store: validated upserts into period files, revisions of what changed, reads pushed down to row groups.

Here is the order of the steps that makes a write safe. What a frame must be is in `repositories.frame_checks`, which
rows result is in `repositories.merge`, how a file is replaced is in `repositories.files`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from trading_assets.repositories.file_schemas import padded, widened
from trading_assets.repositories.files import dataset_files, locked, read_file, remove_leftovers, write_file
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.layout import settle, settle_for_writing
from trading_assets.repositories.listed_files import while_listed
from trading_assets.repositories.machines import record_writing
from trading_assets.repositories.merge import (
    Wins,
    add_revisions,
    contiguous,
    later_answer_wins,
    merge,
    revisions_of,
    superseded_rows,
    withdrawn_rows,
)
from trading_assets.repositories.period_locks import periods_held
from trading_assets.repositories.period_split import period_split
from trading_assets.repositories.schemas import Dataset, Period
from trading_assets.repositories.storage import Replaced, storage_of
from trading_assets.repositories.upsert_counts import UpsertCounts as UpsertCounts

READ_ATTEMPTS = 5
"""How often files are listed and read again when one of them is gone meanwhile: it happens at a repartition."""


class ParquetStore:
    """The files of a lake under one data folder. Cheap to make; safe to use from several threads and processes at once.

    `periods` sets the period of a dataset's files where it is not the dataset's own; the first write pins it in
    `lake.json`, and a later write with another one raises `LayoutMismatch`. Without it the lake's own periods hold.
    """

    def __init__(self, data_dir: Path | str, periods: Mapping[str, Period] | None = None) -> None:
        self.data_dir = Path(data_dir)
        self._identity = LakeIdentity(self.data_dir)
        self._periods = dict(periods or {})

    def period(self, dataset: Dataset) -> Period:
        """The period of the dataset's files."""
        return self._periods.get(dataset.name) or self._identity.periods().get(dataset.name, dataset.period)

    def upsert(
        self,
        dataset: Dataset,
        frame: pa.Table | pd.DataFrame,
        *,
        now: datetime | None = None,
        wins: Wins = later_answer_wins,
    ) -> UpsertCounts:
        """Write the rows of `frame` (the dataset's columns), replacing stored rows of the same key.

        The whole frame is validated first (`InvalidFrame`; nothing is written then). With `now`, bars of a session that
        is not closed at that instant are refused. A stored row whose values change moves to the revisions, unless its
        answer is later than the new one: then the new row moves there. An equal row stays as it is, provenance
        included. A file without a change is not rewritten.

        Each file is replaced at once or not at all; a frame of several periods that was interrupted is simply written
        again. Columns that a file has besides the dataset's stay in it, null in new rows. Raises `InvalidFrame`,
        `LayoutMismatch` (`NewerFile` for one of a newer program), `LostIdentity`, `UnreadableFile`, `LakeBusy`.
        """
        table = validated(dataset, frame, now)
        counts = UpsertCounts()
        if not table.num_rows:
            return counts
        settle_for_writing(self.data_dir, dataset)
        with self._writing(dataset):
            period = self.period(dataset)
            self._identity.pin_period(dataset.name, period)
            for relative, part in period_split(dataset, period, table):
                counts += self._upsert_file(dataset, relative, part, wins)
        return counts

    @contextmanager
    def _writing(self, dataset: Dataset) -> Iterator[None]:
        """Write the dataset's files while their periods do not change. A change that was killed is completed first."""
        while True:
            with periods_held(self.data_dir, dataset.name), storage_of(self.data_dir).moment():
                if dataset.name not in self._identity.repartitioning():
                    record_writing(self.data_dir)
                    yield
                    return
            from trading_assets.repositories.repartition import complete  # late: rarely needed

            complete(self.data_dir, dataset)

    def _upsert_file(self, dataset: Dataset, relative: str, new: pa.Table, wins: Wins) -> UpsertCounts:
        path, name = self.data_dir / dataset.name / relative, f"{dataset.name}/{relative}"
        unanswered: list[UpsertCounts] = []

        def change() -> UpsertCounts:
            remove_leftovers(path)
            kind = widened(dataset, [path])
            merged = merge(kind, self._stored(kind, path), padded(new, kind), wins)
            if len(merged.losers):
                # Revisions first: killed after this, the file holds the old rows, and the replay adds no second copy.
                self._add_revisions(kind, relative, superseded_rows(kind, merged))
            if merged.order is None:  # also where a write without an answer was done
                return unanswered[-1] if unanswered else UpsertCounts(unchanged=merged.unchanged)
            counts = UpsertCounts(merged.inserted, merged.updated, merged.unchanged, [name])
            try:
                write_file(path, kind, merged.rows, merged.order)
            except Replaced as replaced:
                unanswered.extend([] if replaced.certain else [counts])
                raise
            return counts

        with locked(self.data_dir, name):
            return storage_of(self.data_dir).rewritten(name, change)

    def withdraw(
        self,
        dataset: Dataset,
        *,
        where: pads.Expression,
        at: datetime,
        variants: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> int:
        """Take the rows of `where` (among those variants and sessions) out of the dataset; they move to its revisions.
        Returns how many.

        `at` (an instant) becomes their `superseded_at`; no request superseded them, so `superseded_by` is 0. The
        revisions are written first: killed after that, the file still holds the rows, and withdrawing again adds no
        second copy. Raises `LakeBusy`.
        """
        if at.tzinfo is None:
            raise ValueError(f"{at!r} has no time zone: give an instant with a zone, for example in UTC.")
        condition = _between(where, first, last)
        assert condition is not None
        settle_for_writing(self.data_dir, dataset)
        with self._writing(dataset):
            paths = self.files(dataset, variants=variants, first=first, last=last)
            return sum(self._withdraw_from(dataset, path, condition, at) for path in paths)

    def _withdraw_from(self, dataset: Dataset, path: Path, where: pads.Expression, at: datetime) -> int:
        relative = path.relative_to(self.data_dir / dataset.name).as_posix()

        def change() -> int:
            kind = widened(dataset, [path])
            stored = self._stored(kind, path)
            gone = stored.filter(where)
            if not gone.num_rows:
                return 0
            self._add_revisions(kind, relative, withdrawn_rows(kind, gone, at))
            stays = contiguous(stored.filter(~where))
            # Without rows a link keeps a file to name.
            if stays.num_rows or path.is_symlink() or not storage_of(self.data_dir).remove(path):
                write_file(path, kind, stays, np.arange(stays.num_rows))
            return int(gone.num_rows)

        with locked(self.data_dir, f"{dataset.name}/{relative}"):
            return storage_of(self.data_dir).rewritten(f"{dataset.name}/{relative}", change)

    def relabel(self, dataset: Dataset, symbol: str, new_symbol: str) -> int:
        """Give all rows of `symbol`, revisions included, another symbol; nothing else of them changes. Returns how many
        rows of the dataset.

        Where a row of the new symbol has the same key already, the later answer stays and the other one moves to the
        revisions. Each file is replaced at once or not at all; what was interrupted is simply done again. Raises
        `LakeBusy`.
        """
        with self._writing(dataset):
            for path in self.files(revisions_of(dataset)):
                self._relabel_file(dataset, path, symbol, new_symbol, of_revisions=True)
            return sum(self._relabel_file(dataset, path, symbol, new_symbol) for path in self.files(dataset))

    def _relabel_file(
        self, dataset: Dataset, path: Path, symbol: str, new_symbol: str, *, of_revisions: bool = False
    ) -> int:
        named = revisions_of(dataset) if of_revisions else dataset
        relative = path.relative_to(self.data_dir / named.name).as_posix()
        mine = pads.field("symbol") == symbol

        def change() -> int:
            if not read_file(path, named, ["symbol"], mine).num_rows:
                return 0
            kind = widened(named, [path])
            stored = self._stored(kind, path)
            moved, stays = contiguous(stored.filter(mine)), contiguous(stored.filter(~mine))
            names = pa.repeat(pa.scalar(new_symbol, pa.string()), moved.num_rows)
            moved = moved.set_column(moved.schema.get_field_index("symbol"), kind.schema.field("symbol"), names)
            merged = add_revisions(dataset, stays, moved) if of_revisions else merge(kind, stays, moved)
            if len(merged.losers):
                self._add_revisions(kind, relative, superseded_rows(kind, merged))
            if merged.order is None:  # all of them were there already under the new symbol
                write_file(path, kind, stays, np.arange(stays.num_rows))
            else:
                write_file(path, kind, merged.rows, merged.order)
            return int(moved.num_rows)

        with locked(self.data_dir, f"{dataset.name}/{relative}"):
            return storage_of(self.data_dir).rewritten(f"{named.name}/{relative}", change)

    def _add_revisions(self, dataset: Dataset, relative: str, superseded: pa.Table) -> int:
        revisions = revisions_of(dataset)
        path = self.data_dir / revisions.name / relative

        def change() -> int:
            remove_leftovers(path)
            kind = widened(revisions, [path], superseded.schema)
            merged = add_revisions(dataset, self._stored(kind, path), padded(superseded, kind))
            if merged.order is not None:
                write_file(path, kind, merged.rows, merged.order)
            return merged.inserted

        return storage_of(self.data_dir).rewritten(f"{revisions.name}/{relative}", change)

    def add_revisions(self, dataset: Dataset, superseded: pa.Table) -> int:
        """Add rows to the revisions of the dataset, in the columns of `revisions_of(dataset)`; how many were not there.

        Each file is replaced at once or not at all; what was interrupted is simply done again. Raises as `upsert`.
        """
        new = 0
        with self._writing(dataset):
            period = self.period(dataset)
            self._identity.pin_period(dataset.name, period)
            for relative, part in period_split(dataset, period, contiguous(superseded)):
                with locked(self.data_dir, f"{dataset.name}/{relative}"):
                    new += self._add_revisions(dataset, relative, part.cast(revisions_of(dataset).schema))
        return new

    def absorb(self, dataset: Dataset, path: Path, relative: str, wins: Wins, *, revisions: bool) -> None:
        """Merge the rows of the file `path`, which stands in an older folder, into the file `relative` of the dataset,
        and remove it.

        With `revisions` both are files of the dataset's revisions. Killed before the end, it is done again with the
        same result.
        """
        kind = widened(revisions_of(dataset) if revisions else dataset, [path])
        if revisions:
            with locked(self.data_dir, f"{dataset.name}/{relative}"):
                self._add_revisions(dataset, relative, self._stored(kind, path))
        else:
            self._upsert_file(kind, relative, self._stored(kind, path), wins)
        path.unlink()

    @staticmethod
    def _stored(dataset: Dataset, path: Path) -> pa.Table:
        present = path.exists() or path.is_symlink()
        return contiguous(read_file(path, dataset)).cast(dataset.schema) if present else dataset.schema.empty_table()

    def files(
        self,
        dataset: Dataset,
        *,
        variants: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> list[Path]:
        """The dataset's files that may hold rows of those variants (bar sizes) and sessions; no file is opened."""
        settle(self.data_dir)
        return dataset_files(self.data_dir, dataset, variants, first, last)

    def read(
        self,
        dataset: Dataset,
        *,
        columns: Sequence[str] | None = None,
        where: pads.Expression | None = None,
        variants: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pa.Table:
        """Rows of the sessions `first` to `last` (both included), file after file, each in the dataset's order.

        Files of other periods and variants are not opened; row groups are pruned by `where`. Each file is read as it
        was at one moment, also while another process replaces it. Without rows: an empty table of the same columns.
        Raises `UnreadableFile`.
        """
        where = _between(where, first, last)
        names = list(columns) if columns is not None else dataset.schema.names
        empty = pa.schema([dataset.schema.field(name) for name in names]).empty_table()

        def parts_of_files() -> list[pa.Table]:
            paths = self.files(dataset, variants=variants, first=first, last=last)
            return [read_file(path, dataset, names, where) for path in paths]

        parts = while_listed(parts_of_files, READ_ATTEMPTS)  # files may be given other periods since they were listed
        return pa.concat_tables([empty, *(part.cast(empty.schema) for part in parts)])

    def read_one(
        self,
        dataset: Dataset,
        path: Path,
        *,
        where: pads.Expression | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pa.Table:
        """Rows of one of the `files`. Raises `UnreadableFile`."""
        return read_file(path, dataset, None, _between(where, first, last))

    def read_revisions(
        self,
        dataset: Dataset,
        *,
        where: pads.Expression | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pa.Table:
        """Superseded rows of the dataset, with `superseded_at` and `superseded_by`."""
        return self.read(revisions_of(dataset), where=where, first=first, last=last)


def _between(where: pads.Expression | None, first: date | None, last: date | None) -> pads.Expression | None:
    bounds = [pads.field("session") >= pa.scalar(first)] if first else []
    bounds += [pads.field("session") <= pa.scalar(last)] if last else []
    for bound in bounds:
        where = bound if where is None else where & bound
    return where
