"""Whether prices that came a hundred times larger or smaller are in another unit, or of a split of 1:100 (100:1) whose
volumes the broker leaves as they were: the strikes of the stock's options, and its quotes, tell.

Strikes are the exchange's, in dollars, whatever unit bars come in; after a split new ones are listed around the new
price. Classes that the split has adjusted keep strikes of the old price and say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.unit_changes import UnitChange
from trading_assets.instrument import LADDER_OFF
from trading_assets.repositories.option_classes import named_sql
from trading_assets.repositories.schemas import OPTION_CHAINS

_QUOTED_NEAR = 1.5
"""A quote of the same session that is so many times a close, or such a part of it, is of the same level."""


def is_restated(archive: Archive, change: UnitChange, bars: pa.Table) -> bool:
    """Whether the prices of a change of their unit are dollars, restated by a split; False also where nothing tells.

    `bars` are new rows of `equity_bars`; compared is the newest of their sessions that has a chain.
    """
    mine = bars.filter(pc.and_(pc.equal(bars["symbol"], change.symbol), pc.equal(bars["bar_size"], change.bar_size)))
    sessions = mine["session"].unique().to_pylist()
    if not archive.view(OPTION_CHAINS).stored_sessions([change.symbol]):
        return False
    found = _chain(archive, change.symbol, sessions)
    if found is None:
        return False
    session, lowest, highest, spot = found
    closes = mine.filter(pc.equal(mine["session"], pa.scalar(session))).sort_by("start")["close"]
    price, other = closes[-1].as_py(), closes[-1].as_py() / change.factor
    if lowest is not None and highest is not None:
        among = [lowest / LADDER_OFF <= value <= highest * LADDER_OFF for value in (price, other)]
        if among[0] != among[1]:
            return among[0]
    return spot is not None and 1 / _QUOTED_NEAR < spot / price < _QUOTED_NEAR


def _chain(
    archive: Archive, symbol: str, sessions: Sequence[date]
) -> tuple[date, float | None, float | None, float | None] | None:
    """The newest of the sessions that has a chain, with the lowest and highest strike of its usual classes and the
    quoted price of the stock."""
    sql = f"""select session, min(strike) filter (not {named_sql("o")}) as lowest,
                     max(strike) filter (not {named_sql("o")}) as highest,
                     median(underlying_price) filter (underlying_price > 0) as spot
              from option_chains o where symbol = $symbol and session in (select unnest($sessions::date[]))
              group by session order by session desc limit 1"""
    rows = archive.lake.query(sql, {"symbol": symbol, "sessions": list(sessions)}).to_pylist()
    return tuple(rows[0].values()) if rows else None
