"""Rows of the lake and of its revisions, as lineage looks for them: by what they are of, and by request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from trading_assets.lineage.records import RequestRecord
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.restrictions import Restriction, restricted
from trading_assets.repositories.rows import read_rows
from trading_assets.repositories.schemas import COVERAGE, DATASETS, EQUITY_BARS, OPTION_BARS, Dataset

CURRENT, SUPERSEDED, WITHDRAWN = "current", "superseded", "withdrawn"


@dataclass(frozen=True, slots=True)
class Found:
    """A row: its dataset, whether it is `current`, `superseded` or `withdrawn`, and its values by column."""

    dataset: str
    standing: str
    row: Mapping[str, Any]


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
        """The condition on the rows of a dataset. Raises `ValueError` for what its rows do not have."""
        names = dataset.schema.names
        for given, column in ((self.contract, "con_id"), (self.bar_size, "bar_size"), (self.about, "dataset")):
            if given is not None and column not in names:
                raise ValueError(f"Rows of {dataset.name} have no {column}: leave the restriction out.")
        con_id, text = _contract(self.contract)
        if text and "local_symbol" not in names:
            raise ValueError(f"Rows of {dataset.name} are found by contract id: give the number, not {text!r}.")
        found = restricted(symbol=self.symbol, con_id=con_id, bar_size=self.bar_size, dataset=self.about)
        # of `GOOG  151224C00750000` nobody types two blanks
        return Restriction(found.values, "replace(local_symbol, ' ', '') = ?", (text,)) if text else found


def find(data_dir: Path, dataset: Dataset, wanted: Wanted) -> list[Found]:
    """The rows, current ones first, each in the dataset's order. Raises `UnreadableFile`."""
    bounds = wanted.session, wanted.session
    return list(_both(data_dir, dataset, wanted.restriction(dataset), *bounds))


def naming(data_dir: Path, dataset: Dataset, request_id: int) -> list[Found]:
    """The rows of a dataset and of its revisions that name a request. Raises `UnreadableFile`."""
    return list(_both(data_dir, dataset, restricted(request_id=request_id), None, None))


def of_requests(data_dir: Path, requests: Sequence[RequestRecord]) -> list[Found]:
    """The rows that name one of the requests: of the datasets that these are for, of coverage, and of the revisions of
    both. Raises `UnreadableFile`."""
    ids = tuple(sorted(request.id for request in requests))
    if not ids:
        return []
    # a few ids rule out row groups one by one, many by their range
    condition = restricted(request_id=ids) if len(ids) <= _FEW else _range(ids)
    known, found = set(ids), []
    for name in sorted({request.dataset for request in requests}):
        mine = [request for request in requests if request.dataset == name]
        first = min(request.first_session for request in mine)
        last = max(request.session for request in mine) if name in (EQUITY_BARS.name, OPTION_BARS.name) else None
        for dataset in (DATASETS[name], COVERAGE):
            found += [
                each
                for each in _both(data_dir, dataset, condition, first, last)
                if each.row["request_id"] in known and each.row.get("dataset", name) == name
            ]
    return found


def finer_bars(data_dir: Path, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The bars of less than a day of the contracts and sessions of these option bars."""
    if not rows:
        return []
    sessions = [row["session"] for row in rows]
    where = restricted(con_id={row["con_id"] for row in rows})
    found = read_rows(data_dir, OPTION_BARS, where, first=min(sessions), last=max(sessions)).to_pylist()
    keys = {(row["con_id"], row["session"]) for row in rows}
    return [row for row in found if row["bar_size"] != "1 day" and (row["con_id"], row["session"]) in keys]


def daily_bars(data_dir: Path, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The `1 day` bars of the contracts and sessions of these option bars."""
    if not rows:
        return []
    sessions = [row["session"] for row in rows]
    where = restricted(con_id={row["con_id"] for row in rows}, bar_size="1 day")
    found = read_rows(data_dir, OPTION_BARS, where, first=min(sessions), last=max(sessions)).to_pylist()
    keys = {(row["con_id"], row["session"]) for row in rows}
    return [row for row in found if (row["con_id"], row["session"]) in keys]


_FEW = 64
"""Requests up to which each is looked for by itself."""


def _range(ids: Sequence[int]) -> Restriction:
    return Restriction(also="request_id between ? and ?", parameters=(ids[0], ids[-1]))


def _both(
    data_dir: Path, dataset: Dataset, where: Restriction, first: date | None, last: date | None
) -> Iterator[Found]:
    for row in read_rows(data_dir, dataset, where, first=first, last=last).to_pylist():
        yield Found(dataset.name, CURRENT, row)
    left = read_rows(data_dir, revisions_of(dataset), where, first=first, last=last).to_pylist()
    # the row of a user, too, takes the place of another without a request
    there = _keys(data_dir, dataset, [row for row in left if not row["superseded_by"]])
    for row in left:
        replaced = row["superseded_by"] or tuple(row[name] for name in dataset.key) in there
        yield Found(dataset.name, SUPERSEDED if replaced else WITHDRAWN, row)


def _keys(data_dir: Path, dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """The keys of the stored rows that may have taken the place of these."""
    if not rows:
        return set()
    where = restricted(symbol={row["symbol"] for row in rows})
    sessions = [row["session"] for row in rows]
    columns = list(dataset.key)
    found = read_rows(data_dir, dataset, where, columns=columns, first=min(sessions), last=max(sessions))
    return {tuple(row[name] for name in columns) for row in found.to_pylist()}


def _contract(given: int | str | None) -> tuple[int | None, str]:
    """Contract id, or local symbol without blanks."""
    if given is None or isinstance(given, int):
        return given, ""
    text = "".join(given.split()).upper()
    if not text:
        raise ValueError("The contract is empty: give its id, or its local symbol as in 'AAPL 251128C00167500'.")
    return (int(text), "") if text.isdigit() else (None, text)
