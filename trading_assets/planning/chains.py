"""Option chains: what is listed anew, what is carried from the last listing, and what is quoted.

A chain costs one request for the underlying's option parameters and one for each expiry that has to be listed. The
contracts of an expiry listed before are carried forward. Listing goes by expiry, never by strike: qualifying each
strike and expiry of SPY would be 32,844 requests instead of 35 (limits.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.payloads import ParameterRecord
from trading_assets.broker.requests import DIVIDENDS_TICK, OptionListingRequest, OptionParametersRequest, QuoteRequest
from trading_assets.instrument import LADDER_OFF, Instrument
from trading_assets.planning.instruments import OPTION_EXCHANGE, option_instruments
from trading_assets.planning.selection import wanted_expiries
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import session_date

OPTION_TICKS = "100,101,106"
"""Generic ticks of an option quote: option volume, open interest, implied volatility (limits.md)."""


class ListingReason(StrEnum):
    """Why expiries are listed (again)."""

    FIRST = "first listing of the symbol"
    INCREMENT = "new expiries only"
    ADJUSTED = "contracts were adjusted by a corporate action: every wanted expiry is listed again"
    IN_PART = "listings of which a part is in quarantine or lost are read again"
    REFRESH = "a refresh was asked for"
    AGED = "listings older than the re-listing age are read again"
    NOTHING = "every wanted expiry is listed"


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """What one symbol's chain costs in a session.

    `carried` are the days (`YYYYMMDD`, as the option parameters name them) whose rows are taken from the last listing;
    `listings` ask for the rest.
    """

    symbol: str
    listings: list[OptionListingRequest]
    carried: list[str]
    reason: ListingReason


def plan_parameters(
    underlyings: Iterable[Instrument], session: date, settled: Collection[str] = ()
) -> list[OptionParametersRequest]:
    """One request a symbol whose chain of the session is not settled yet, by symbol. The instruments are resolved."""
    wanted = {instrument.symbol: instrument for instrument in underlyings if instrument.symbol not in settled}
    return [OptionParametersRequest(wanted[symbol], session) for symbol in sorted(wanted)]


def plan_chain(
    underlying: Instrument,
    parameters: Iterable[ParameterRecord],
    last: pa.Table | None,
    rules: SelectionRules,
    session: date,
    *,
    relist_days: int = 7,
    refresh: bool = False,
    empty: Mapping[str, date] | None = None,
    in_part: Collection[str] = (),
    times_listed: Mapping[str, int] | None = None,
) -> ChainPlan:
    """The listings that one symbol's chain needs, given the broker's parameters of today and the rows of its last
    chain.

    `last` holds rows of `option_chains` of one snapshot (columns last_trade, strike, trading_class, listed_at, and
    listed_expiry and listed_class where the two names differ), or None. An expiry is listed when it is wanted and

    - was not listed before, is among `in_part` (only a part of its listing is stored), or was listed at least
      `relist_days` days ago (New York dates; strikes are added as the price moves); or
    - a corporate action has adjusted contracts: a strike of an unexpired stored contract has vanished from the
      parameters of its trading class, these have a class that no stored contract has, or the price of the last chain
      lies far off its strikes. Then every wanted expiry is listed again: for the last two reasons at most twice within
      `relist_days` days (`times_listed`: by expiry, how often it was listed in that time; else once), for there may be
      nothing new to list.

    `empty` are expiries behind which the broker listed nothing, each with the session it was asked in: they are left
    out until they are `relist_days` old, as if they were listed.
    """
    records = list(parameters)
    wanted = wanted_expiries(records, rules, session)
    listed = _listed_on(last)
    incomplete = set(in_part) & set(listed)
    believed = {day: listing for day, listing in listed.items() if day not in incomplete}
    known_empty = {day for day, asked in (empty or {}).items() if (session - asked).days < relist_days}
    if refresh:
        fresh, reason = wanted, ListingReason.REFRESH
    elif not listed:
        fresh, reason = [day for day in wanted if day not in known_empty], ListingReason.FIRST
    elif last is not None and _is_adjusted(
        last.filter(pc.is_in(listing_days(last), pa.array(sorted(believed), pa.string()))),
        records,
        session,
        times_listed or {},
    ):
        fresh, reason = wanted, ListingReason.ADJUSTED
    else:
        aged = [
            day
            for day in wanted
            if day in believed and (session - believed[day]).days >= relist_days and day not in known_empty
        ]
        part = [day for day in wanted if day in incomplete and day not in known_empty]
        new = [day for day in wanted if day not in listed and day not in known_empty]
        fresh = sorted([*aged, *part, *new])
        reason = next(
            (
                why
                for why, days in (
                    (ListingReason.AGED, aged),
                    (ListingReason.IN_PART, part),
                    (ListingReason.INCREMENT, new),
                )
                if days
            ),
            ListingReason.NOTHING,
        )
    return ChainPlan(
        symbol=underlying.symbol,
        listings=[OptionListingRequest(_expiry_words(underlying, day), session) for day in fresh],
        carried=[day for day in wanted if day not in set(fresh)],
        reason=reason,
    )


def _is_adjusted(
    last: pa.Table, parameters: Iterable[ParameterRecord], session: date, times_listed: Mapping[str, int]
) -> bool:
    """Whether everything is to be listed again. That a class or ladder is missing is believed after the third listing:
    the new contracts may come some sessions after the action."""
    records = list(parameters)
    return strikes_adjusted(last, records, session) or any(
        times_listed.get(day, 1) < 3 for day in new_classes(last, records, session) | ladders_off(last)
    )


def strikes_adjusted(last: pa.Table, parameters: Iterable[ParameterRecord], session: date) -> bool:
    """Whether a strike of an unexpired contract of the last chain is no longer among the strikes of the trading class
    that offered it.

    Strikes are compared to a thousandth of a dollar, the resolution of the OSI symbol.
    """
    records = list(parameters)
    offered = offered_strikes(records)
    return any(
        row["trading_class"] and round(row["strike"] * 1000) not in offered.get(row["trading_class"], ())
        for row in _alive(last, records, session)
    )


def new_classes(last: pa.Table, parameters: Iterable[ParameterRecord], session: date) -> set[str]:
    """The days (`YYYYMMDD`) of unexpired listings of the last chain for which the parameters offer a trading class of
    which no contract of the chain is: after a corporate action a class is renamed, and a new one begins."""
    records = list(parameters)
    stored = _alive(last, records, session)
    known, listed = {row["trading_class"] for row in stored}, {row["day"] for row in stored}
    new = (record["expirations"] for record in records if record["trading_class"] not in known)
    return listed & {day for days in new for day in days}


def ladders_off(last: pa.Table) -> set[str]:
    """The days (`YYYYMMDD`) of listings of the last chain whose strikes all lie far off the price that the underlying
    had in it: after a corporate action a new ladder begins, under the same class perhaps."""
    if "underlying_price" not in last.column_names:
        return set()
    known = last["underlying_price"].drop_null()
    if not len(known):
        return set()
    spot = pc.approximate_median(known).as_py()
    rows = pa.table({"day": listing_days(last), "strike": last["strike"]})
    ladders = rows.group_by("day").aggregate([("strike", "min"), ("strike", "max")]).to_pylist()
    return {
        row["day"] for row in ladders if not row["strike_min"] / LADDER_OFF <= spot <= row["strike_max"] * LADDER_OFF
    }


def _alive(last: pa.Table, parameters: Iterable[ParameterRecord], session: date) -> list[dict[str, Any]]:
    """The distinct days, trading classes and strikes of the chain's contracts that have not expired, as the parameters
    name them (an empty class: they offered none)."""
    expirations = {day for record in parameters for day in record["expirations"]}
    days = listing_days(last)
    alive = pc.and_(
        pc.greater_equal(days, f"{session:%Y%m%d}"), pc.is_in(days, pa.array(sorted(expirations), pa.string()))
    )
    names = {"day": days, "trading_class": _else(last, "listed_class", "trading_class"), "strike": last["strike"]}
    return pa.table(names).filter(alive).group_by(list(names)).aggregate([]).to_pylist()


def offered_strikes(parameters: Iterable[ParameterRecord]) -> dict[str, set[int]]:
    """The strikes of each trading class, in thousandths of a dollar."""
    offered: dict[str, set[int]] = {}
    for record in parameters:
        offered.setdefault(record["trading_class"], set()).update(round(strike * 1000) for strike in record["strikes"])
    return offered


def listing_days(chain: pa.Table) -> pa.ChunkedArray:
    """The day (`YYYYMMDD`) under which each row's expiry was listed: as the option parameters name it, whatever the
    contract calls its last trading day."""
    return _else(chain, "listed_expiry", "last_trade")


def _else(chain: pa.Table, name: str, other: str) -> pa.ChunkedArray:
    """A column, and where it is null (or the table lacks it) the other one."""
    return pc.coalesce(chain[name], chain[other]) if name in chain.column_names else chain[other]


def plan_spot(underlying: Instrument, session: date) -> QuoteRequest:
    """The quote of the underlying: its price is what strikes are selected around. Of a stock with the dividends that
    the broker expects."""
    return QuoteRequest(underlying, session, generic_ticks=DIVIDENDS_TICK if underlying.sec_type == "STK" else "")


def plan_quotes(
    chain: pa.Table, selected: Collection[int], session: date, quoted: Collection[int] = ()
) -> list[QuoteRequest]:
    """One quote a selected contract that was not quoted in the session yet; the contracts that expire first come first.

    `chain` holds rows of `option_chains`; `selected` and `quoted` are contract ids.
    """
    wanted = pa.array(sorted(set(selected) - set(quoted)), pa.int64())
    rows = chain.filter(pc.is_in(chain["con_id"], wanted))
    order = [
        ("expiry", "ascending"),
        ("symbol", "ascending"),
        ("strike", "ascending"),
        ("right", "ascending"),
        ("con_id", "ascending"),
    ]
    return [
        QuoteRequest(instrument, session, generic_ticks=OPTION_TICKS)
        for instrument in option_instruments(rows.sort_by(order))
    ]


def _listed_on(last: pa.Table | None) -> dict[str, date]:
    """The days under which the expiries of the last chain were listed, each with the New York date of its oldest
    listing."""
    if last is None or last.num_rows == 0:
        return {}
    rows = pa.table({"last_trade": listing_days(last), "listed_at": last["listed_at"]})
    oldest = rows.group_by("last_trade").aggregate([("listed_at", "min")])
    return {
        day: session_date(listed_at)
        for day, listed_at in zip(oldest["last_trade"].to_pylist(), oldest["listed_at_min"].to_pylist(), strict=True)
    }


def _expiry_words(underlying: Instrument, last_trade: str) -> Instrument:
    return Instrument(
        symbol=underlying.symbol,
        sec_type="OPT",
        exchange=OPTION_EXCHANGE,
        currency=underlying.currency,
        last_trade=last_trade,
    )
