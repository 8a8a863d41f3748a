"""A dataset as its readers see it: rows of some sessions and symbols, read when they are needed, never the whole
lake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.answers import remembered
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.option_chains import choose_snapshot
from trading_assets.repositories.schemas import Dataset


class DatasetView:
    """The stored rows of one dataset under `data_dir`.

    `sessions` and `columns` are the defaults of the reads: what the IO manager knows an asset needs.
    """

    def __init__(
        self, data_dir: Path, dataset: Dataset, *, sessions: Sequence[date] = (), columns: Sequence[str] | None = None
    ) -> None:
        self.dataset = dataset
        self.sessions = tuple(sessions)
        self.columns = tuple(columns) if columns else tuple(dataset.schema.names)
        self._data_dir = data_dir

    def table(
        self,
        *,
        sessions: Iterable[date] | None = None,
        symbols: Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str = "true",
    ) -> pa.Table:
        """Rows as Arrow, in the dataset's order; `where` is a further SQL condition over its columns."""
        wanted = list(self.sessions if sessions is None else sessions)
        conditions, values = [f"({where})"], []
        if wanted:
            conditions.append("session between ? and ? and session in (select unnest(?))")
            values += [min(wanted), max(wanted), wanted]
        if symbols is not None:
            conditions.append("symbol in (select unnest(?))")
            values.append(list(symbols))
        names = ", ".join(f'"{name}"' for name in columns or self.columns)
        order = ", ".join(f'"{name}"' for name in self.dataset.order)
        query = f'select {names} from "{self.dataset.name}" where {" and ".join(conditions)} order by {order}'
        return remembered(self._data_dir, self.dataset, query, values)

    def stored_sessions(self, symbols: Iterable[str], *, where: str = "true") -> dict[str, list[date]]:
        """The sessions with rows of each symbol, in order; a symbol without rows is absent."""
        if not dataset_files(self._data_dir, self.dataset):
            return {}  # a new lake is asked this ten times in its first collection
        query = f"""select symbol, list(distinct session order by session) as sessions from "{self.dataset.name}"
                    where symbol in (select unnest(?)) and ({where}) group by symbol"""
        rows = remembered(self._data_dir, self.dataset, query, [list(symbols)])
        return dict(zip(rows["symbol"].to_pylist(), rows["sessions"].to_pylist(), strict=True))

    def as_of(
        self, symbols: Iterable[str], session: date, *, columns: Sequence[str] | None = None, where: str = "true"
    ) -> pa.Table:
        """Each symbol's rows of the snapshot that answers for `session` (see `choose_snapshot`)."""
        names = columns or self.columns
        tables = [self.dataset.schema.empty_table().select(list(names))]
        answering: dict[date, list[str]] = {}
        for symbol, stored in self.stored_sessions(symbols, where=where).items():
            found = choose_snapshot(stored, session)
            if found is not None:
                answering.setdefault(found, []).append(symbol)
        for found, group in sorted(answering.items()):
            tables.append(
                self.table(sessions=[found], symbols=group, columns=names, where=where).cast(tables[0].schema)
            )
        return pa.concat_tables(tables)
