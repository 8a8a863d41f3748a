"""`RecordedMarket`: a folder of recorded data as a `Market`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from trading_assets.simulator.market import Bar, ContractQuery, ListedContract, MarketQuote, OptionParameters
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.catalog import Catalog
from trading_assets.simulator.recorded.chains import ChainQuotes
from trading_assets.simulator.recorded.grid import grid
from trading_assets.simulator.recorded.history import History
from trading_assets.simulator.recorded.listings import Listings
from trading_assets.simulator.recorded.quotes import Quotes
from trading_assets.simulator.recorded.replay import Replay

_SEARCH_RESULTS = 16
"""The broker answers a symbol search with at most 16 matches (broker documentation, `reqMatchingSymbols`)."""

_KEPT_LISTINGS = 16
"""Listings kept in memory; a server at a pinned time needs one an underlying."""

_OPTION_EXCHANGES = ("SMART", "CBOE")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The contracts of one underlying that are listed at an instant, also by last trading day; open-interest totals by
    session."""

    contracts: list[ListedContract]
    by_last_trade: dict[str, list[ListedContract]]
    open_interest: dict[int, dict[str, float]] = field(default_factory=dict)


class RecordedMarket:
    """Replays a folder of Parquet files as of a given instant: what a client could have asked for then, and nothing
    later.

    Files and columns are those of the recorded-data README; any may be absent, and are read when first needed. Raises
    `FileNotFoundError` if there is no such folder. Instances may be used by one thread at a time.
    """

    name = "recorded"

    def __init__(self, folder: Path) -> None:
        self._archive = Archive(Path(folder))
        self.identity = self._archive.identity
        self._catalog = Catalog(self._archive)
        self._listings = Listings(self._archive, self._catalog)
        self._history = History(self._archive, self._catalog)
        self._quotes = Quotes(self._archive, self._history, ChainQuotes(self._archive))
        self._replay = Replay(self._archive, self.quote, self._catalog.underlyings.__getitem__)
        self._kept: dict[tuple[str, bytes], _Listing] = {}

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """As `Market.contracts`."""
        if query.con_id:
            contract = self.by_id(query.con_id)
            known = contract is not None and self._is_listed(contract, now, query.include_expired)
            found = [contract] if contract is not None and known else []
        elif query.sec_type == "OPT" or (query.sec_type == "" and query.local_symbol in self._catalog.code_of):
            found = self._options(query, now)
        else:
            symbol = query.symbol or query.local_symbol
            underlying = self._catalog.underlyings.get(symbol)
            found = [underlying] if underlying is not None and self._has_begun(underlying, now) else []
        return [_as_asked(contract, query) for contract in found if _fits(contract, query)]

    def by_id(self, con_id: int) -> ListedContract | None:
        """As `Market.by_id`."""
        return self._catalog.by_id(con_id)

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """As `Market.option_parameters`; one answer an exchange (SMART and CBOE) and trading class."""
        underlying = self._catalog.underlyings.get(symbol)
        if (
            underlying is None
            or (sec_type and sec_type != underlying.sec_type)
            or (con_id and con_id != underlying.con_id)
        ):
            return []
        terms: dict[str, tuple[set[str], set[float]]] = {}
        for contract in self._listing(symbol, now).contracts:
            expirations, strikes = terms.setdefault(contract.trading_class, (set(), set()))
            expirations.add(contract.last_trade)
            strikes.add(contract.strike)
        return [
            OptionParameters(
                exchange, underlying.con_id, trading_class, "100", tuple(sorted(expirations)), tuple(sorted(strikes))
            )
            for exchange in _OPTION_EXCHANGES
            for trading_class, (expirations, strikes) in sorted(terms.items())
        ]

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what_to_show: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        """As `Market.bars`. Nothing of an expired option. `wap` and `count` are not recorded and always -1."""
        if self._expired(contract, now):
            return []
        return self._history.bars(contract, bar_size, what_to_show, start, end, use_rth, now)

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        """As `Market.head_timestamp`."""
        return None if self._expired(contract, now) else self._history.head(contract, what_to_show, use_rth, now)

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        """As `Market.quote`; an empty quote for an option that has expired or is not listed yet."""
        if contract.sec_type != "OPT":
            listing, session = self._listing(contract.symbol, now), grid().current(now.timestamp())
            if session not in listing.open_interest:
                listing.open_interest[session] = self._quotes.open_interest_totals(listing.contracts, session)
            return self._quotes.underlying(contract, now, listing.open_interest[session])
        if not self._is_listed(contract, now):
            return MarketQuote()
        return self._quotes.option(contract, self._catalog.underlyings[contract.symbol], now)

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """As `StreamingMarket.quotes`: where minutes are recorded, the one in progress is replayed moment by moment."""
        return self._replay.quotes(contracts, now)

    def quote_changes(self, after: datetime, until: datetime) -> list[datetime]:
        """As `StreamingMarket.quote_changes`."""
        return self._replay.changes(after, until)

    def five_second_bars(
        self, contract: ListedContract, what_to_show: str, start: datetime, end: datetime, use_rth: bool, now: datetime
    ) -> list[Bar]:
        """As `StreamingMarket.five_second_bars`: together they are the recorded minutes."""
        return self._replay.five_second_bars(contract, what_to_show, start, min(end, now), use_rth)

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        """As `Market.search`, in order of symbol."""
        start = pattern.strip().upper()
        if not start:
            return []
        matches = (
            contract
            for symbol, contract in self._catalog.underlyings.items()
            if symbol.startswith(start) or contract.long_name.upper().startswith(start)
        )
        return [contract for contract in matches if self._has_begun(contract, now)][:_SEARCH_RESULTS]

    def _options(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        if query.local_symbol:
            code = self._catalog.code_of.get(query.local_symbol)
            contract = self._catalog.option(code) if code is not None else None
            return [contract] if contract is not None and self._is_listed(contract, now, query.include_expired) else []
        listing = self._listing(query.symbol, now, query.include_expired)
        return listing.by_last_trade.get(query.last_trade, []) if len(query.last_trade) == 8 else listing.contracts

    def _listing(self, symbol: str, now: datetime, include_expired: bool = False) -> _Listing:
        instant = now.timestamp()
        codes = self._listings.listed(symbol, grid().current(instant), instant, include_expired)
        key = (symbol, codes.tobytes())
        listing = self._kept.get(key)
        if listing is None:
            contracts = [self._catalog.option(code) for code in codes.tolist()]
            by_last_trade: dict[str, list[ListedContract]] = {}
            for contract in contracts:
                by_last_trade.setdefault(contract.last_trade, []).append(contract)
            while len(self._kept) >= _KEPT_LISTINGS:
                self._kept.pop(next(iter(self._kept)))
            listing = self._kept[key] = _Listing(contracts, by_last_trade)
        return listing

    def _is_listed(self, contract: ListedContract, now: datetime, include_expired: bool = False) -> bool:
        if contract.sec_type != "OPT":
            return self._has_begun(contract, now)
        code = self._catalog.code_of.get(contract.local_symbol)
        instant = now.timestamp()
        codes = self._listings.listed(contract.symbol, grid().current(instant), instant, include_expired)
        place = int(np.searchsorted(codes, code)) if code is not None else len(codes)
        return place < len(codes) and int(codes[place]) == code

    def _has_begun(self, underlying: ListedContract, now: datetime) -> bool:
        """Whether any file has something of an underlying at `now`."""
        first = self._listings.first_session(underlying.symbol)
        if first is not None and first <= grid().current(now.timestamp()):
            return True
        return self._history.head(underlying, "TRADES", False, now) is not None

    def _expired(self, contract: ListedContract, now: datetime) -> bool:
        code = self._catalog.code_of.get(contract.local_symbol) if contract.sec_type == "OPT" else None
        return code is not None and int(self._catalog.expired_at[code]) <= now.timestamp()


def _fits(contract: ListedContract, query: ContractQuery) -> bool:
    """Whether a contract has every property that the query gives."""
    exchanges = (*contract.valid_exchanges.split(","), contract.primary_exchange, contract.exchange, "SMART")
    return (
        query.symbol in ("", contract.symbol)
        and query.sec_type in ("", contract.sec_type)
        and contract.last_trade.startswith(query.last_trade)
        and (not query.strike or query.strike == contract.strike)
        and query.right[:1] in ("", "0", "?", contract.right)
        and query.multiplier in ("", contract.multiplier)
        and (not query.exchange or query.exchange in exchanges)
        and query.primary_exchange in ("", contract.primary_exchange, contract.exchange)
        and query.currency in ("", contract.currency)
        and query.local_symbol in ("", contract.local_symbol)
        and query.trading_class in ("", contract.trading_class)
    )


def _as_asked(contract: ListedContract, query: ContractQuery) -> ListedContract:
    """The contract routed to the exchange that was asked for, as the broker answers."""
    if contract.sec_type == "IND" or query.exchange in ("", contract.exchange):
        return contract
    return replace(contract, exchange=query.exchange)
