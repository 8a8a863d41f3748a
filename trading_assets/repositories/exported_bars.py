"""The rows of bars that are written for other programs (`nautilus_catalog`, `lean_folder`), and what is left out.

Numbers are written from the shortest text that names
the stored double, so that no price is rounded. What a format cannot hold is left out and counted, by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time
from typing import Any, Self

import duckdb
import pyarrow as pa

from trading_assets.repositories.schemas import OPTION_BARS, Dataset
from trading_assets.sessions import NEW_YORK, calendar


class Exported(int):
    """The number of rows that were written.

    `left_out`: rows that the format cannot hold, by reason. `zero_volumes`: bars of an index, which has no volume, that
    were written with volume 0 because the format wants a number.
    """

    left_out: dict[str, int]
    zero_volumes: int

    def __new__(cls, rows: int, left_out: dict[str, int] | None = None, zero_volumes: int = 0) -> Self:
        """A number of rows, with what else is to be said of them."""
        self = super().__new__(cls, rows)
        self.left_out, self.zero_volumes = left_out or {}, zero_volumes
        return self

    @classmethod
    def together(cls, parts: Iterable[Exported]) -> Exported:
        """The sum of what was said of parts of the rows."""
        rows, zero_volumes, left_out = 0, 0, Counter[str]()
        for part in parts:
            rows, zero_volumes = rows + part, zero_volumes + part.zero_volumes
            left_out.update(part.left_out)
        return cls(rows, dict(sorted(left_out.items())), zero_volumes)


BATCH_ROWS = 131_072
"""Rows in memory at once."""

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")


def plain(number: str) -> str:
    """The SQL of a double's shortest text without zeros at its end. It has a letter where it would need an exponent."""
    return f"rtrim(rtrim(cast({number} as varchar), '0'), '.')"


def decimals(*names: str) -> str:
    """The SQL of the most decimals among the columns `<name>_text`."""
    each = ", ".join(f"length(split_part({name}_text, '.', 2))" for name in names)
    return f"greatest({each})"


_REASONS = f"""
    when volume_text is null then 'no volume is known'
    when regexp_matches(concat_ws(' ', {", ".join(f"{name}_text" for name in NUMBERS)}), '[a-z]') or volume < 0
    then 'a number is too large or too small'"""

_SECONDS = """cast(split_part(bar_size, ' ', 1) as bigint)
            * case split_part(bar_size, ' ', 2)[1] when 's' then 1 when 'm' then 60 when 'h' then 3600 else 86400 end"""

_BARS = """
    create or replace temp table bars as
    with given as (select * exclude (wap, bar_count, collected_at, request_id) from ({source}) where symbol = ?),
    company as (
        select symbol, arg_max(sec_type, session) as sec_type,
            nullif(arg_max(primary_exchange, session), '') as primary_exchange
        from contracts group by symbol
    ),
    worded as (
        select given.* exclude (volume), company.sec_type, company.primary_exchange,
            {seconds} as seconds,
            if({no_volume}, coalesce(volume, 0), volume) as volume, volume is null as unknown_volume,
            {texts},
            epoch_us(start) - midnight as since_midnight, midnight, closes
        from given
        left join company using (symbol)
        left join exchange_sessions using (session)
    )
    select * exclude (midnight, closes), {volume_text} as volume_text,
        since_midnight // (seconds * 1000000) * seconds * 1000000 as on_the_grid,
        case when bar_size = '1 day' then closes
            when midnight + since_midnight < closes
            then least(midnight + on_the_grid + seconds * 1000000, closes)
            else midnight + on_the_grid + seconds * 1000000 end as ends,
        case {reasons} end as left_out
    from worded"""


def each_symbol(
    lake: duckdb.DuckDBPyConnection, dataset: Dataset, source: str, parameters: Sequence[Any], reasons: str
) -> Iterator[Exported]:
    """Make the temporary table `bars` for one symbol of `source` after the other, and say what of it is to be written.

    It has the rows with `<name>_text` for their numbers and the terms of options, their company, `since_midnight` (of
    New York), `on_the_grid` (the same, rounded down to the clock), `ends` (all in microseconds; `ends` since the epoch,
    UTC) and `left_out`: the first of the `reasons` that holds, or null. `reasons` are branches of a CASE that follow
    those which hold for each format. One symbol at a time: all rows of a lake may be more than the memory holds.
    """
    lake.register("exchange_sessions", _sessions())
    names = (*PRICES, "strike", "multiplier") if dataset is OPTION_BARS else PRICES
    sql = _BARS.format(
        source=source,
        texts=", ".join(f"{plain(name)} as {name}_text" for name in names),
        no_volume="false" if dataset is OPTION_BARS else "sec_type is not distinct from 'IND'",
        volume_text=plain("volume"),
        seconds=_SECONDS,
        reasons=_REASONS + reasons,
    )
    for (symbol,) in lake.execute(f"select distinct symbol from ({source}) order by 1", list(parameters)).fetchall():
        lake.execute(sql, [*parameters, symbol])
        counts: dict[str | None, int] = dict(
            lake.execute("select left_out, count(*) from bars group by left_out order by left_out").fetchall()
        )
        written = counts.pop(None, 0)
        zero = lake.execute("select count(*) from bars where left_out is null and unknown_volume").fetchall()[0][0]
        yield Exported(written, {str(reason): count for reason, count in counts.items()}, zero)


def _sessions() -> pa.Table:
    """All sessions with midnight in New York and the regular close, in microseconds since the epoch."""
    days = calendar()
    sessions = days.sessions(days.first, days.last)
    microseconds = pa.timestamp("us", tz="UTC")
    midnights = pa.array([datetime.combine(day, time(), NEW_YORK).astimezone(UTC) for day in sessions], microseconds)
    closes = pa.array([days.closes_at(day) for day in sessions], microseconds)
    return pa.table(
        {"session": sessions, "midnight": midnights.cast(pa.int64()), "closes": closes.cast(pa.int64())},
    )
