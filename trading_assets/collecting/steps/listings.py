"""Listings that are not whole: a part of them failed or is in quarantine, so that contracts may be missing from a
chain; and which rows of the last chain may stand in for a listing."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Result
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import listing_days
from trading_assets.repositories.frame_checks import storable
from trading_assets.repositories.schemas import OPTION_CHAINS, Condition

LISTING_FAILED = "The listing failed of"
LISTING_IN_PART = "The listing is not whole:"
"""How the sentences of a partial chain begin that a later run of the session must list again."""


def listed_in_part(results: Sequence[Result], symbol: str) -> list[str]:
    """A sentence for each answer about what is listed of the symbol of which a part is in quarantine."""
    mine = [result for result in results if result.request.symbol == symbol]
    return [
        f"{LISTING_IN_PART} {r.quarantined.reason}" for r in mine if r.quarantined is not None and r.payload is not None
    ]


def may_be_resumed(row: Mapping[str, object], due: Container[object] = ()) -> bool:
    """Whether a recorded chain (a row of `coverage`) lacks nothing that is to be listed now.

    It may lack quotes or values of them, or what is in quarantine and not yet `due` (symbols).
    """
    reason = str(row["reason"])
    lists_again = LISTING_FAILED in reason or (LISTING_IN_PART in reason and row["symbol"] in due)
    return row["condition"] == Condition.PARTIAL and not lists_again


def still_lacking(reason: str) -> list[str]:
    """What a chain lacks still, whose listing is not read again in this run."""
    return [reason] if LISTING_IN_PART in reason else []


def without_expiries(last: pa.Table, expiries: set[str]) -> pa.Table:
    """The last chain without the expiries listed under some days (`YYYYMMDD`): what is stored of them is not whole, so
    they count as not listed."""
    return (
        last.filter(pc.invert(pc.is_in(listing_days(last), pa.array(sorted(expiries), pa.string()))))
        if expiries
        else last
    )


def carriable(last: pa.Table, underlying: Instrument) -> pa.Table:
    """The rows of the last chain that may be carried on: of the underlying's contract, not of the one that its series
    had before, and of expiries without a row that cannot be stored."""
    own = pc.is_in(last["under_con_id"], pa.array([0, underlying.con_id], pa.int64()))
    rows = last.filter(pc.and_(pc.equal(last["symbol"], underlying.symbol), own))
    kept = storable(OPTION_CHAINS, rows)
    dropped = rows.filter(pc.invert(pc.is_in(rows["con_id"], kept["con_id"].combine_chunks())))
    return without_expiries(kept, set(listing_days(dropped).to_pylist()))
