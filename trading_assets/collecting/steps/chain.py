"""One symbol's chain while it is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome
from trading_assets.broker.payloads import ParameterRecord
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import ChainPlan
from trading_assets.repositories.schemas import OPTION_CHAINS


@dataclass
class Chain:
    """One symbol's chain while it is put together: `table` holds its rows of the session so far, `last` those of its
    last snapshot.

    `parameters` are the broker's of today, `in_part` the last trading days (`YYYYMMDD`) of which only a part may be
    stored, `plan` says what is listed anew (None: the stored listing of the session stands). `lacking` are sentences
    about what the chain will not hold, `code` the broker's code of the first of them; `again_at`: when what its quotes
    lack may be requested again; None: by the next run.
    """

    underlying: Instrument
    last: pa.Table
    parameters: Sequence[ParameterRecord] = ()
    table: pa.Table = field(default_factory=OPTION_CHAINS.schema.empty_table)
    in_part: set[str] = field(default_factory=set)
    plan: ChainPlan | None = None
    selected: set[int] = field(default_factory=set)
    quoted: set[int] = field(default_factory=set)
    lacking: list[str] = field(default_factory=list)
    code: int | None = None
    again_at: datetime | None = None

    def lacks(self, sentence: str, cause: Outcome | None = None) -> None:
        """Note what the chain will not hold, and the outcome that is the cause."""
        self.lacking.append(sentence)
        if self.code is None and cause is not None:
            self.code = cause.code

    @property
    def expiries(self) -> list[str]:
        """The last trading days (`YYYYMMDD`) that are wanted of a chain that is listed."""
        return (
            []
            if self.plan is None
            else sorted([*self.plan.carried, *(request.instrument.last_trade for request in self.plan.listings)])
        )

    @property
    def chosen(self) -> pa.Table:
        """The rows of the selected contracts."""
        return self.table.filter(self.table["selected"])

    def rows(self, con_ids: set[int], *, others: bool = False) -> pa.Table:
        """The rows of these contracts, or of all others."""
        mine = pc.is_in(self.table["con_id"], pa.array(sorted(con_ids), pa.int64()))
        return self.table.filter(pc.invert(mine) if others else mine)
