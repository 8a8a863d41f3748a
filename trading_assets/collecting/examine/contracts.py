"""Contracts, listings and option parameters: which records of an answer cannot be stored."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from trading_assets.broker.outcomes import Fault
from trading_assets.broker.payloads import ContractRecord, ParameterRecord
from trading_assets.broker.requests import Request
from trading_assets.collecting.examine.values import (
    LARGEST_PRICE,
    NAME_LENGTH,
    day,
    shown,
    wrong_code,
    wrong_con_id,
    wrong_multiplier,
    wrong_number,
    wrong_text,
)
from trading_assets.collecting.naming import named_day, names_month_of
from trading_assets.instrument import same_symbol

EXPIRY_SLACK = timedelta(days=4)
"""The last trading day, the expiry in the OSI symbol and the day asked for differ by a weekend with a holiday at
most."""

_OSI = re.compile(r"[ -~]{6}(\d{6})([CP])(\d{8})", re.ASCII)

_CODES = ("exchange", "primary_exchange")
_NAMES = ("local_symbol", "trading_class", "time_zone_id", "market_name", "stock_type")
_TEXTS = (
    "long_name",
    "trading_hours",
    "liquid_hours",
    "industry",
    "category",
    "subcategory",
    "market_rule_ids",
    "valid_exchanges",
)

_TERMS = (
    "con_id",
    "symbol",
    "sec_type",
    "currency",
    "min_tick",
    "right",
    "strike",
    "multiplier",
    "under_con_id",
    "last_trade",
)
_OF_RECORD = (*_TERMS, *_CODES, *_NAMES, *_TEXTS)
_OF_PARAMETERS = ("exchange", "trading_class", "multiplier", "underlying_con_id", "expirations", "strikes")
"""Fields that every version of the platform has journalled and that are decoded."""

Wrong = tuple[str, str]
"""A field and the reason why it is wrong."""


def examine_details(request: Request, records: Sequence[Any]) -> tuple[list[Any], list[Fault]]:
    """The contracts of a `contract_details` answer that can be stored, and the faults of the others.

    One of another symbol, type or currency than was asked for is a fault only where no other fits: the words may fit
    several.
    """
    kept, faults = _sieve(records, _wrong_contract, lambda r: (r["con_id"], r["exchange"], r["primary_exchange"]))
    mismatches = [
        (position, wrong) for position, record in enumerate(kept) if (wrong := _other(request, record)) is not None
    ]
    if len(mismatches) < len(kept):
        return kept, faults
    return [], faults + [_fault(kept[position], position, wrong) for position, wrong in mismatches]


def examine_listing(request: Request, records: Sequence[Any]) -> tuple[list[Any], list[Fault]]:
    """The contracts of an `option_listing` answer that can be stored, and the faults of the others.

    All are options of one underlying: one that names another than most of them is a fault.
    """
    named = Counter(
        record.get("under_con_id")
        for record in records
        if isinstance(record, dict) and type(record.get("under_con_id")) is int
    )
    (underlying, _), *_ = named.most_common(1) or [(0, 0)]

    def wrong(record: ContractRecord) -> Wrong | None:
        if record["under_con_id"] not in (0, underlying) or record["con_id"] == underlying:
            return "under_con_id", f"is not {underlying}, the underlying of the other contracts"
        return _wrong_option(request, record)

    return _sieve(records, wrong, lambda record: record["con_id"])


def examine_parameters(request: Request, records: Sequence[Any]) -> tuple[list[Any], list[Fault]]:
    """The parameters that can be used: records without the expiries and strikes that are none; and the faults.

    A record of another underlying than was asked for is a fault, unless all of them are: then the symbol belongs to
    another company, about which the user decides (`collecting.identity`).
    """
    kept: list[ParameterRecord] = []
    faults: list[Fault] = []
    named = {record.get("underlying_con_id") if isinstance(record, dict) else None for record in records}
    underlying = next(iter(named)) if len(named) == 1 else request.instrument.con_id
    for position, record in enumerate(records):
        wrong = _wrong_shape(record, _OF_PARAMETERS) or _wrong_parameters(underlying, record)
        if wrong is not None:
            faults.append(_fault(record, position, wrong))
            continue
        expirations = [text for text in record["expirations"] if day(text) is not None]
        strikes = [strike for strike in record["strikes"] if not _wrong_strike(strike)]
        where = f"{record['trading_class']} on {record['exchange']}"
        faults += [
            Fault("expirations", where, shown(text), "is no date")
            for text in record["expirations"]
            if day(text) is None
        ]
        faults += [
            Fault("strikes", where, shown(strike), _wrong_strike(strike))
            for strike in record["strikes"]
            if _wrong_strike(strike)
        ]
        kept.append(ParameterRecord(**{**record, "expirations": expirations, "strikes": strikes}))  # type: ignore[typeddict-item]
    return kept, faults


def _sieve(
    records: Sequence[Any], wrong_of: Callable[[ContractRecord], Wrong | None], key: Callable[[ContractRecord], Any]
) -> tuple[list[Any], list[Fault]]:
    """The records that are right, and those that are wrong or contradict another record of the same key."""
    right: list[tuple[int, ContractRecord]] = []
    faults: dict[int, Fault] = {}
    for position, record in enumerate(records):
        wrong = _wrong_shape(record, _OF_RECORD) or wrong_of(record)
        if wrong is None:
            right.append((position, record))
        else:
            faults[position] = _fault(record, position, wrong)
    by_key: dict[Any, list[tuple[int, ContractRecord]]] = defaultdict(list)
    for position, record in right:
        by_key[key(record)].append((position, record))
    kept = []
    for group in by_key.values():
        if all(record == group[0][1] for _, record in group):
            kept.append(group[0][1])
        else:
            faults |= {
                position: _fault(record, position, ("con_id", "comes twice, with different values"))
                for position, record in group
            }
    return kept, [faults[position] for position in sorted(faults)]


def _wrong_shape(record: Any, fields: Sequence[str]) -> Wrong | None:
    if not isinstance(record, dict):
        return "the record", "is none"
    missing = sorted(set(fields) - set(record))
    return (missing[0], "is missing") if missing else None


def _first(found: Iterator[Wrong]) -> Wrong | None:
    return next(((field, reason) for field, reason in found if reason), None)


def _wrong_contract(record: ContractRecord) -> Wrong | None:
    return _first(_of_contract(record))


def _of_contract(record: ContractRecord) -> Iterator[Wrong]:
    yield "con_id", wrong_con_id(record["con_id"])
    for name in ("symbol", "sec_type", "currency"):
        yield name, wrong_code(record[name])
    for name in _CODES:
        yield name, wrong_code(record[name], optional=True)  # type: ignore[literal-required]
    for name in _NAMES:
        yield name, wrong_text(record[name], NAME_LENGTH)  # type: ignore[literal-required]
    for name in _TEXTS:
        yield name, wrong_text(record[name])  # type: ignore[literal-required]
    yield "sec_ids", wrong_text(record.get("sec_ids", ""))
    yield "min_tick", wrong_number(record["min_tick"], 0, LARGEST_PRICE)


def _other(request: Request, record: ContractRecord) -> Wrong | None:
    """Whether the record is of something else than was asked for."""
    words = request.instrument
    if words.con_id:  # asked for by its id, whatever its symbol is now
        return None if record["con_id"] == words.con_id else ("con_id", f"is not {words.con_id}")
    wanted = {"sec_type": words.sec_type, "currency": words.currency}
    if words.symbol and not same_symbol(record["symbol"], words.symbol):
        return "symbol", f"is not {words.symbol}"
    return next(((name, f"is not {value}") for name, value in wanted.items() if value and record[name] != value), None)  # type: ignore[literal-required]


def _wrong_option(request: Request, record: ContractRecord) -> Wrong | None:
    return _first(_of_contract(record)) or _other(request, record) or _first(_of_option(request, record))


def _of_option(request: Request, record: ContractRecord) -> Iterator[Wrong]:
    yield "right", "" if record["right"] in ("C", "P", "CALL", "PUT") else "is neither C nor P"
    yield "strike", _wrong_strike(record["strike"])
    yield "multiplier", wrong_multiplier(record["multiplier"])
    yield (
        "under_con_id",
        (
            ""
            if record["under_con_id"] == 0 and type(record["under_con_id"]) is int
            else wrong_con_id(record["under_con_id"])
        ),
    )
    yield "last_trade", _wrong_expiry(request, record["last_trade"])
    yield "local_symbol", _wrong_local_symbol(request, record)
    yield "trading_class", wrong_code(record["trading_class"])


def _wrong_strike(value: Any) -> str:
    return wrong_number(value, 0, LARGEST_PRICE, above=True, optional=False)


def _wrong_expiry(request: Request, text: Any) -> str:
    named, asked = named_day(text) if type(text) is str else None, day(request.instrument.last_trade)
    if named is None:
        return "" if type(text) is str and asked is not None and names_month_of(text, asked) else "is no date"
    return (
        "" if asked is None or abs(named - asked) <= EXPIRY_SLACK else f"is not {asked}, the expiry that was asked for"
    )


def _wrong_local_symbol(request: Request, record: ContractRecord) -> str:
    """An OSI symbol repeats expiry, right and strike; another form of symbol is taken as it is."""
    local_symbol = record["local_symbol"]
    if not local_symbol:
        return "is empty"
    osi = _OSI.fullmatch(local_symbol)
    if osi is None:
        return wrong_code(local_symbol)
    expiry: date | None = day(f"20{osi[1]}")
    last_trade = named_day(record["last_trade"]) or day(request.instrument.last_trade)
    if expiry is None or last_trade is None or abs(expiry - last_trade) > EXPIRY_SLACK:
        return f"names another expiry than {record['last_trade']}"
    if osi[2] != record["right"][0]:
        return f"names another right than {record['right']}"
    return "" if abs(int(osi[3]) - record["strike"] * 1000) < 1 else f"names another strike than {record['strike']:g}"


def _wrong_parameters(underlying: Any, record: ParameterRecord) -> Wrong | None:
    return _first(_of_parameters(underlying, record))


def _of_parameters(underlying: Any, record: ParameterRecord) -> Iterator[Wrong]:
    yield "exchange", wrong_code(record["exchange"])
    yield "trading_class", wrong_code(record["trading_class"])
    yield "multiplier", wrong_multiplier(record["multiplier"])
    under = record["underlying_con_id"]
    yield "underlying_con_id", "" if under == 0 and type(under) is int else wrong_con_id(under)
    yield (
        "underlying_con_id",
        ("" if not underlying or under in (0, underlying) else f"is not {underlying}, whose options were asked for"),
    )
    for name in ("expirations", "strikes"):
        yield name, "" if isinstance(record[name], list) else "is no list"


def _fault(record: Any, position: int, wrong: Wrong) -> Fault:
    field, reason = wrong
    values = record if isinstance(record, dict) else {}
    name = values.get("local_symbol") or values.get("trading_class") or values.get("symbol")
    where = f"contract {position + 1}" + (
        f" ({name})" if isinstance(name, str) and not wrong_code(name) and field != "local_symbol" else ""
    )
    return Fault(field, where, shown(values.get(field)), reason)
