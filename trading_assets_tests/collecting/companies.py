"""A generated market in which companies change their symbols: renamed, delisted, a symbol taken over by another
company."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract, MarketQuote, OptionParameters


class Companies(GeneratedMarket):
    """The generated market under other symbols.

    `held` says which company (its generated symbol) a symbol belongs to now, None: nobody; what is not named belongs to
    itself. A company keeps its contract ids, bars and options whatever its symbol is. Changed by tests while the
    simulator runs.
    """

    def __init__(self, seed: int = 42) -> None:
        super().__init__(seed)
        self.held: dict[str, str | None] = {}
        self.names_by_symbol = False
        """Whether option parameters are answered by the symbol alone, whatever contract id is asked with it."""
        self.unlisted: tuple[str, ...] = ()
        """Expiries (`YYYYMMDD`) that option parameters name and behind which nothing is listed."""

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        if query.con_id:
            known = super().by_id(query.con_id)
            found = super().contracts(ContractQuery(con_id=query.con_id, symbol=known.symbol), now) if known else []
            return [self._shown(contract) for contract in found if self._symbol(contract.symbol) is not None]
        company = self.held.get(query.symbol, query.symbol)
        if company is None or self._symbol(company) != query.symbol:
            return []
        asked = replace(query, symbol=company, trading_class="", local_symbol="")
        return [self._shown(contract) for contract in super().contracts(asked, now)]

    def by_id(self, con_id: int) -> ListedContract | None:
        found = super().by_id(con_id)
        return self._shown(found) if found is not None and self._symbol(found.symbol) is not None else None

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        company = self.held.get(symbol, symbol)
        if company is None or self._symbol(company) != symbol:
            return []
        found = super().option_parameters(company, sec_type, 0 if self.names_by_symbol else con_id, now)
        return [replace(one, expirations=tuple(sorted({*one.expirations, *self.unlisted}))) for one in found]

    def bars(self, contract: ListedContract, *rest: Any) -> Any:
        return super().bars(self._own(contract), *rest)

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        return super().quote(self._own(contract), now)

    def _symbol(self, company: str) -> str | None:
        """The symbol of a company now; None when it has none."""
        taken = [symbol for symbol, holder in self.held.items() if holder == company]
        return taken[0] if taken else None if company in self.held else company

    def _shown(self, contract: ListedContract) -> ListedContract:
        symbol = self._symbol(contract.symbol)
        assert symbol is not None
        if symbol == contract.symbol:
            return contract
        local = contract.local_symbol if contract.sec_type == "OPT" else symbol
        return replace(contract, symbol=symbol, local_symbol=local)

    def _own(self, contract: ListedContract) -> ListedContract:
        found = super().by_id(contract.con_id)
        assert found is not None, "only contracts of this market are asked about"
        return found
