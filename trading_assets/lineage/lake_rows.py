"""Rows of the lake and of its revisions, as lineage looks for them: by what they are of, and by request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.requests import ContractDetailsRequest, OptionListingRequest
from trading_assets.errors import InvalidRequest
from trading_assets.lineage.records import RequestRecord
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.restrictions import Restriction, restricted
from trading_assets.repositories.rows import read_rows
from trading_assets.repositories.schemas import COVERAGE, DATASETS, OPTION_BARS, Dataset

CURRENT, SUPERSEDED, WITHDRAWN = "current", "superseded", "withdrawn"


@dataclass(frozen=True, slots=True)
class Found:
    """A row: its dataset, whether it is `current`, `superseded` or `withdrawn`, and its values by column.

    Of a brief reading it stands for `count` rows, and has only the columns that say where these come from.
    """

    dataset: str
    standing: str
    row: Mapping[str, Any]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: of a symbol, session, contract (id or local symbol) and bar size; None does not restrict. Of coverage
    also the dataset that it is about."""

    symbol: str | None = None
    session: date | None = None
    contract: int | str | None = None
    bar_size: str | None = None
    about: str | None = None

    def restriction(self, dataset: Dataset) -> Restriction:
        """The condition on the rows of a dataset. Raises `InvalidRequest` for what its rows do not have."""
        names = dataset.schema.names
        for given, column in ((self.contract, "con_id"), (self.bar_size, "bar_size"), (self.about, "dataset")):
            if given is not None and column not in names:
                raise InvalidRequest(f"Rows of {dataset.name} have no {column}: leave the restriction out.")
        con_id, text = _contract(self.contract)
        if text and "local_symbol" not in names:
            raise InvalidRequest(f"Rows of {dataset.name} are found by contract id: give the number, not {text!r}.")
        found = restricted(symbol=self.symbol, con_id=con_id, bar_size=self.bar_size, dataset=self.about)
        # of `GOOG  151224C00750000` nobody types two blanks
        return Restriction(found.values, "replace(local_symbol, ' ', '') = ?", (text,)) if text else found


def find(data_dir: Path, dataset: Dataset, wanted: Wanted, *, brief: bool = False) -> list[Found]:
    """The rows, current ones first, each in the dataset's order. Raises `UnreadableFile`."""
    reading = _Reading(data_dir, dataset, wanted.restriction(dataset), wanted.session, wanted.session, wanted.about)
    return list(reading.rows(brief))


def naming(data_dir: Path, dataset: Dataset, request_id: int) -> list[Found]:
    """The rows of a dataset and of its revisions that name a request. Raises `UnreadableFile`."""
    return list(_Reading(data_dir, dataset, restricted(request_id=request_id)).rows())


def of_requests(data_dir: Path, requests: Sequence[RequestRecord], *, brief: bool = False) -> list[Found]:
    """The rows that name one of the requests: of the datasets that these are for, of coverage, and of the revisions of
    both. Raises `UnreadableFile`."""
    found: list[Found] = []
    for name in sorted({request.dataset for request in requests}):
        mine = [request for request in requests if request.dataset == name]
        ids = sorted(request.id for request in mine)
        # a few ids rule out row groups one by one, many by their range
        several = Restriction(also="request_id between ? and ?", parameters=(ids[0], ids[-1]))
        where = restricted(request_id=ids) if len(ids) <= _FEW else several
        first, last = min(request.first_session for request in mine), _last_session(mine)
        for dataset, about in ((DATASETS[name], None), (COVERAGE, name)):
            reading = _Reading(data_dir, dataset, where, first, last, about, pa.array(ids, pa.int64()))
            found += reading.rows(brief)
    return found


def bars_of(data_dir: Path, rows: Sequence[Mapping[str, Any]], *, daily: bool) -> list[Mapping[str, Any]]:
    """The `1 day` bars of the contracts and sessions of these option bars, or those of less than a day."""
    if not rows:
        return []
    sessions = [row["session"] for row in rows]
    where = restricted(con_id={row["con_id"] for row in rows}, bar_size="1 day" if daily else None)
    found = read_rows(data_dir, OPTION_BARS, where, first=min(sessions), last=max(sessions)).to_pylist()
    keys = {(row["con_id"], row["session"]) for row in rows}
    return [row for row in found if (row["bar_size"] == "1 day") is daily and (row["con_id"], row["session"]) in keys]


_FEW = 64
"""Requests up to which each is looked for by itself."""

_ORIGIN = ("dataset", "session", "symbol", "con_id", "bar_size", "quote_outcome", "condition", "stream_id")
_ORIGIN_TOO = ("reason", "collected_at", "request_id", "superseded_at", "superseded_by")
"""The columns that say where a row comes from."""


@dataclass(frozen=True)
class _Reading:
    """One reading of a dataset and of its revisions; of coverage, of rows that are `about` a dataset. With `ids` only
    rows of these requests."""

    data_dir: Path
    dataset: Dataset
    where: Restriction
    first: date | None = None
    last: date | None = None
    about: str | None = None
    ids: pa.Array | None = None

    def rows(self, brief: bool = False) -> Iterator[Found]:
        """The rows, current ones first; `brief`: those that come from the same request as one, with their count."""
        current = self._read(self.dataset, brief)
        left = self._read(revisions_of(self.dataset), brief)
        nobody = left.filter(pc.equal(left["superseded_by"], 0))
        # the row of a user, too, takes the place of another without a request
        there = self._taken(nobody) if nobody.num_rows else pa.array([], pa.bool_())
        by_request = left.filter(pc.not_equal(left["superseded_by"], 0))
        for standing, table in (
            (CURRENT, current),
            (SUPERSEDED, by_request),
            (SUPERSEDED, nobody.filter(there)),
            (WITHDRAWN, nobody.filter(pc.invert(there))),
        ):
            yield from self._found(standing, table, brief)

    def _read(self, dataset: Dataset, brief: bool) -> pa.Table:
        wanted = {*_ORIGIN, *_ORIGIN_TOO, *self.dataset.key} if brief else set(dataset.schema.names)
        columns = [name for name in dataset.schema.names if name in wanted]
        variants = [self.about] if self.about is not None else None
        table = read_rows(
            self.data_dir, dataset, self.where, columns=columns, variants=variants, first=self.first, last=self.last
        )
        return table if self.ids is None else table.filter(pc.is_in(table["request_id"], self.ids))

    def _taken(self, left: pa.Table) -> pa.Array:
        """Of each row whether there is one in the lake with its key."""
        symbols, days = pc.unique(left["symbol"]).to_pylist(), left["session"].to_pylist()
        columns = list(self.dataset.key)
        where = restricted(symbol=symbols)
        there = read_rows(
            self.data_dir, self.dataset, where, columns=columns, first=min(days), last=max(days)
        ).to_pylist()
        keys = {tuple(row[name] for name in columns) for row in there}
        return pa.array(
            [tuple(row[name] for name in columns) in keys for row in left.select(columns).to_pylist()], pa.bool_()
        )

    def _found(self, standing: str, table: pa.Table, brief: bool) -> Iterator[Found]:
        if not brief:
            yield from (Found(self.dataset.name, standing, row) for row in table.to_pylist())
            return
        columns = [name for name in table.column_names if name in {*_ORIGIN, *_ORIGIN_TOO}]
        table = table.select(columns)
        if "quote_outcome" in columns:
            # a listing brings many contracts
            unquoted = pc.is_null(table["quote_outcome"])
            con_id = pc.if_else(unquoted, 0, table["con_id"])
            table = table.set_column(columns.index("con_id"), "con_id", con_id)
        for row in table.group_by(columns).aggregate([([], "count_all")]).to_pylist():
            count = row.pop("count_all")
            yield Found(self.dataset.name, standing, row, count)


def _last_session(requests: Sequence[RequestRecord]) -> date | None:
    """The last session whose rows can name one of these requests for one dataset; None: any later one can."""
    if any(request.kind == ContractDetailsRequest.kind for request in requests):
        return None
    days = [request.session for request in requests]
    for request in requests:
        if request.kind == OptionListingRequest.kind:  # its contracts are listed until they expire
            days.append(max(request.session, date.fromisoformat(request.last_trade[:8]) + _EXPIRY_AFTER))
    return max(days)


_EXPIRY_AFTER = timedelta(days=7)
"""How much later than the named day contracts of a listing may expire at most."""


def _contract(given: int | str | None) -> tuple[int | None, str]:
    """Contract id, or local symbol without blanks."""
    if given is None:
        return None, ""
    if not isinstance(given, str):
        return given, ""
    text = "".join(given.split()).upper()
    if not text:
        raise InvalidRequest("The contract is empty: give its id, or its local symbol as in 'AAPL 251128C00167500'.")
    return (int(text), "") if text.isdigit() else (None, text)
