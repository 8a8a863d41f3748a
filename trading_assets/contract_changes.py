"""Symbols that the broker answers with another contract than their series has, and what the user decided, in the state
database.

While a change is open nothing is collected for its symbol. Noticing a change and carrying a decision out is the part of
`collecting.identity`; that the series has another contract follows from the lake, so a lost state database loses no
more than the question, which the next contract details ask again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from trading_assets.broker.payloads import ContractRecord
from trading_assets.remedies import typed
from trading_assets.state import metadata
from trading_assets.state.records import ID, StateRecords

contract_changes_table = sa.Table(
    "contract_changes",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("old_con_id", sa.BigInteger, nullable=False),
    sa.Column("new_con_id", sa.BigInteger, nullable=False),
    sa.Column("old_contract", sa.Text, nullable=False, doc="The contract of the series in words"),
    sa.Column("new_contract", sa.Text, nullable=False, doc="The broker's contract in words"),
    sa.Column(
        "record", sa.Text, nullable=False, doc="JSON of the broker's ContractRecord; null where only its id is known"
    ),
    sa.Column("request_id", sa.BigInteger, nullable=False, doc="Journal row of the answer"),
    sa.Column("session", sa.Text, nullable=False, doc="Session in which the details were asked last; empty: not yet"),
    sa.Column("found_at", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False, doc="Empty while open"),
    sa.Column("done_at", sa.Text, doc="When the decision was carried out, or the change was gone by itself"),
)


class Decision(StrEnum):
    """What the user says of a change."""

    SAME = "same"
    """The same company under a new contract: the series goes on."""
    NEW = "new"
    """Another company: the series is closed and a new one begins."""


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One change: the series has `old_con_id`, the broker answers `new_con_id`. `old_contract` and `new_contract` are
    the two in words.

    `record` is the broker's contract (None: only its id is known so far); `decision` is None while the user has not
    decided.
    """

    id: int
    symbol: str
    old_con_id: int
    new_con_id: int
    old_contract: str
    new_contract: str
    record: ContractRecord | None
    request_id: int
    session: date | None
    found_at: datetime
    decision: Decision | None

    @property
    def reason(self) -> str:
        """What happened, as a sentence."""
        return f"The series of {self.symbol} is of {self.old_contract}; the broker now answers {self.new_contract}."

    @property
    def held(self) -> str:
        """What happened and why nothing was asked, for the steps that are held back."""
        return (
            f"{self.reason} Nothing was asked for it: decide with `trading-assets universe resolve {typed(self.symbol)}"
            " --same` or `--new`."
        )

    @property
    def remedy(self) -> str:
        """What to do, as a sentence."""
        return (
            "Nothing is collected for it until you decide, and what expires meanwhile is lost: `trading-assets"
            f" universe resolve {self.symbol} --same` continues the series (the same company under a new contract),"
            " `--new` closes it and begins a new one (another company holds the symbol now)."
        )


class ContractChanges(StateRecords):
    """The changes in the state database at `url`."""

    def unfinished(self, symbols: Collection[str] | None = None) -> dict[str, ContractChange]:
        """Changes that hold their symbol back, by symbol: open ones, and those whose decision was not carried out to
        its end."""
        query = sa.select(contract_changes_table).where(contract_changes_table.c.done_at.is_(None))
        rows = self._rows(query.order_by(contract_changes_table.c.symbol))
        return {row.symbol: _change(row) for row in rows if symbols is None or row.symbol in symbols}

    def record(
        self,
        symbol: str,
        *,
        old: tuple[int, str],
        new: tuple[int, str],
        now: datetime,
        record: ContractRecord | None = None,
        request_id: int = 0,
        session: date | None = None,
    ) -> None:
        """Record a change (`old` and `new`: contract id and words), in the place of an open one of the symbol; a
        decided one stays."""
        values: dict[str, Any] = {
            "old_con_id": old[0],
            "old_contract": old[1],
            "new_con_id": new[0],
            "new_contract": new[1],
            "record": json.dumps(record),
            "request_id": request_id,
            "session": session.isoformat() if session else "",
        }
        found_at = now.astimezone(UTC).isoformat()
        with self._writing() as connection:
            known = connection.execute(sa.select(contract_changes_table).where(_unfinished(symbol))).first()
            if known is None:
                connection.execute(
                    contract_changes_table.insert().values(symbol=symbol, found_at=found_at, decision="", **values)
                )
            elif not known.decision:
                connection.execute(
                    contract_changes_table.update().where(contract_changes_table.c.id == known.id).values(**values)
                )

    def decide(self, symbol: str, decision: Decision) -> ContractChange:
        """Record the user's decision. Raises `ValueError` without an open change, or with one that was decided
        otherwise."""
        with self._writing() as connection:
            row = connection.execute(sa.select(contract_changes_table).where(_unfinished(symbol))).first()
            if row is None:
                raise ValueError(
                    f"{symbol} has no contract change to decide: its series and the broker's contract are the same, as"
                    " far as is known."
                )
            if row.decision not in ("", decision.value):
                raise ValueError(
                    f"{symbol} was decided as `{row.decision}` already, and that was not carried out to its end: decide"
                    " the same again."
                )
            connection.execute(
                contract_changes_table.update()
                .where(contract_changes_table.c.id == row.id)
                .values(decision=decision.value)
            )
            return _change(row, decision)

    def denied(self, symbol: str, new_con_id: int) -> bool:
        """Whether a change to that contract was found before and went by itself: the contract details named the series'
        own contract."""
        table = contract_changes_table
        gone = (
            table.c.symbol == symbol,
            table.c.new_con_id == new_con_id,
            table.c.decision == "",
            table.c.done_at.is_not(None),
        )
        return bool(self._rows(sa.select(table.c.id).where(*gone).limit(1)))

    def finish(self, symbols: Collection[str], now: datetime) -> None:
        """The changes of these symbols hold nothing back any more: their decision is carried out, or the broker answers
        the old contract again."""
        table = contract_changes_table
        with self._writing() as connection:
            open_rows = table.update().where(table.c.symbol.in_(list(symbols)), table.c.done_at.is_(None))
            connection.execute(open_rows.values(done_at=now.astimezone(UTC).isoformat()))


def _unfinished(symbol: str) -> sa.ColumnElement[bool]:
    return (contract_changes_table.c.symbol == symbol) & contract_changes_table.c.done_at.is_(None)


def _change(row: sa.Row[Any], decision: Decision | None = None) -> ContractChange:
    return ContractChange(
        row.id,
        row.symbol,
        row.old_con_id,
        row.new_con_id,
        row.old_contract,
        row.new_contract,
        json.loads(row.record),
        row.request_id,
        date.fromisoformat(row.session) if row.session else None,
        datetime.fromisoformat(row.found_at),
        decision or (Decision(row.decision) if row.decision else None),
    )
