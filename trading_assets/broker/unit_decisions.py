"""What the user decided about the units of the broker's bars, and the answers that are held until then.

    answer in another unit --> held (an entry of the quarantine)
        |--accept--> a decision, and the answer is in the journal again: the next run stores it, converted
        +--retry, discard, a later answer--> as any quarantined answer

A decision is about the answers it released and about those that come after the close of its first session, up to its
last one. Later decisions take the place of earlier ones. It names the unit itself: whoever reads an answer, under
whatever setting, comes to the same values. Here belongs the table `unit_decisions` alone: what is held is
found by `collecting.units`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.quarantine import Entry
from trading_assets.broker.requests import BarsRequest
from trading_assets.state import metadata
from trading_assets.state.records import ID, StateRecords
from trading_assets.state.tables import quarantine, requests

unit_decisions = sa.Table(
    "unit_decisions",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False, doc="Empty: every symbol"),
    sa.Column("quantity", sa.Text, nullable=False, doc="volume, price or time"),
    sa.Column("unit", sa.Text, nullable=False, doc="What the answers are in; as_is: as the settings say"),
    sa.Column("volume_setting", sa.Text, nullable=False, doc="stock_volume_unit when the answer was held"),
    sa.Column("first", sa.Text, nullable=False, doc="Session from whose close on answers are in that unit"),
    sa.Column("last", sa.Text, doc="The last such session; null: until decided otherwise"),
    sa.Column("request_ids", sa.Text, nullable=False, doc="JSON list: journal rows of the answers it released"),
    sa.Column("decided_at", sa.Text, nullable=False),
)

EQUITY_BARS = "equity_bars"
"""The dataset whose volumes are in the unit of a setting."""

AS_IS = "as_is"
"""The unit of a decision that the answers are right as they came."""


@dataclass(frozen=True, slots=True)
class UnitDecision:
    """One decision. `symbol` is empty for all; `first` and `last` (None: open) bound the sessions that were closed last
    when an answer came; `request_ids` are the answers that it released, whenever they came. `volume_setting` is the
    setting `stock_volume_unit` of the process that held them: what `AS_IS` means for the volume of stocks."""

    dataset: str
    symbol: str
    quantity: str
    unit: str
    volume_setting: str
    first: date
    last: date | None
    request_ids: tuple[int, ...] = ()


class UnitDecisions(StateRecords):
    """The decisions in the state database at `url`."""

    def all(self) -> list[UnitDecision]:
        """Every decision, in the order in which they were made."""
        return [
            UnitDecision(
                row.dataset,
                row.symbol,
                row.quantity,
                row.unit,
                row.volume_setting,
                date.fromisoformat(row.first),
                date.fromisoformat(row.last) if row.last else None,
                tuple(json.loads(row.request_ids)),
            )
            for row in self._rows(sa.select(unit_decisions).order_by(unit_decisions.c.id))
        ]

    def decide(self, decisions: Iterable[tuple[UnitDecision, Sequence[Entry]]], now: datetime) -> None:
        """Record decisions and put the answers of their entries back into the journal, in one transaction: from there
        the next run stores them, whenever this process is killed."""
        with self._writing() as connection:
            for decision, entries in decisions:
                released = _release(connection, entries)
                values = {name: getattr(decision, name) for name in ("dataset", "symbol", "quantity", "unit")}
                connection.execute(
                    unit_decisions.insert().values(
                        **values,
                        volume_setting=decision.volume_setting,
                        first=decision.first.isoformat(),
                        last=decision.last.isoformat() if decision.last else None,
                        request_ids=json.dumps(released),
                        decided_at=now.astimezone(UTC).isoformat(),
                    )
                )

    def rename(self, symbol: str, new_symbol: str) -> None:
        """The series of a symbol goes on under another one."""
        with self._writing() as connection:
            connection.execute(
                unit_decisions.update().where(unit_decisions.c.symbol == symbol).values(symbol=new_symbol)
            )


@dataclass(frozen=True, slots=True)
class DecidedUnits:
    """What was decided about an answer: the unit of each quantity, and whether one of them is right as it came, so that
    the answer is not judged again."""

    units: Mapping[str, str]
    as_is: bool = False


def units_of(decisions: Sequence[UnitDecision], result: Result, came: date) -> DecidedUnits:
    """What was decided about an answer to a `bars` request, `came` being the session that was closed last when it came.

    A decision that answers are right as they are holds for those it released, and within a range that has an end.
    """
    found: dict[str, str] = {}
    as_is = False
    request = result.request
    if not isinstance(request, BarsRequest):
        return DecidedUnits(found)
    for decision in decisions:
        if decision.dataset != request.dataset or decision.symbol not in ("", request.symbol):
            continue
        later = decision.first <= came and (decision.last is None or came <= decision.last)
        unbounded = decision.unit == AS_IS and decision.last is None
        if result.request_id in decision.request_ids or (later and not unbounded):
            of_stocks = decision.quantity == "volume" and decision.dataset == EQUITY_BARS
            as_is = as_is or decision.unit == AS_IS
            found[decision.quantity] = (
                decision.volume_setting if of_stocks and decision.unit == AS_IS else decision.unit
            )
    return DecidedUnits(found, as_is)


def _release(connection: sa.Connection, entries: Sequence[Entry]) -> list[int]:
    """Give the journal the kept answers back as answers that are not in the lake yet; their entries go."""
    released: list[int] = []
    for entry in entries:
        kept = quarantine.c.id == entry.id, quarantine.c.closed_at.is_(None)
        response = connection.execute(sa.select(quarantine.c.response).where(*kept)).scalar_one_or_none()
        if response is None:
            continue
        connection.execute(
            requests.update()
            .where(requests.c.id == entry.request_id)
            .values(outcome=OutcomeKind.COMPLETE.value, applied_at=None, response=response)
        )
        connection.execute(quarantine.delete().where(*kept))
        released.append(entry.request_id)
    return released
