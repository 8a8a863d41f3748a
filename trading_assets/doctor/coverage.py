"""Rows without coverage, and coverage without rows.

What is missing of coverage is worked out again from the stored rows and the journal's record of what was asked and how
it ended, with the code that made it first. What neither of them knows stays unknown: it is never invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.doctor.files import readable_files
from trading_assets.doctor.findings import Finding, Kept, Source
from trading_assets.doctor.recorded import rebuilt_coverage
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.conditions_sql import CARRIED_CONTRACT
from trading_assets.repositories.coverage import CoverageRepository
from trading_assets.repositories.files import read_file, variant_folder
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    Condition,
    Dataset,
)
from trading_assets.repositories.store import ParquetStore
from trading_assets.settings import Settings

DATA = (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)

KEY = list(COVERAGE.key)

_DERIVED = "1 day"
"""Bar size of options that is added up from another one and has no coverage of its own."""


def find_coverage_faults(settings: Settings, source: Source | None = None) -> list[Finding]:
    """One finding for each dataset, bar size and symbol whose rows and coverage differ. Nothing is written."""
    recorded = recorded_conditions(settings)
    found: list[Finding] = []
    for dataset in DATA:
        stored = stored_keys(settings, dataset)
        mine = recorded.filter(pc.equal(recorded["dataset"], dataset.name))
        for group in _grouped(stored.join(mine.select(KEY), KEY, join_type="left anti")):
            found.append(_uncovered(settings, dataset, group, source))
        for group in _grouped(_claimed(mine).join(stored, KEY, join_type="left anti")):
            found.append(_gone(settings, dataset, group, source))
    return found


def recorded_conditions(settings: Settings) -> pa.Table:
    """All coverage in files that can be read."""
    parts = [read_file(path, COVERAGE).cast(COVERAGE.schema) for path in readable_files(settings.data_dir, COVERAGE)]
    return pa.concat_tables([COVERAGE.schema.empty_table(), *parts])


def stored_keys(settings: Settings, dataset: Dataset) -> pa.Table:
    """The keys of coverage that the stored rows speak of, each once: `con_id` is 0 but for option bars."""
    schema = pa.schema([COVERAGE.schema.field(name) for name in KEY])
    parts = [schema.empty_table()]
    bars, options = dataset.variant is not None, dataset is OPTION_BARS
    columns = ["symbol", "session", *(["bar_size"] if bars else []), *(["con_id"] if options else [])]
    for path in readable_files(settings.data_dir, dataset):
        rows = read_file(path, dataset, columns).group_by(columns).aggregate([])
        if options:
            rows = rows.filter(pc.not_equal(rows["bar_size"], _DERIVED))
        values = {
            "dataset": pa.repeat(dataset.name, rows.num_rows),
            "bar_size": rows["bar_size"] if bars else pa.repeat("", rows.num_rows),
            "con_id": rows["con_id"] if options else pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows),
            "symbol": rows["symbol"],
            "session": rows["session"],
        }
        parts.append(pa.table([values[name] for name in KEY], names=KEY).cast(schema))
    return pa.concat_tables(parts).group_by(KEY).aggregate([]).select(KEY).cast(schema)


def _claimed(recorded: pa.Table) -> pa.Table:
    """Coverage that says rows are there. Carried contract details have none of their own."""
    carried = CARRIED_CONTRACT.partition("{}")[0]
    complete = pc.equal(recorded["condition"], str(Condition.COMPLETE))
    return recorded.filter(pc.and_(complete, pc.invert(pc.starts_with(recorded["reason"], carried)))).select(KEY)


@dataclass(frozen=True, slots=True)
class _Group:
    """What differs of one bar size and symbol: how many keys, and their sessions in order."""

    bar_size: str
    symbol: str
    keys: int
    sessions: list[date]

    def subject(self, dataset: Dataset) -> str:
        return " ".join(filter(None, (dataset.name, self.bar_size, self.symbol)))

    def words(self, dataset: Dataset) -> str:
        what = "session of contracts" if dataset is OPTION_BARS else "session"
        count = f"{self.keys:,} {what.replace('session', 'sessions', self.keys != 1)}"
        return f"{count} ({self.sessions[0]} to {self.sessions[-1]})"


def _grouped(keys: pa.Table) -> list[_Group]:
    names = ["bar_size", "symbol"]
    table = keys.group_by(names).aggregate([("session", "list")]).sort_by([(name, "ascending") for name in names])
    return [
        _Group(row["bar_size"], row["symbol"], len(row["session_list"]), sorted(set(row["session_list"])))
        for row in table.to_pylist()
    ]


def _kept(settings: Settings, source: Source | None, dataset: Dataset, variant: str, group: _Group) -> list[Kept]:
    """The files of those sessions that the data folder has not, and the backup has."""
    if source is None:
        return []
    period = ParquetStore(settings.data_dir).period(dataset)
    folder = f"{dataset.name}/{variant_folder(variant)}/" if variant else f"{dataset.name}/"
    names = sorted({f"{folder}{period.of(session)}.parquet" for session in group.sessions})
    missing = [name for name in names if not (settings.data_dir / name).exists()]
    return [kept for name in missing if (kept := source.newest(name)) is not None]


def _put_back(settings: Settings, source: Source | None, kept: Sequence[Kept]) -> str:
    """Put files back that are still missing; a sentence."""
    put = source.put_back(settings.data_dir, [entry for _, entry in kept]) if source is not None else []
    named = [f"{entry.path} of snapshot {snapshot.id}" for snapshot, entry in kept if entry in put]
    return f"Put back: {', '.join(named)}." if named else ""


def _uncovered(settings: Settings, dataset: Dataset, group: _Group, source: Source | None) -> Finding:
    kept = _kept(settings, source, COVERAGE, dataset.name, group)

    def mend() -> str:
        said = _put_back(settings, source, kept)
        table = rebuilt_coverage(settings, dataset, group.symbol)
        known = recorded_conditions(settings).select(KEY)
        fresh = table.join(known, KEY, join_type="left anti").select(COVERAGE.schema.names).cast(COVERAGE.schema)
        CoverageRepository(ParquetStore(settings.data_dir)).record(fresh)
        recorded = f"{counted(fresh.num_rows, 'condition')} recorded from the rows and the journal."
        return " ".join(filter(None, (said, recorded if fresh.num_rows else "")))

    return Finding(
        "rows_without_coverage",
        group.subject(dataset),
        f"What is known of {group.words(dataset)}; the rows are there.",
        "trading-assets doctor --fix records it again from the rows and the journal; nothing is requested.",
        mend,
    )


def _gone(settings: Settings, dataset: Dataset, group: _Group, source: Source | None) -> Finding:
    again = {
        CONTRACTS.name: "Without one, the details of the sessions beside answer for it.",
        OPTION_CHAINS.name: "Without one they are lost: the broker gives no chain of a past session.",
    }.get(
        dataset.name,
        f"Without one, trading-assets backfill {group.symbol.partition('@')[0]} --from {group.sessions[0]} --to"
        f" {group.sessions[-1]} requests again what the broker still has; of expired options it has nothing.",
    )
    kept = _kept(settings, source, dataset, group.bar_size, group)
    lost = f"The rows of {group.words(dataset)}, which coverage says were stored."
    if not kept:
        remedy = f"Put them back from a backup: trading-assets doctor --fix --from PATH. {again}"
        return Finding("coverage_without_rows", group.subject(dataset), lost, remedy)
    remedy = f"trading-assets doctor --fix puts back {', '.join(entry.path for _, entry in kept)}."

    def mend() -> str:
        derived = _kept(settings, source, dataset, _DERIVED, group) if dataset is OPTION_BARS else []
        return _put_back(settings, source, [*kept, *derived]) or "Put back with the file of another symbol."

    return Finding("coverage_without_rows", group.subject(dataset), lost, remedy, mend)
