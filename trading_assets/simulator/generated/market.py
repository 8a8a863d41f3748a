"""`GeneratedMarket`: the generated market as the simulator's server asks for it.

Here belongs what binds the parts together: finding contracts, choosing series, restating history as of `now`, caches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

import numpy as np

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator.generated.aggregation import Series, columns_for, last_session_of
from trading_assets.simulator.generated.bars import as_bars, restated
from trading_assets.simulator.generated.caches import kept
from trading_assets.simulator.generated.expiries import Expiry, schedule
from trading_assets.simulator.generated.instruments import OptionClass, Underlying, builtin, underlying
from trading_assets.simulator.generated.ladders import Ladder, build_ladder, take_apart
from trading_assets.simulator.generated.matching import fits, named
from trading_assets.simulator.generated.option_series import MidSeries, OptionModel, TradeSeries
from trading_assets.simulator.generated.paths import build_path
from trading_assets.simulator.generated.quotes import Quotes
from trading_assets.simulator.generated.spreads import option_bid_ask, quote_bars, stock_bid_ask
from trading_assets.simulator.generated.stock_series import MinuteCache, StockSeries
from trading_assets.simulator.generated.timeline import PRE_OPEN, REGULAR_OPEN, timeline
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract, MarketQuote, OptionParameters

_KEPT_PATHS = 128
"""Underlyings kept, about 1.3 MB each; another costs some 5 ms."""
_KEPT_LADDERS = 3000
_KEPT_MODELS = 1500
"""Option contracts kept, 10 to 100 kB each; another costs some 0.3 ms."""
_OPTION_EXCHANGES = ("SMART", "CBOE", "AMEX", "ISE")
"""Exchanges for which option parameters are answered, the broker names about twenty."""
_SEARCH_RESULTS = 16
"""Most results of a symbol search (broker documentation, reqMatchingSymbols)."""
_TRADES_BARS = frozenset({"TRADES", "ADJUSTED_LAST"})


class _Named:
    """The underlyings that were named in this process, the built-in ones from the start: ids cannot be taken back to
    the symbols they were made from."""

    def __init__(self) -> None:
        self.by_symbol: dict[str, Underlying] = dict(builtin())
        self.by_con_id = {found.contract.con_id: found for found in self.by_symbol.values()}

    def underlying(self, symbol: str) -> Underlying | None:
        """The underlying of a symbol, named from now on."""
        known = self.by_symbol.get(symbol) or underlying(symbol)
        if known is not None and symbol not in self.by_symbol:
            self.by_con_id.setdefault(known.contract.con_id, known)
            self.by_symbol[symbol] = known
        return known


_named = _Named()


class GeneratedMarket:
    """A market made from a seed: any symbol, the same answers in every process, in any order of questions, at any
    `now`.

    Implements `simulator.market.Market`. An option can be asked about until midnight (New York) after its last trading
    day; then it has expired: `contracts` leaves it out and `bars` has nothing. Adjusted prices are rounded to 4
    decimals, all others are whole cents. Rates are zero. An instance is used from one thread at a time, but for
    `by_id`.
    """

    name = "generated"

    def __init__(self, seed: int = 42) -> None:
        self.seed = seed
        self.identity = str(seed)
        self._sessions = timeline()
        self._minutes: MinuteCache = OrderedDict()
        self._stocks: OrderedDict[str, StockSeries] = OrderedDict()
        self._ladders: OrderedDict[tuple[str, date], Ladder] = OrderedDict()
        self._models: OrderedDict[int, TradeSeries] = OrderedDict()
        self._quotes = Quotes(seed, self._sessions, self._stock, self._option)

    # Contracts

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """Contracts that fit the query and are listed at `now`; see `simulator.market.Market.contracts`."""
        if query.currency not in ("", "USD"):
            return []
        if query.con_id:
            owner = self._underlying(query.symbol) if query.symbol else None
            meant = (c for c in self._meant(query.con_id, owner) if self._is_listed(c, now, query.include_expired))
            return [contract for contract in meant if fits(contract, query)][:1]
        if query.sec_type == "OPT":
            return [contract for contract in self._options(query, now) if fits(contract, query)]
        found = self._underlying(query.symbol or query.local_symbol)
        if found is None or not self._is_listed(found.contract, now, False) or not fits(found.contract, query):
            return []
        return [found.contract]

    def by_id(self, con_id: int) -> ListedContract | None:
        """The contract of an id: of every built-in symbol, and of any other one that was named before in this
        process."""
        return next(self._meant(con_id), None)

    def know(self, symbols: Iterable[str]) -> None:
        """Name symbols, so that contract ids of theirs are known: requests may give the id alone."""
        for symbol in symbols:
            self._underlying(symbol)

    def _meant(self, con_id: int, owner: Underlying | None = None) -> Iterator[ListedContract]:
        """The contracts that an id can mean, those of `owner` only where one is given: made symbols share a small range
        of ids, so an id of one may fit a contract of another that is not listed."""
        known = _named.by_con_id.get(con_id)
        if known is not None and owner in (None, known):
            yield known.contract
        for found in [owner] if owner else list(_named.by_symbol.values()):
            for option_class in found.option_classes:
                parts = take_apart(con_id, option_class)
                if parts is None:
                    continue
                expiry = schedule(option_class.schedule).by_day.get(parts[0])
                ladder = self._ladder(option_class, expiry) if expiry else None
                if ladder is not None and parts[1] < len(ladder.strikes):
                    yield ladder.contract(parts[1], parts[2])

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """Expiries and strikes by exchange and trading class; empty if the underlying does not fit or has no
        options."""
        found = self._underlying(symbol)
        if found is None or sec_type not in ("", found.contract.sec_type) or con_id not in (0, found.contract.con_id):
            return []
        answers = []
        for option_class in found.option_classes:
            days: list[str] = []
            strikes: set[float] = set()
            for ladder, ranks in self._listed(option_class, now, None, False):
                days.append(f"{self._sessions.dates[ladder.expiry.last_trade]:%Y%m%d}")
                strikes.update(ladder.strikes[ranks].tolist())
            if days:
                answers += [
                    OptionParameters(
                        exchange,
                        found.contract.con_id,
                        option_class.name,
                        "100",
                        tuple(sorted(set(days))),
                        tuple(sorted(strikes)),
                    )
                    for exchange in _OPTION_EXCHANGES
                ]
        return answers

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        """Underlyings whose symbol or name begins with the pattern: the well-known ones, then the stock of exactly that
        symbol."""
        wanted = pattern.strip().upper()
        if not wanted:
            return []
        known = [found for found in builtin().values() if found.symbol.startswith(wanted) or named(found, wanted)]
        known.sort(key=lambda found: found.symbol != wanted)
        made = None if wanted in builtin() else self._underlying(wanted)
        names = [*known[: _SEARCH_RESULTS - (made is not None)], *([made] if made else [])]
        return [found.contract for found in names if self._is_listed(found.contract, now, False)]

    # Bars

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
        """Bars that start in [start, end) and have begun at `now`; see `simulator.market.Market.bars`."""
        series: Series
        trades = what_to_show in _TRADES_BARS
        if contract.sec_type == "OPT":
            if what_to_show == "ADJUSTED_LAST" or not self._is_listed(contract, now, False):
                return []
            option = self._option(contract)
            series = option if trades else MidSeries(option.model, option.stock)
            columns = columns_for(series, bar_size, start, end, True, now, self._sessions)
            if not trades:
                columns = quote_bars(
                    columns, what_to_show, lambda values: option_bid_ask(values, option.model.option_class)
                )
        else:
            stock = self._stock(contract.symbol)
            owner = stock.path.underlying
            if owner.is_index and not trades:
                return []
            series = stock
            columns = columns_for(series, bar_size, start, end, use_rth or owner.is_index, now, self._sessions)
            if not trades:
                columns = quote_bars(columns, what_to_show, lambda prices: stock_bid_ask(prices, owner))
            columns = restated(stock, columns, what_to_show, self._sessions.current(now))
        last = last_session_of(columns, bar_size, series, now, self._sessions)
        return as_bars(columns, last, self._sessions, trades)

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        """The start of the oldest bar."""
        if not self._is_listed(contract, now, False):
            return None
        latest = self._sessions.last_opened(now)
        if contract.sec_type != "OPT":
            first = self._stock(contract.symbol).path.first
            regular = use_rth or contract.sec_type == "IND"
            return self._sessions.at(first, REGULAR_OPEN if regular else PRE_OPEN) if first <= latest else None
        model = self._option(contract).model
        rows = np.flatnonzero(model.volume > 0) if what_to_show == "TRADES" else np.zeros(1, dtype=np.int64)
        if not len(rows) or model.first + int(rows[0]) > latest:
            return None
        return self._sessions.opens[model.first + int(rows[0])]

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        """The state at `now`; that of the last close outside regular hours; nothing for a contract that is not
        listed."""
        return self.quotes([contract], now)[0]

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states of several contracts; the options of one underlying are priced at once."""
        return self._quotes.of(contracts, [self._is_listed(contract, now, False) for contract in contracts], now)

    def quote_changes(self, after: datetime, until: datetime) -> list[datetime]:
        """Quotes change all the time: a stream looks at the last instant only."""
        return [until]

    def five_second_bars(
        self, contract: ListedContract, what_to_show: str, start: datetime, end: datetime, use_rth: bool, now: datetime
    ) -> list[Bar]:
        """As `bars` for bars of 5 seconds."""
        return self.bars(contract, "5 secs", what_to_show, start, end, use_rth, now)

    # Events, for tests and examples

    def splits(self, symbol: str) -> list[tuple[date, int]]:
        """All splits of a symbol up to the horizon: the first session with the new price, and the ratio (2: two for
        one)."""
        return [(self._sessions.dates[session], ratio) for session, ratio in self._stock(symbol).path.splits]

    def dividends(self, symbol: str) -> list[tuple[date, float]]:
        """All dividends of a symbol up to the horizon: the ex session, and dollars a share as of that day."""
        return [(self._sessions.dates[session], cents / 100.0) for session, cents in self._stock(symbol).path.dividends]

    def _underlying(self, symbol: str) -> Underlying | None:
        return _named.underlying(symbol)

    def _stock(self, symbol: str) -> StockSeries:
        def build() -> StockSeries:
            found = self._underlying(symbol)
            if found is None:
                raise ValueError(f"The generated market lists no underlying {symbol!r}.")
            return StockSeries(build_path(found, self.seed, self._sessions), self._sessions, self.seed, self._minutes)

        return kept(self._stocks, symbol, build, _KEPT_PATHS)

    def _ladder(self, option_class: OptionClass, expiry: Expiry) -> Ladder:
        def build() -> Ladder:
            return build_ladder(option_class, expiry, self._stock(option_class.symbol).path, self._sessions)

        return kept(self._ladders, (option_class.name, expiry.day), build, _KEPT_LADDERS)

    def _option(self, contract: ListedContract) -> TradeSeries:
        def build() -> TradeSeries:
            option_class, ladder, rank = self._place(contract)
            stock = self._stock(contract.symbol)
            life = int(ladder.begins[rank]), int(ladder.ends[rank])
            return TradeSeries(
                OptionModel(contract, option_class, ladder.expiry, life, stock.path, self._sessions, self.seed), stock
            )

        return kept(self._models, contract.con_id, build, _KEPT_MODELS)

    def _place(self, contract: ListedContract) -> tuple[OptionClass, Ladder, int]:
        """The class, ladder and rank of an option that this market made."""
        found = self._underlying(contract.symbol)
        for option_class in found.option_classes if found else ():
            parts = take_apart(contract.con_id, option_class)
            if option_class.name == contract.trading_class and parts is not None:
                expiry = schedule(option_class.schedule).by_day.get(parts[0])
                if expiry is not None:
                    return option_class, self._ladder(option_class, expiry), parts[1]
        raise ValueError(f"{contract.local_symbol} (id {contract.con_id}) is no contract of the generated market.")

    def _is_listed(self, contract: ListedContract, now: datetime, include_expired: bool) -> bool:
        current = self._sessions.current(now)
        if contract.sec_type != "OPT":
            return self._stock(contract.symbol).path.first <= current
        _, ladder, rank = self._place(contract)
        if ladder.begins[rank] > current:
            return False
        return include_expired or bool(ladder.ends[rank] >= self._today(now))

    def _today(self, now: datetime) -> int:
        """Number of the first session on or after the New York date of `now`: contracts that end before it have
        expired."""
        return self._sessions.on_or_after(now.astimezone(NEW_YORK).date())

    def _listed(
        self, option_class: OptionClass, now: datetime, last_trade: str | None, include_expired: bool
    ) -> Iterator[tuple[Ladder, list[int]]]:
        """Ladders of a class with the ranks listed at `now`, in order of expiry; `last_trade` restricts them (YYYYMMDD
        or YYYYMM)."""
        current, today = self._sessions.current(now), self._today(now)
        for expiry in schedule(option_class.schedule).alive(current, 0 if include_expired else today):
            if last_trade:
                words = (
                    f"{self._sessions.dates[expiry.last_trade]:%Y%m%d}"
                    if len(last_trade) == 8
                    else f"{expiry.day:%Y%m}"
                )
                if words != last_trade:
                    continue
            ladder = self._ladder(option_class, expiry)
            ranks = (
                np.flatnonzero(ladder.begins <= current).tolist()
                if expiry.last_trade < today
                else ladder.ranks(current, today)
            )
            if ranks:
                yield ladder, ranks

    def _options(self, query: ContractQuery, now: datetime) -> Iterator[ListedContract]:
        root = query.local_symbol[:6].strip()
        symbol = query.symbol or next(
            (owner.symbol for owner in list(_named.by_symbol.values()) for c in owner.option_classes if c.name == root),
            root,
        )
        found = self._underlying(symbol)
        for option_class in found.option_classes if found else ():
            if query.trading_class not in ("", option_class.name):
                continue
            for ladder, ranks in self._listed(option_class, now, query.last_trade, query.include_expired):
                if query.local_symbol and f"{ladder.expiry.day:%y%m%d}" != query.local_symbol[6:12]:
                    continue
                for rank in ranks:
                    if query.strike and abs(ladder.strikes[rank] - query.strike) > 1e-6:
                        continue
                    yield ladder.contract(rank, "C")
                    yield ladder.contract(rank, "P")
