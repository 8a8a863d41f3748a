"""The record of each distribution in the state database: its parts, whether any of them is still to be submitted, and
which of their runs are to be made again.

What became of the runs is Dagster's to say; here is only what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from hashlib import blake2s
from typing import Any

import sqlalchemy as sa

from trading_assets.distribution.parts import Part, SymbolGroup, Work
from trading_assets.errors import InvalidRequest
from trading_assets.state import metadata
from trading_assets.state.records import StateRecords

distributions_table = sa.Table(
    "distributions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("work", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False, doc="JSON: symbol groups, periods, options"),
    sa.Column("created_at", sa.Text, nullable=False, doc="UTC"),
    sa.Column("submitting", sa.Boolean, nullable=False, doc="whether parts are still to be submitted"),
    sa.Column("repeated", sa.Text, nullable=False, doc="JSON: ids of runs whose parts are to be run again"),
)

Period = tuple[date | None, date | None]


@dataclass(frozen=True)
class Distribution:
    """Work that was split: one part for each group of symbols and period, `options` for all of them.

    `name` follows from all of this: the same work, split in the same way, has the same name. `created_at` is UTC;
    `submitting` and `repeated` as in the table.
    """

    work: Work
    groups: tuple[SymbolGroup, ...]
    periods: tuple[Period, ...]
    options: Mapping[str, Any]
    created_at: datetime
    submitting: bool = True
    repeated: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def name(self) -> str:
        """For instance `greeks-2025-01-02-2025-12-31-3f2a9c`."""
        digest = blake2s(f"{self.work} {self._plan()}".encode(), digest_size=3).hexdigest()
        days = [day.isoformat() for day in (self.periods[0][0], self.periods[-1][1]) if day is not None]
        return "-".join([str(self.work), *days, digest])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts, period by period: what is written to one file comes together, and the oldest first."""
        pairs = [(group, period) for period in self.periods for group in self.groups]
        return tuple(
            Part(number, group.symbols, first, last, group.gateway)
            for number, (group, (first, last)) in enumerate(pairs, 1)
        )

    @property
    def is_made_anew(self) -> bool:
        """Whether the same work may be wanted again when it is done: a validation, or with `refresh`."""
        of_assets = [each for each in self.options.values() if isinstance(each, Mapping)]
        refreshed = any(each.get("refresh") for each in (self.options, *of_assets))
        return self.work is Work.VALIDATION or refreshed

    def _plan(self) -> str:
        groups = [[list(group.symbols), group.gateway] for group in self.groups]
        periods = [[day and day.isoformat() for day in period] for period in self.periods]
        return json.dumps({"groups": groups, "periods": periods, "options": dict(self.options)}, sort_keys=True)


class Distributions(StateRecords):
    """The distributions in the state database at `url`."""

    def add(self, distribution: Distribution) -> bool:
        """Record it, so that its parts are submitted; False when it is there already: nothing is changed then."""
        table = distributions_table
        with self._writing() as connection:
            there = sa.select(table.c.name).where(table.c.name == distribution.name)
            if connection.execute(there).scalar_one_or_none() is not None:
                return False
            connection.execute(
                table.insert().values(
                    name=distribution.name,
                    work=str(distribution.work),
                    plan=distribution._plan(),
                    created_at=distribution.created_at.isoformat(),
                    submitting=True,
                    repeated="[]",
                )
            )
            return True

    def all(self) -> list[Distribution]:
        """Every distribution, the oldest first."""
        table = distributions_table
        return [_distribution(row) for row in self._rows(sa.select(table).order_by(table.c.created_at, table.c.name))]

    def submitting(self) -> list[Distribution]:
        """Those with parts to submit, the oldest first."""
        return [distribution for distribution in self.all() if distribution.submitting]

    def get(self, name: str) -> Distribution:
        """The one of that name. Raises `InvalidRequest`."""
        found = {distribution.name: distribution for distribution in self.all()}
        if name not in found:
            raise InvalidRequest(
                f"There is no distribution {name!r}. See their names with trading-assets distribute status."
            )
        return found[name]

    def repeat(self, name: str, runs: Collection[str]) -> None:
        """Let the parts whose newest run is one of `runs` (Dagster's ids) be submitted again."""
        table = distributions_table
        with self._writing() as connection:
            row = table.c.name == name
            stored = connection.execute(sa.select(table.c.repeated).where(row)).scalar_one()
            both = json.dumps(sorted({*json.loads(stored), *runs}))
            connection.execute(table.update().where(row).values(repeated=both, submitting=True))

    def stop(self, name: str) -> None:
        """Let no further part be submitted, until `repeat`."""
        table = distributions_table
        with self._writing() as connection:
            connection.execute(table.update().where(table.c.name == name).values(submitting=False))

    def all_submitted(self, seen: Distribution) -> None:
        """Say that each part has its run. What was asked for since it was `seen` stands."""
        table = distributions_table
        same = sa.and_(table.c.name == seen.name, table.c.repeated == json.dumps(sorted(seen.repeated)))
        with self._writing() as connection:
            connection.execute(table.update().where(same).values(submitting=False))


def _distribution(row: sa.Row[Any]) -> Distribution:
    plan = json.loads(row.plan)
    return Distribution(
        Work(row.work),
        tuple(SymbolGroup(tuple(symbols), gateway) for symbols, gateway in plan["groups"]),
        tuple((_day(first), _day(last)) for first, last in plan["periods"]),
        plan["options"],
        datetime.fromisoformat(row.created_at),
        row.submitting,
        frozenset(json.loads(row.repeated)),
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
