"""Contracts that a corporate action has adjusted: which stay selected, what the selection of their classes goes by, and
how often their expiries were listed lately."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.chain import Chain
from trading_assets.collecting.steps.chain_selection import with_known_open_interest
from trading_assets.planning.option_classes import ClassKey, class_prices, followed_contracts
from trading_assets.planning.selection import select_contracts
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import session_date

_SELECTIONS = """
    with spots as (select symbol, session, median(underlying_price) as spot from option_chains
                   where symbol in (select unnest($symbols::varchar[])) and session between $first and $last
                     and underlying_price > 0
                   group by symbol, session)
    select o.symbol, o.session, o.con_id, o.trading_class, o.multiplier, o.strike, s.spot
    from option_chains o left join spots s using (symbol, session)
    where o.selected and o.symbol in (select unnest($symbols::varchar[])) and o.session between $first and $last
      and o.last_trade >= $day"""


def selected_contracts(
    archive: Archive,
    chains: Mapping[str, tuple[Chain, float | None]],
    session: date,
    rules: SelectionRules,
    report: CollectionReport,
) -> dict[str, set[int]]:
    """The selected contract ids of each symbol's listed chain, given with the price of its underlying.

    The strikes of an adjusted class are held against the price of what it delivers. Contracts that were selected
    before a corporate action changed them stay selected until they expire (`planning.option_classes`).
    """
    listings = {symbol: with_known_open_interest(chain) for symbol, (chain, _) in chains.items()}
    prices = {
        symbol: class_prices(symbol, listings[symbol], chain.last, spot) for symbol, (chain, spot) in chains.items()
    }
    selected = {
        symbol: select_contracts(listings[symbol], spot, session, rules, prices=prices[symbol])
        for symbol, (_, spot) in chains.items()
    }
    changing = [
        symbol for symbol, (chain, _) in chains.items() if prices[symbol] or _drops(chain, selected[symbol], session)
    ]
    history = _selections(archive, changing, session, rules)
    for symbol in changing:
        _, spot = chains[symbol]
        followed = followed_contracts(listings[symbol], history[symbol], prices[symbol], spot)
        selected[symbol] = select_contracts(
            listings[symbol], spot, session, rules, prices=prices[symbol], followed=followed
        )
        if rules.needs_spot:
            report.notes += [_note(symbol, key) for key, price in sorted(prices[symbol].items()) if price is None]
    return selected


def times_listed(archive: Archive, symbol: str, session: date) -> dict[str, int]:
    """On how many days of the re-listing time before the session each expiry of the symbol was listed, by the day
    (`YYYYMMDD`) that the option parameters name."""
    since = session - timedelta(days=archive.settings.relist_days - 1)
    sql = """select distinct coalesce(listed_expiry, last_trade) as day, listed_at from option_chains
             where symbol = $symbol and session between $since and $session and day >= $today"""
    values = {"symbol": symbol, "since": since, "session": session, "today": f"{session:%Y%m%d}"}
    days: dict[str, set[date]] = defaultdict(set)
    for row in archive.lake.query(sql, values).to_pylist():
        days[row["day"]].add(session_date(row["listed_at"]))
    return {expiry: sum(day >= since for day in found) for expiry, found in days.items()}


def _drops(chain: Chain, selected: set[int], session: date) -> bool:
    """Whether the last chain selected a living contract that the rules do not select any more, or selected nothing."""
    last = chain.last
    before = last.filter(pc.and_(last["selected"], pc.greater_equal(last["last_trade"], f"{session:%Y%m%d}")))
    return last.num_rows > 0 and (not before.num_rows or not set(before["con_id"].to_pylist()) <= selected)


def _selections(
    archive: Archive, symbols: Sequence[str], session: date, rules: SelectionRules
) -> dict[str, list[dict[str, Any]]]:
    """The selections before the session of contracts that live on, by symbol."""
    found: dict[str, list[dict[str, Any]]] = {symbol: [] for symbol in symbols}
    if symbols and archive.view(OPTION_CHAINS).stored_sessions(symbols):
        values = {
            "symbols": list(symbols),
            "first": session - timedelta(days=rules.max_days_to_expiry + archive.settings.relist_days),
            "last": session - timedelta(days=1),
            "day": f"{session:%Y%m%d}",
        }
        for row in archive.lake.query(_SELECTIONS, values).to_pylist():
            found[row["symbol"]].append(row)
    return found


def _note(symbol: str, key: ClassKey) -> str:
    trading_class, multiplier = key
    return (
        f"{symbol}: what a contract of class {trading_class} (multiplier {multiplier:g}) delivers is not known, so only"
        " those of its contracts are selected that were followed before the adjustment."
    )
