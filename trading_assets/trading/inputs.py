"""What positions are valued from: rows of the lake, and the fresh quotes of a recorder.

Here belongs which rows are read. What follows from them is `trading.valuing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa

from trading_assets.collecting.greeks import EXPIRY
from trading_assets.collecting.steps.option_greeks import GIVEN, KNOWN, TO_PRICE
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.lake import Lake

REACH = timedelta(days=92)
"""How far back marks are looked for: what is older than a quarter says nothing about today."""


def stored_expiries(lake: Lake, con_ids: Sequence[int], today: date) -> pa.Table:
    """The quotes and daily closes that options are valued from, as `GreeksMaker.rows` takes them: of each contract the
    newest quote and the newest close, each with all others of its expiry in that session. Their `session` and `source`
    say which."""
    listed = """select distinct symbol from option_chains
                where con_id in (select unnest($ids::bigint[])) and session >= $first"""
    symbols = lake.query(listed, {"ids": list(con_ids), "first": today - REACH})["symbol"].to_pylist()
    expiry = ", ".join(EXPIRY)
    sql = f"""with {GIVEN},
                  newest as (select con_id, source, max(session) as session from given
                             where con_id in (select unnest($ids::bigint[])) group by con_id, source),
                  chosen as (select distinct {", ".join(f"given.{name}" for name in EXPIRY)}
                             from given join newest using (con_id, source, session))
              select {TO_PRICE} from given semi join chosen using ({expiry}) {KNOWN}
              order by {expiry}, strike, "right", con_id"""
    values = {"symbols": symbols, "first": today - REACH, "last": today, "ids": list(con_ids)}
    return lake.query(sql, values)


def stored_prices(lake: Lake, con_ids: Sequence[int], today: date) -> pa.Table:
    """Prices of underlyings by contract: `con_id`, `source` (`chain`: the median of the newest chain's quotes, at the
    median of their times; `bar`: the newest daily close), `session`, `at` (null: the session's close) and `price`. At
    most one row a contract and source."""
    sql = f"""with chain as (select under_con_id as con_id, 'chain' as source, session, median(quoted_at) as at,
                                    median(underlying_price) as price
                             from option_chains
                             where under_con_id in (select unnest($ids::bigint[])) and session >= $first
                               and quoted_at is not null and underlying_price > 0
                             group by under_con_id, session),
                   bar as (select con_id, 'bar' as source, session, null::timestamptz as at, close as price
                           from equity_bars
                           where con_id in (select unnest($ids::bigint[])) and session >= $first
                             and bar_size = '{DAILY}' and close > 0)
              select * from (select * from chain union all select * from bar)
              qualify row_number() over (partition by con_id, source order by session desc) = 1"""
    return lake.query(sql, {"ids": list(con_ids), "first": today - REACH})
