"""Mergers: what becomes of the options of a stock that is taken over.

| the merger pays | options of the target, from its `session` on |
| --- | --- |
| cash | settled: unknown to the broker |
| shares, or shares and cash | same con_id, strike and multiplier, in the class `ACQ1` of the acquirer |

A contract of `ACQ1` with strike K delivers r shares and c dollars for each of its units: r options on the acquirer with
strike (K - c) / r. They are priced as that, so put-call parity gives the price of what a contract delivers. Those whose
strike the cash reaches are settled too. Nothing that TWS answers says what a contract delivers.

After a delisting the options trade on under their con_ids; the option parameters of the stock are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

from trading_assets.simulator.corporate_actions.actions import ActionKind, CorporateAction, new_york_day
from trading_assets.simulator.corporate_actions.options import (
    MarketWithAdjustedOptions,
    scaled_bar,
    scaled_quote,
)
from trading_assets.simulator.generated.instruments import OptionClass
from trading_assets.simulator.generated.ladders import Ladder
from trading_assets.simulator.generated.matching import fits
from trading_assets.simulator.generated.option_series import OptionModel, TradeSeries
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract, MarketQuote, OptionParameters

_CONVERTED = "converted"
"""The `category` that marks a contract of a target which is priced on its acquirer; nobody outside sees it."""


class MarketWithMergers(MarketWithAdjustedOptions):
    """A generated market with corporate actions of all kinds, whose options they adjust.

    Raises `ValueError` for another action of a party to a merger.
    """

    def __init__(self, actions: Iterable[CorporateAction], seed: int = 42) -> None:
        super().__init__(actions, seed)
        self._mergers = [action for action in self.actions if action.kind is ActionKind.MERGER]
        parties = [symbol for merger in self._mergers for symbol in (merger.symbol, merger.new_symbol)]
        if bad := sorted(
            action.symbol for action in self.actions if action.symbol in parties and action not in self._mergers
        ):
            raise ValueError(f"{bad[0]} is a party to a merger and can have no other action here.")
        self._converted: dict[int, TradeSeries] = {}

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """Contracts that fit the query: those of a target under its acquirer."""
        if query.con_id:
            alone = ContractQuery(con_id=query.con_id, include_expired=query.include_expired)
            merger, base = self._taken_over(query.con_id, now)
            if merger is None or base is None:
                return super().contracts(query, now)
            return [
                c
                for c in self._after(merger, super().contracts(replace(alone, symbol=base.symbol), now))
                if fits(c, query)
            ]
        if query.sec_type != "OPT" or not query.symbol:
            return super().contracts(query, now)
        done = self._done(now)
        if any(merger.symbol == query.symbol for merger in done):
            return []
        found = super().contracts(query, now)
        wide = replace(query, trading_class="", local_symbol="", strike=0.0)
        for merger in done:
            if merger.new_symbol == query.symbol:
                theirs = super().contracts(replace(wide, symbol=merger.symbol), now)
                found += [c for c in self._after(merger, theirs) if fits(c, query)]
        return found

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """Expiries and strikes of each class, those of targets among their acquirer's."""
        found = super().option_parameters(symbol, sec_type, con_id, now)
        exchanges = list(dict.fromkeys(one.exchange for one in found))
        for merger in self._done(now):
            if not found or merger.new_symbol != symbol:
                continue
            theirs = self.contracts(
                ContractQuery(symbol=symbol, sec_type="OPT", right="C", trading_class=self._class(merger)), now
            )
            days, strikes = sorted({c.last_trade for c in theirs}), sorted({c.strike for c in theirs})
            found += [
                OptionParameters(
                    exchange, found[0].underlying_con_id, self._class(merger), "100", tuple(days), tuple(strikes)
                )
                for exchange in exchanges
                if theirs
            ]
        return found

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
        """Bars; those of a target's option on its own stock until the merger, and on what it delivers from then on."""
        merger, base = self._taken_over(contract.con_id, now) if contract.sec_type == "OPT" else (None, None)
        if merger is None or base is None:
            return super().bars(contract, bar_size, what_to_show, start, end, use_rth, now)
        question = bar_size, what_to_show, start, end, use_rth, now
        before = [bar for bar in super().bars(base, *question) if bar.session < merger.session]
        after = [
            bar for bar in super().bars(self._on_acquirer(merger, base), *question) if bar.session >= merger.session
        ]
        return [*before, *(scaled_bar(bar, merger.shares) for bar in after)]

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states of several contracts at `now`."""
        found = [self._taken_over(c.con_id, now) if c.sec_type == "OPT" else (None, None) for c in contracts]
        asked = [
            contract if merger is None or base is None else self._on_acquirer(merger, base)
            for contract, (merger, base) in zip(contracts, found, strict=True)
        ]
        return [
            quote if merger is None else scaled_quote(quote, merger.shares)
            for (merger, _), quote in zip(found, super().quotes(asked, now), strict=True)
        ]

    # Contracts of a target

    def _done(self, now: datetime) -> list[CorporateAction]:
        return [merger for merger in self._mergers if merger.has_happened(new_york_day(now))]

    def _class(self, merger: CorporateAction) -> str:
        """The class of the target's contracts: the acquirer's with the number of its mergers until then."""
        earlier = [
            one for one in self._mergers if one.new_symbol == merger.new_symbol and one.session <= merger.session
        ]
        return f"{merger.new_symbol.replace(' ', '')}{earlier.index(merger) + 1}"

    def _taken_over(self, con_id: int, now: datetime) -> tuple[CorporateAction | None, ListedContract | None]:
        """The merger whose target's option has this id, and the option as it was; None for other ids."""
        for merger in self._done(now):
            for base in self._meant(con_id, self._underlying(merger.symbol)):
                if base.sec_type == "OPT":
                    return merger, base
        return None, None

    def _after(self, merger: CorporateAction, options: Iterable[ListedContract]) -> list[ListedContract]:
        """What has become of a target's options; nothing of those that were settled."""
        acquirer = self._underlying(merger.new_symbol) if merger.new_symbol else None
        if acquirer is None:
            return []
        name, under = self._class(merger), acquirer.contract
        return [
            replace(
                option, symbol=under.symbol, long_name=under.long_name, industry=under.industry,
                category=under.category, subcategory=under.subcategory, under_con_id=under.con_id,
                trading_class=name, market_name=name, local_symbol=f"{name:<6}{option.local_symbol[6:]}",
            )
            for option in options
            if option.strike > merger.cash and self._begins(option) < merger.session
        ]  # fmt: skip

    def _begins(self, option: ListedContract) -> date:
        _, ladder, rank = super()._place(option)
        return self._sessions.dates[int(ladder.begins[rank])]

    def _on_acquirer(self, merger: CorporateAction, base: ListedContract) -> ListedContract:
        """The option on the acquirer that a unit of a target's contract is `shares` of."""
        strike = (base.strike - merger.cash) / merger.shares
        return replace(base, symbol=merger.new_symbol, strike=strike, category=_CONVERTED)

    def _place(self, contract: ListedContract) -> tuple[OptionClass, Ladder, int]:
        if contract.category != _CONVERTED:
            return super()._place(contract)
        [base] = [
            option
            for merger in self._mergers
            for option in self._meant(contract.con_id, self._underlying(merger.symbol))
            if option.sec_type == "OPT"
        ]
        return super()._place(base)

    def _option(self, contract: ListedContract) -> TradeSeries:
        if contract.category != _CONVERTED:
            return super()._option(contract)
        if contract.con_id not in self._converted:
            option_class, ladder, rank = self._place(contract)
            stock = self._stock(contract.symbol)
            life = int(ladder.begins[rank]), int(ladder.ends[rank])
            model = OptionModel(contract, option_class, ladder.expiry, life, stock.path, self._sessions, self.seed)
            self._converted[contract.con_id] = TradeSeries(model, stock)
        return self._converted[contract.con_id]
