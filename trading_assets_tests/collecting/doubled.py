"""A market on the eve of an unscheduled close: contracts of the closed day were moved, so that terms appear twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract, MarketQuote


class DoubledTerms(GeneratedMarket):
    """The generated market in which each option of one expiry (`YYYYMMDD`) is listed twice, under two contract ids.

    `moved` has the second contracts met so far, by their ids, each with the first of the two.
    """

    def __init__(self, expiry: str, seed: int = 42) -> None:
        super().__init__(seed)
        self.expiry = expiry
        self.moved: dict[int, tuple[ListedContract, ListedContract]] = {}

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        if query.con_id in self.moved:
            return [self.moved[query.con_id][0]]
        found = super().contracts(query, now)
        if query.con_id:
            return found
        for first in [
            contract for contract in found if contract.sec_type == "OPT" and contract.last_trade == self.expiry
        ]:
            second = replace(first, con_id=first.con_id + 1_000_000_000)
            self.moved[second.con_id] = second, first
            found.append(second)
        return found

    def by_id(self, con_id: int) -> ListedContract | None:
        return self.moved[con_id][0] if con_id in self.moved else super().by_id(con_id)

    def bars(self, contract: ListedContract, *rest: Any) -> Any:
        return super().bars(self._first(contract), *rest)

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        return super().quote(self._first(contract), now)

    def _first(self, contract: ListedContract) -> ListedContract:
        return self.moved[contract.con_id][1] if contract.con_id in self.moved else contract
