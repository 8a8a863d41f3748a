"""What an answer holds beside the sessions it was asked for: daily bars come by the year, and those that are stored
show a restatement at no cost, however small it is, however late it comes and however far back it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.restated import PRICES, TOLERANCE
from trading_assets.collecting.examine import examine
from trading_assets.repositories.schemas import EQUITY_BARS

DAILY = "1 day"


def with_earlier_sessions(archive: Archive, results: Sequence[Result]) -> list[Result]:
    """The results, answers of daily bars as if all stored sessions that they reach back to had been asked for.

    Left as they are: answers whose earlier bars are not all possible (nobody asked for them), and those that reach back
    over no stored session.
    """
    symbols = sorted({r.request.symbol for r in results if _is_daily(r)})
    if not symbols:
        return list(results)
    first = {s: days[0] for s, days in archive.view(EQUITY_BARS).stored_sessions(symbols, where=_OF_DAYS).items()}
    found = []
    for result in results:
        since = first.get(result.request.symbol) if _is_daily(result) else None
        request = result.request
        if since is not None and isinstance(request, BarsRequest) and since < request.first_session:
            start = min(bar[0] for bar in result.payload["bars"])
            asked = archive.calendar.sessions(since, request.first_session)
            reached = next((day for day in asked if f"{day:%Y%m%d}" >= start), request.first_session)
            wider = replace(request, first_session=reached)
            examined = examine(wider, result.payload, archive.calendar, result.finished_at)
            if not examined.faults:
                result = replace(result, request=wider, payload=examined.payload)
        found.append(result)
    return found


def changed_rows(new: pa.Table, stored: pa.Table, asked: pa.Table) -> pa.Table:
    """The rows of `new` that are stored with other prices and are not among those `asked` for (rows of `equity_bars`):
    single bars that the broker has corrected."""
    key = list(EQUITY_BARS.key)
    old = stored.select([*key, *PRICES]).rename_columns([*key, *(f"{name}_old" for name in PRICES)])
    both = new.join(asked.select(key), key, join_type="left anti").join(old, key, join_type="inner")
    changed = pa.array([False] * both.num_rows, pa.bool_())
    for name in PRICES:
        apart = pc.abs(pc.subtract(both[name], both[f"{name}_old"]))
        changed = pc.or_(changed, pc.greater(apart, pc.multiply(pc.abs(both[f"{name}_old"]), TOLERANCE)))
    return both.filter(changed).select(new.column_names).cast(new.schema)


_OF_DAYS = f"bar_size = '{DAILY}'"


def _is_daily(result: Result) -> bool:
    return (
        isinstance(result.request, BarsRequest)
        and result.request.bar_size == DAILY
        and result.outcome.kind is OutcomeKind.COMPLETE
        and result.payload is not None
        and bool(result.payload["bars"])
        and all(type(bar[0]) is str for bar in result.payload["bars"])
    )
