"""Every instrument of the folder: underlyings, option contracts, their ids and when they expire. Without regard to
`now`.

What is listed at an instant belongs to `listings`.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property

import numpy as np

from trading_assets.simulator.market import ListedContract
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.grid import Ints, grid
from trading_assets.simulator.recorded.instruments import (
    AM_SETTLED,
    Osi,
    assign_ids,
    option_contract,
    option_ids,
    underlying_contract,
)

_DAY = 86_400
_FIRST_DAY = date(1970, 1, 1)


class Catalog:
    """Options are numbered by the place of their OSI symbol in `osis` (sorted): their *code*."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._options: dict[int, ListedContract] = {}

    @cached_property
    def underlyings(self) -> dict[str, ListedContract]:
        """The contract of each symbol that any file holds."""
        archive = self._archive
        symbols = {underlying for underlying, _ in archive.option_classes.values()}
        for table in (archive.equity_daily, archive.equity_hour, archive.equity_minute):
            symbols.update(table.keys)
        ids = assign_ids(symbols)
        return {
            symbol: underlying_contract(symbol, ids[symbol], archive.sec_types.get(symbol, ""))
            for symbol in sorted(symbols)
        }

    @cached_property
    def osis(self) -> list[str]:
        """All OSI symbols, sorted."""
        return sorted(self._archive.option_classes)

    @cached_property
    def code_of(self) -> dict[str, int]:
        """The code of each OSI symbol."""
        return {osi: code for code, osi in enumerate(self.osis)}

    @cached_property
    def symbols(self) -> list[str]:
        """The underlying symbol of each code."""
        return [self._archive.option_classes[osi][0] for osi in self.osis]

    @cached_property
    def _con_ids(self) -> dict[str, int]:
        return option_ids(self.osis)

    @cached_property
    def _code_of_id(self) -> dict[int, int]:
        return {con_id: self.code_of[osi] for osi, con_id in self._con_ids.items()}

    @cached_property
    def _underlying_of_id(self) -> dict[int, ListedContract]:
        return {contract.con_id: contract for contract in self.underlyings.values()}

    @cached_property
    def expiry_days(self) -> Ints:
        """The expiry date of each code, days since 1970-01-01."""
        return np.array([(Osi.parse(osi).expiry - _FIRST_DAY).days for osi in self.osis], dtype=np.int64)

    @cached_property
    def expired_at(self) -> Ints:
        """The instant (epoch seconds) from which each code is expired.

        A contract stays listed until the end of its expiry day in New York, as at the broker: between the close and
        midnight the bars of its last session can still be had. AM-settled classes end at the open of that day.
        """
        sessions = grid()
        result = np.empty(len(self.osis), dtype=np.int64)
        instants: dict[tuple[int, bool], int] = {}
        for code, (osi, day) in enumerate(zip(self.osis, self.expiry_days.tolist(), strict=True)):
            morning = self._archive.option_classes[osi][1] in AM_SETTLED
            if (day, morning) not in instants:
                at = int(np.searchsorted(sessions.days, day, side="right")) - 1
                is_session = sessions.days[at] == day
                ends = int(sessions.midnights[at]) + (day - int(sessions.days[at]) + 1) * _DAY
                instants[day, morning] = int(sessions.opens[at]) if morning and is_session else ends
            result[code] = instants[day, morning]
        return result

    def option(self, code: int) -> ListedContract:
        """The contract of a code."""
        contract = self._options.get(code)
        if contract is None:
            osi = self.osis[code]
            symbol, trading_class = self._archive.option_classes[osi]
            contract = self._options[code] = option_contract(
                osi, self._con_ids[osi], trading_class, self.underlyings[symbol]
            )
        return contract

    def by_id(self, con_id: int) -> ListedContract | None:
        """The contract of an id, listed or not."""
        underlying = self._underlying_of_id.get(con_id)
        if underlying is not None:
            return underlying
        code = self._code_of_id.get(con_id)
        return self.option(code) if code is not None else None
