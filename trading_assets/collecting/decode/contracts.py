"""Contract details and the underlying's quote, as rows of `contracts` and as a price."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from trading_assets.broker.outcomes import Result
from trading_assets.broker.payloads import ContractRecord, QuoteRecord
from trading_assets.collecting.decode.arrow_tables import answered, constant, from_rows, last_of_key, replaced, text_in
from trading_assets.collecting.naming import listing_exchange
from trading_assets.instrument import Instrument, same_symbol
from trading_assets.repositories.schemas import CONTRACTS

US_LISTING_EXCHANGES = frozenset({"NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "IEX", "CBOE", "CHX", "LTSE", "NYSENAT"})
"""Primary exchanges of US stocks and ETFs in the broker's words (its product listings)."""

_TEXTS = (
    *(
        "sec_type",
        "primary_exchange",
        "currency",
        "local_symbol",
        "trading_class",
        "long_name",
        "time_zone_id",
        "trading_hours",
    ),
    *("liquid_hours", "industry", "category", "subcategory", "stock_type", "market_rule_ids", "valid_exchanges"),
)


def contract_rows(results: Iterable[Result], known: Mapping[str, int] | None = None) -> pa.Table:
    """Rows of `contracts`: one a symbol and session, from the answers to `contract_details` requests.

    Of several contracts in one answer the one that is meant is taken (`choose`); an answer without one, or with several
    that could be meant, gives no row. `known` is the contract id of each symbol's stored series.
    """
    rows = []
    for result in answered(results, "contract_details"):
        request = result.request
        record = choose(request.instrument, result.payload["contracts"], (known or {}).get(request.symbol, 0)).record
        if record is not None:
            rows.append(
                contract_row(record, request.instrument, request.session, result.finished_at, result.request_id)
            )
    return last_of_key(from_rows(CONTRACTS, rows), CONTRACTS.key)


def contract_row(
    record: ContractRecord, words: Instrument, session: date, instant: datetime, request_id: int
) -> dict[str, Any]:
    """The row of `contracts` of one contract in one session; `instant` is when the broker gave it."""
    return {name: record[name] or "" for name in _TEXTS} | {  # type: ignore[literal-required]
        "session": session,
        "symbol": words.symbol,
        "con_id": record["con_id"],
        "exchange": words.exchange or record["exchange"],
        "min_tick": record["min_tick"] or None,
        "sec_ids": record.get("sec_ids") or None,
        "verified_at": instant,
        "collected_at": instant,
        "request_id": request_id,
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """The contract that is meant, or None with the `candidates` among which the words do not decide (none: nothing
    fits)."""

    record: ContractRecord | None
    candidates: tuple[ContractRecord, ...] = ()


def choose(words: Instrument, contracts: Iterable[ContractRecord], known_con_id: int = 0) -> Choice:
    """The contract that the words mean: symbol, security type, currency and, where given, the primary exchange must
    fit.

    Of several, the one of the symbol's stored series (`known_con_id`), else the only one listed in the US
    (`US_LISTING_EXCHANGES`), else the only one routed as asked. The answer's order never matters.
    """
    fitting: dict[int, ContractRecord] = {}
    for record in contracts:
        first = fitting.get(record["con_id"])
        if _fits(record, words) and (first is None or first["exchange"] != words.exchange):
            fitting[record["con_id"]] = record
    left = [fitting[con_id] for con_id in sorted(fitting)]
    if known_con_id in fitting:
        return Choice(fitting[known_con_id])
    for preferred in (
        [record for record in left if listing_exchange(record["primary_exchange"]) in US_LISTING_EXCHANGES],
        [record for record in left if record["exchange"] == words.exchange],
    ):
        if len(left) > 1 and preferred:
            left = preferred
    return Choice(left[0]) if len(left) == 1 else Choice(None, tuple(left))


def describe_contract(con_id: int, name: str, primary_exchange: str, currency: str, sec_ids: str | None = None) -> str:
    """A contract in a sentence: `contract 265598, APPLE INC, listed on NASDAQ, in USD, ISIN=US0378331005`."""
    parts = [
        f"contract {con_id}",
        name or "(no name)",
        f"listed on {primary_exchange}" if primary_exchange else "",
        f"in {currency}" if currency else "",
    ]
    return ", ".join([*filter(None, parts), *(sec_ids or "").split()])


def describe_record(record: ContractRecord) -> str:
    """The same of a contract as the broker gave it."""
    return describe_contract(
        record["con_id"],
        record["long_name"],
        record["primary_exchange"] or record["exchange"],
        record["currency"],
        record.get("sec_ids") or None,
    )


def _fits(record: ContractRecord, words: Instrument) -> bool:
    return (
        same_symbol(record["symbol"], words.symbol)
        and record["sec_type"] == words.sec_type
        and (not words.currency or record["currency"] == words.currency)
        and (not words.con_id or record["con_id"] == words.con_id)
        and (
            not words.primary_exchange
            or listing_exchange(record["primary_exchange"]) == listing_exchange(words.primary_exchange)
        )
    )


def carry_contracts(latest: pa.Table, symbols: Collection[str], session: date) -> pa.Table:
    """The latest rows of the symbols as rows of `session`.

    `verified_at`, `collected_at` and `request_id` stay: they lead back to the call that brought the details.
    """
    rows = latest.filter(text_in(latest["symbol"], symbols)).sort_by(
        [("symbol", "ascending"), ("session", "ascending")]
    )
    rows = last_of_key(rows, ("symbol",))
    return replaced(rows, "session", constant(session, pa.date32(), rows.num_rows))


def spot_price(quote: QuoteRecord | None) -> float | None:
    """The price of an underlying: the middle of bid and ask, else the last trade, else the previous close; None if
    there is none.

    A middle is taken only of a market that is not crossed and not wider than a tenth of its price: before the open, the
    quotes of a stock can stand anywhere, and the last trade says more.
    """
    return None if quote is None else middle_or(quote["bid"], quote["ask"], quote["last"], quote["close"])


def middle_or(bid: float | None, ask: float | None, *others: float | None) -> float | None:
    """The middle of bid and ask as `spot_price` takes it, else the first of the other prices that there is."""
    if bid and ask and 0 < bid <= ask <= bid * 1.1:
        return (bid + ask) / 2
    return next((price for price in others if price is not None and price > 0), None)
