"""Quotes that a recorder streams: they are taken from the live store in place of being requested.

Such a row of `option_chains` names no request (`request_id` 0). Its `quoted_at` is the `received_at` of the row of
`live_quotes` that it is taken from; lineage finds the stream by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from trading_assets.broker.quotes import DELAYED_TYPES
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.chains import lacks, with_streamed
from trading_assets.collecting.decode.contracts import middle_or
from trading_assets.collecting.examine.quotes import examine_quote
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.chain import Chain
from trading_assets.state import read_state
from trading_assets.streaming.registry import recorder_state
from trading_assets.streaming.store import latest_quotes
from trading_assets.streaming.updates import QuoteUpdate

FRESH = timedelta(seconds=60)
"""How old the newest update of a contract may be that is not requested, unless a recorder says that it sees it now."""

QUIET = timedelta(minutes=5)
"""How old it may be then. A chain takes minutes, and of quotes more than 15 minutes apart `option_greeks` calls the
earlier ones stale: what has been quiet for longer is requested."""

_LIVE = 1


def take_streamed(archive: Archive, chains: Iterable[Chain], session: date, report: CollectionReport) -> None:
    """Put the quotes of selected contracts that are streamed into the chains, and count these contracts as quoted.

    A quote that lacks a value which it should hold, or holds an impossible one, is requested as usual, and so is one
    that came before the row of the contract that the lake has of this session: the later row would stay.
    """
    wanted = {con_id for chain in chains for con_id in chain.selected - chain.quoted}
    found = _fresh(archive, wanted, session)
    for chain in chains if found else ():
        mine = {con_id: _values(found[con_id]) for con_id in chain.selected - chain.quoted if con_id in found}
        known = chain.rows(set(mine)).select(["con_id", "open_interest"]).to_pylist()
        for row in known:  # of this session: a listing that is carried on has none
            mine[row["con_id"]]["open_interest"] = mine[row["con_id"]]["open_interest"] or row["open_interest"]
        listed, stored = {row["con_id"] for row in known}, _collected(chain, session)
        whole = {
            con_id: quote
            for con_id, quote in mine.items()
            if con_id in listed and _is_usable(quote) and quote["quoted_at"] >= stored.get(con_id, quote["quoted_at"])
        }
        if whole:
            chain.table = with_streamed(chain.table, whole)
            chain.quoted |= whole.keys()
            report.notes.append(
                f"{chain.underlying.symbol}: {len(whole)} quotes were taken from running streams, not requested."
            )


def streamed_spots(archive: Archive, chains: Iterable[Chain], session: date) -> dict[str, float]:
    """The prices of the underlyings that are streamed, by symbol. A trade of before the session's open is none."""
    underlyings = [chain.underlying for chain in chains]
    found = _fresh(archive, {underlying.con_id for underlying in underlyings}, session)
    opened = archive.calendar.opens_at(session)
    prices = {}
    for underlying in underlyings:
        if (quote := found.get(underlying.con_id)) is not None:
            traded = quote.last_trade_at is not None and quote.last_trade_at >= opened
            last = quote.last if traded or underlying.sec_type == "IND" else None
            price = middle_or(quote.bid, quote.ask, last)
            if price is not None:
                prices[underlying.symbol] = price
    return prices


def _fresh(archive: Archive, con_ids: Collection[int], session: date) -> dict[int, QuoteUpdate]:
    """The newest updates of those contracts that are fresh or streamed now, of this session since its open, and of the
    kind of data of the lake. The broker's model, where there is one, is as fresh."""
    if not con_ids:
        return {}
    with read_state(archive.settings.state_url) as connection:
        seen_now = recorder_state(connection).seen_now
    now, opened = archive.now, archive.calendar.opens_at(session)
    kinds = DELAYED_TYPES if archive.settings.delayed else (_LIVE,)
    return {
        con_id: quote
        for con_id, quote in latest_quotes(archive.settings.data_dir, con_ids=con_ids).items()
        if quote.session == session
        and _oldest(quote) >= max(opened, now - (QUIET if con_id in seen_now else FRESH))
        and quote.market_data_type in kinds
    }


def _oldest(quote: QuoteUpdate) -> datetime:
    """When the oldest part of a quote came: its prices, or the broker's model of them."""
    return quote.received_at if quote.greeks_at is None else min(quote.received_at, quote.greeks_at)


def _collected(chain: Chain, session: date) -> dict[int, datetime]:
    """When the rows were collected that the lake has of the session, by contract."""
    rows = chain.last.select(["con_id", "session", "collected_at"]).to_pylist()
    return {row["con_id"]: row["collected_at"] for row in rows if row["session"] == session}


def _is_usable(quote: dict[str, Any]) -> bool:
    """Whether a quote is whole and could be an answer: an impossible value would fail the whole snapshot."""
    return not lacks(quote) and not examine_quote({"last_size": None, "close": None, "time": 0, **quote})


def _values(quote: QuoteUpdate) -> dict[str, Any]:
    """The quote as columns of `option_chains`."""
    return {
        "quoted_at": quote.received_at,
        "bid": quote.bid,
        "ask": quote.ask,
        "last": quote.last,
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "volume": quote.volume,
        "open_interest": quote.open_interest,
        "implied_volatility": quote.broker_implied_volatility,
        "delta": quote.broker_delta,
        "gamma": quote.broker_gamma,
        "vega": quote.broker_vega,
        "theta": quote.broker_theta,
        "model_price": quote.model_price,
        "underlying_price": quote.underlying_price,
        "market_data_type": quote.market_data_type,
    }
