"""Contract details and the underlying's quote, as rows of `contracts` and as a price."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime

import pyarrow as pa

from trading_assets.broker.outcomes import Result
from trading_assets.broker.payloads import ContractRecord, QuoteRecord
from trading_assets.broker.requests import Instrument
from trading_assets.collecting.decode.tables import answered, constant, from_rows, last_of_key, replaced, stamp, text_in
from trading_assets.repositories.schemas import CONTRACTS


def contract_rows(results: Iterable[Result], *, stamped: datetime | None = None) -> pa.Table:
    """Rows of `contracts`: one a symbol and session, from the answers to `contract_details` requests.

    Of several contracts in one answer the one that fits the question is taken (`best_match`); an answer without one
    that fits gives no row.
    """
    rows = []
    for result in answered(results, "contract_details"):
        request = result.request
        record = best_match(request.instrument, result.payload["contracts"])
        if record is None:
            continue
        instant = stamp(result, stamped)
        texts = (
            *("sec_type", "primary_exchange", "currency", "local_symbol", "trading_class", "long_name", "time_zone_id", "trading_hours"),
            *("liquid_hours", "industry", "category", "subcategory", "stock_type", "market_rule_ids", "valid_exchanges"),
        )
        rows.append(
            {name: record[name] or "" for name in texts}  # type: ignore[literal-required]
            | {
                "session": request.session,
                "symbol": request.instrument.symbol,
                "con_id": record["con_id"],
                "exchange": request.instrument.exchange or record["exchange"],
                "min_tick": record["min_tick"] or None,
                "verified_at": instant,
                "collected_at": instant,
                "request_id": result.request_id,
            }
        )
    return last_of_key(from_rows(CONTRACTS, rows), CONTRACTS.key)


def best_match(words: Instrument, contracts: Iterable[ContractRecord]) -> ContractRecord | None:
    """The contract that the words mean: symbol, security type and currency must fit.

    Of several, the one on the primary exchange asked for, then one routed as asked, then one listed anywhere; the
    smallest contract id decides what is still open, so that the answer's order never matters.
    """
    fitting = [
        record
        for record in contracts
        if record["symbol"] == words.symbol
        and record["sec_type"] == words.sec_type
        and (not words.currency or record["currency"] == words.currency)
        and (not words.con_id or record["con_id"] == words.con_id)
    ]
    return min(
        fitting,
        key=lambda record: (
            bool(words.primary_exchange) and record["primary_exchange"] != words.primary_exchange,
            record["exchange"] != words.exchange,
            not record["primary_exchange"],
            record["con_id"],
        ),
        default=None,
    )


def carry_contracts(latest: pa.Table, symbols: Collection[str], session: date) -> pa.Table:
    """The latest rows of the symbols as rows of `session`.

    `verified_at`, `collected_at` and `request_id` stay: they lead back to the call that brought the details.
    """
    rows = latest.filter(text_in(latest["symbol"], symbols)).sort_by([("symbol", "ascending"), ("session", "ascending")])
    rows = last_of_key(rows, ("symbol",))
    return replaced(rows, "session", constant(session, pa.date32(), rows.num_rows))


def spot_price(quote: QuoteRecord | None) -> float | None:
    """The price of an underlying: the middle of bid and ask, else the last trade, else the previous close; None if there is none.

    A middle is taken only of a market that is not crossed and not wider than a tenth of its price: before the open, the
    quotes of a stock can stand anywhere, and the last trade says more.
    """
    if quote is None:
        return None
    bid, ask, last, close = quote["bid"], quote["ask"], quote["last"], quote["close"]
    if bid and ask and 0 < bid <= ask <= bid * 1.1:
        return (bid + ask) / 2
    return next((price for price in (last, close) if price is not None and price > 0), None)
