"""Option listings and quotes, as rows of `option_chains`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.payloads import ContractRecord, ParameterRecord
from trading_assets.broker.quotes import GREEKS
from trading_assets.collecting.decode.arrow_tables import (
    answered,
    constant,
    empty,
    from_columns,
    last_of_key,
    replaced,
    text_in,
)
from trading_assets.collecting.naming import named_day, option_expiry, osi_day
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import listing_days, offered_strikes
from trading_assets.repositories.schemas import OPTION_CHAINS

QUOTE_VALUES = (
    *("bid", "ask", "last", "bid_size", "ask_size", "volume", "open_interest", "implied_volatility"),
    *("delta", "gamma", "vega", "theta", "model_price", "underlying_price", "market_data_type"),
)
"""Columns of `option_chains` that a quote fills, named alike in the quote's payload."""

PARTIAL = "partial"
"""`quote_outcome` of a quote that came and lacks a value which it should hold."""

_QUOTE_COLUMNS = ("quote_outcome", "quoted_at", *QUOTE_VALUES, "dividends")


def option_parameters(results: Iterable[Result]) -> dict[str, list[ParameterRecord]]:
    """Expiries and strikes per symbol, from the answers to `option_parameters` requests."""
    return {result.request.symbol: result.payload["parameters"] for result in answered(results, "option_parameters")}


def listing_rows(results: Iterable[Result], under_con_ids: Mapping[str, int]) -> pa.Table:
    """Rows of `option_chains` without quotes, from the answers to `option_listing` requests.

    `under_con_ids` gives the underlying's contract id per symbol where the answer names none; contracts on another one
    are left out. A row keeps the day its listing was requested under beside the one that the contract names
    (`listed_expiry`); the listing's route is the route of the contract. `selected` is false and the quote columns are
    null: `with_selection` and `with_quotes` fill them.
    """
    records: list[ContractRecord] = []
    origins: list[tuple[date, str, datetime, int]] = []
    asked: list[Instrument] = []
    for result in answered(results, "option_listing"):
        mine = (0, under_con_ids.get(result.request.symbol, 0))
        found = [
            record
            for record in result.payload["contracts"]
            if record["sec_type"] == "OPT"
            and record["right"] in ("C", "P", "CALL", "PUT")
            and (record["under_con_id"] in mine or not mine[1])  # the symbol may belong to another company by now
        ]
        records += found
        asked += [result.request.instrument] * len(found)
        origins += [(result.request.session, result.request.symbol, result.finished_at, result.request_id)] * len(found)
    if not records:
        return empty(OPTION_CHAINS)
    sessions, symbols, instants, request_ids = zip(*origins, strict=True)
    days = [_last_trade(record, words) for record, words in zip(records, asked, strict=True)]
    nulls = {name: pa.nulls(len(records), OPTION_CHAINS.schema.field(name).type) for name in _QUOTE_COLUMNS}
    columns = {
        "session": sessions,
        "symbol": symbols,
        "con_id": [r["con_id"] for r in records],
        "under_con_id": [
            r["under_con_id"] or under_con_ids.get(symbol, 0) for r, symbol in zip(records, symbols, strict=True)
        ],
        "local_symbol": [r["local_symbol"] for r in records],
        "trading_class": [r["trading_class"] for r in records],
        "expiry": [option_expiry(r["local_symbol"], day) for r, day in zip(records, days, strict=True)],
        "strike": [r["strike"] for r in records],
        "right": [r["right"][0] for r in records],
        "multiplier": [float(r["multiplier"] or 100) for r in records],
        "exchange": [words.exchange for words in asked],
        "currency": [r["currency"] for r in records],
        "last_trade": days,
        "listed_expiry": [
            words.last_trade if words.last_trade != day else None for words, day in zip(asked, days, strict=True)
        ],
        "listed_class": [None] * len(records),
        "min_tick": [r["min_tick"] or None for r in records],
        "listed_at": instants,
        "selected": [False] * len(records),
        "collected_at": instants,
        "request_id": request_ids,
    }
    return last_of_key(from_columns(OPTION_CHAINS, {**columns, **nulls}), OPTION_CHAINS.key)


def _last_trade(record: ContractRecord, asked: Instrument) -> str:
    """The last trading day of a record (`YYYYMMDD`): as it names it, else (it names a month) as it was asked for."""
    named = named_day(record["last_trade"]) or named_day(asked.last_trade) or osi_day(record["local_symbol"])
    return f"{named:%Y%m%d}" if named else record["last_trade"]


def with_offered_class(rows: pa.Table, parameters: Iterable[ParameterRecord]) -> pa.Table:
    """Rows of a listing with the trading class under which the option parameters offer the strike (`listed_class`)."""
    records = list(parameters)
    offered = offered_strikes(records)
    found: dict[tuple[str, str, int], str | None] = {}

    def named(key: tuple[str, str, int]) -> str | None:
        day, trading_class, strike = key
        of_day = {
            r["trading_class"] for r in records if day in r["expirations"] and strike in offered[r["trading_class"]]
        }
        if trading_class in of_day or (not of_day and strike in offered.get(trading_class, ())):
            return None
        return min(of_day, default="")

    names = (listing_days(rows).to_pylist(), rows["trading_class"].to_pylist(), rows["strike"].to_pylist())
    keys = [(day, name, round(strike * 1000)) for day, name, strike in zip(*names, strict=True)]
    for key in keys:
        if key not in found:
            found[key] = named(key)
    return replaced(rows, "listed_class", pa.array([found[key] for key in keys], pa.string()))


def carry_listing(last: pa.Table, expiries: Collection[str], session: date, *, symbol: str) -> pa.Table:
    """The symbol's rows of the last chain that were listed under one of `expiries` (`YYYYMMDD`), as unquoted rows of
    `session`.

    `listed_at`, `collected_at` and `request_id` stay: they lead back to the listing.
    """
    rows = last.filter(pc.and_(pc.equal(last["symbol"], symbol), text_in(listing_days(last), expiries)))
    rows = replaced(rows, "session", constant(session, pa.date32(), rows.num_rows))
    rows = replaced(rows, "selected", constant(False, pa.bool_(), rows.num_rows))
    for name in _QUOTE_COLUMNS:
        rows = replaced(rows, name, pa.nulls(rows.num_rows, OPTION_CHAINS.schema.field(name).type))
    return rows.select(OPTION_CHAINS.schema.names)


def with_selection(chain: pa.Table, selected: Collection[int]) -> pa.Table:
    """The chain with `selected` true for the given contract ids and false for all others."""
    return replaced(chain, "selected", pc.is_in(chain["con_id"], pa.array(sorted(selected), pa.int64())))


def with_dividends(chain: pa.Table, dividends: str | None) -> pa.Table:
    """The chain with the broker's text of the underlying's expected dividends in each row; as it is without a text."""
    if dividends is None:
        return chain
    return replaced(chain, "dividends", constant(dividends, pa.string(), chain.num_rows))


_LACKING = ("bid and ask", "bid", "ask", "greeks", "open interest")
"""What a quote can lack, in the order in which it is reported."""


def lacks(quote: Mapping[str, Any]) -> tuple[str, ...]:
    """What an option's quote should hold and does not: some of "bid and ask", "bid", "ask", "greeks", "open interest".

    `quote` has the columns of `QUOTE_VALUES`. One side without a price and with size 0 beside a price on the other is
    no lack: the broker said that nobody bids (or offers).
    """
    missing = {side for side in ("bid", "ask") if quote.get(side) is None}
    if len(missing) == 1 and quote.get(f"{next(iter(missing))}_size") == 0:
        missing = set()
    if len(missing) == 2:
        missing = {"bid and ask"}
    if any(quote.get(name) is None for name in GREEKS):
        missing.add("greeks")
    if quote.get("open_interest") is None:
        missing.add("open interest")
    return tuple(name for name in _LACKING if name in missing)


def lacking_sentence(chain: pa.Table) -> str:
    """How many of the chain's selected quotes lack what ("3 of 42 quotes lack greeks, 1 lacks bid and ask."); empty
    when none is partial."""
    partial = chain.filter(pc.equal(chain["quote_outcome"], PARTIAL)).select(QUOTE_VALUES).to_pylist()
    counts = Counter(name for quote in partial for name in lacks(quote))
    if not counts:
        return ""
    total = pc.sum(chain["selected"]).as_py()
    counted = [f"{counts[name]} {'lacks' if counts[name] == 1 else 'lack'} {name}" for name in _LACKING if counts[name]]
    first, *others = counted
    number, words = first.split(" ", 1)
    return f"{', '.join([f'{number} of {total} quotes {words}', *others])}."


def without_worse(chain: pa.Table, results: Iterable[Result]) -> list[Result]:
    """The `quote` results without those that lack something that the contract's quote in `chain` holds: the earlier one
    says more."""
    stored = chain.filter(pc.is_in(chain["quote_outcome"], pa.array([OutcomeKind.COMPLETE.value, PARTIAL])))
    lacking = {quote["con_id"]: set(lacks(quote)) for quote in stored.select(("con_id", *QUOTE_VALUES)).to_pylist()}
    return [
        result
        for result in results
        if not _quoted(result)
        or set(lacks(result.payload)) <= lacking.get(result.request.instrument.con_id, set(_LACKING))
    ]


def with_quotes(chain: pa.Table, results: Iterable[Result]) -> pa.Table:
    """The chain with the quotes of the given `quote` results merged in by contract id; other rows stay as they are.

    A quote that failed leaves its values null and its outcome in `quote_outcome`: a missing quote is told apart from a
    contract nobody bids for. One that lacks a value (see `lacks`) is `partial`. `quoted_at` is the moment of the quote,
    `collected_at` and `request_id` become the quote's.
    """
    latest: dict[int, Result] = {}
    for result in sorted(results, key=lambda result: result.request_id):
        con_id = result.request.instrument.con_id
        previous = latest.get(con_id)
        if type(result.request).kind == "quote" and (previous is None or not _quoted(previous) or _quoted(result)):
            latest[con_id] = result
    if not latest or chain.num_rows == 0:
        return chain
    quotes = list(latest.values())
    values: dict[str, list[Any]] = {
        "quote_outcome": [
            PARTIAL if _quoted(quote) and lacks(quote.payload) else str(quote.outcome.kind) for quote in quotes
        ],
        "quoted_at": [_moment(quote) for quote in quotes],
        "collected_at": [quote.finished_at for quote in quotes],
        "request_id": [quote.request_id for quote in quotes],
    }
    for name in QUOTE_VALUES:
        values[name] = [quote.payload.get(name) if _quoted(quote) else None for quote in quotes]
    return _filled(chain, list(latest), values)


def with_streamed(chain: pa.Table, quotes: Mapping[int, Mapping[str, Any]]) -> pa.Table:
    """The chain with quotes of running streams by contract id: `quoted_at` and the columns of `QUOTE_VALUES`.

    They are complete and were brought by no request: `request_id` is 0.
    """
    columns: dict[str, list[Any]] = {
        name: [quote[name] for quote in quotes.values()] for name in ("quoted_at", *QUOTE_VALUES)
    }
    columns["collected_at"] = columns["quoted_at"]
    columns["quote_outcome"] = [str(OutcomeKind.COMPLETE)] * len(quotes)
    columns["request_id"] = [0] * len(quotes)
    return _filled(chain, list(quotes), columns)


def _filled(chain: pa.Table, con_ids: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The chain with those values in the rows of the contracts; other rows stay as they are."""
    position = pc.index_in(chain["con_id"], pa.array(con_ids, pa.int64())).combine_chunks()
    hit = position.is_valid()
    for name, column in columns.items():
        array = pa.array(column, OPTION_CHAINS.schema.field(name).type)
        chain = replaced(chain, name, pc.if_else(hit, array.take(position), chain[name].combine_chunks()))
    return chain


def _quoted(result: Result) -> bool:
    return result.outcome.kind is OutcomeKind.COMPLETE and result.payload is not None


def _moment(quote: Result) -> datetime | None:
    if not _quoted(quote):
        return None
    return datetime.fromtimestamp(quote.payload["time"], UTC) if quote.payload.get("time") else quote.finished_at
