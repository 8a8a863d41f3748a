"""Bar sizes of a symbol that the broker answers on different bases: it has restated one of them, and not the other.

Such sessions were read anew and came back as they were. They are named as those that could not be read anew are
(`repositories.basis`), and asked for again after one session, then two, four, ..., at most `LONGEST_WAIT`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.arrow_tables import from_rows
from trading_assets.collecting.decode.restated import PRICES, TOLERANCE
from trading_assets.collecting.decode.session_findings import SessionFinding, coverage_row
from trading_assets.repositories.basis import STILL_ON_OLD_BASIS
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, Condition

LONGEST_WAIT = timedelta(days=28)

LEAST_STEP = 0.004
"""Relative difference of all four prices of a session from which two bar sizes are of different bases: recorded ones
agree within 0.0005, the smallest stock dividends are 1 %."""

CENTS = 0.02
"""Dollars by which rounding may set two prices apart."""

Place = tuple[str, str, date]
"""Symbol, bar size and session."""

_TWO = ("", "_other")
_PLACE = ["symbol", "bar_size", "session"]


def left_by_the_broker(
    archive: Archive, symbols: Collection[str], new: pa.Table, left: Sequence[Mapping[str, Any]]
) -> pa.Table:
    """Conditions (rows of `coverage`) of the sessions of `symbols` whose `new` bars (rows of `equity_bars`, not written
    yet) are on another basis than another bar size of the same session.

    `left` are the conditions of those that were known to be. Of two sizes that is the one on the old basis whose bars
    are as they were stored, or that was known to be.
    """
    of_symbols = new.filter(pc.is_in(new["symbol"], pa.array(sorted(symbols), pa.string())))
    if not of_symbols.num_rows:
        return COVERAGE.schema.empty_table()
    known = {_place(row): row for row in left}
    fresh = _by_session(of_symbols).add_suffix("_new")
    rows = _stored(archive, sorted(symbols)).join(fresh, how="outer")
    answered = rows["close_new"].notna()
    changed = pd.Series(False, index=rows.index)
    for name in PRICES:
        changed |= answered & ~(abs(rows[f"{name}_new"] - rows[name]) <= TOLERANCE * rows[name])
        rows[name] = rows[f"{name}_new"].where(answered, rows[name])
    rows["changed"], rows["known"] = changed, [place in known for place in rows.index]
    pairs = rows[answered & ~changed].reset_index().merge(rows.reset_index(), on=["symbol", "session"], suffixes=_TWO)
    pairs = pairs[pairs["bar_size"] != pairs["bar_size_other"]]
    pairs = pairs[pairs["changed_other"] | (pairs["known"] & ~pairs["known_other"])]
    found: list[dict[str, Any]] = pa.Table.from_pandas(pairs, preserve_index=False).to_pylist()
    places = sorted({_place(row) for row in found if _apart(row)})
    request_ids = {_place(row): row["request_id"] for row in of_symbols.select([*_PLACE, "request_id"]).to_pylist()}
    return from_rows(COVERAGE, [_left(archive, place, known.get(place), request_ids[place]) for place in places])


def _place(row: Mapping[str, Any]) -> Place:
    return row["symbol"], row["bar_size"], row["session"]


def _apart(row: Mapping[str, Any]) -> bool:
    """Whether two sizes of a session differ throughout, in one direction."""
    steps = [row[name] / row[f"{name}_other"] - 1 for name in PRICES]
    least = LEAST_STEP + CENTS / min(row["low"], row["low_other"])
    return all(step > least for step in steps) or all(step < -least for step in steps)


def _left(archive: Archive, place: Place, known: Mapping[str, Any] | None, request_id: int) -> dict[str, Any]:
    """The condition of such a session: asked for again after twice the time of the last one."""
    now = archive.now
    again = archive.calendar.closes_at(archive.calendar.following(archive.calendar.last_closed(now)))
    if known is not None and known["retry_after"] is not None:
        if known["retry_after"] > now:  # read before its time, beside other sessions
            now, again = known["collected_at"], known["retry_after"]
        else:
            again = max(again, now + min(LONGEST_WAIT, 2 * (known["retry_after"] - known["collected_at"])))
    symbol, size, session = place
    finding = SessionFinding(Condition.ERROR, STILL_ON_OLD_BASIS, again)
    return coverage_row(EQUITY_BARS.name, size, symbol, 0, session, finding, now, None, request_id)


def _stored(archive: Archive, symbols: Sequence[str]) -> pd.DataFrame:
    sql = """select symbol, bar_size, session, arg_min(open, start) as open, max(high) as high, min(low) as low,
                    arg_max(close, start) as close
             from equity_bars where symbol in (select unnest($symbols::varchar[]))
             group by symbol, bar_size, session"""
    rows = archive.lake.query(sql, {"symbols": list(symbols)})
    return rows.to_pandas(date_as_object=True).set_index(_PLACE)


def _by_session(bars: pa.Table) -> pd.DataFrame:
    frame = bars.select([*_PLACE, "start", *PRICES]).to_pandas(date_as_object=True).sort_values("start")
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    return frame.groupby(_PLACE).agg({name: how[name] for name in PRICES})
