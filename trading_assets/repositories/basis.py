"""The basis of the prices of equity bars: which sessions are known to be on another one than the rest of their symbol,
and at which prices bars were traded.

The broker restates all history of a symbol after a corporate action, and all stored bars are then read anew. What could
not be read has its condition reopened with a reason that begins with `ON_OLD_BASIS`: so it is named by `coverage` and
by the rule `one_basis`, and the next collection of the symbol asks for it.
"""

from __future__ import annotations

from trading_assets.repositories.as_of import FIRST, as_of_sql
from trading_assets.repositories.schemas import EQUITY_BARS

ON_OLD_BASIS = "Prices were restated and this session was not read anew"
"""How the reason of such a condition begins."""

NO_LONGER_GIVEN = f"{ON_OLD_BASIS}: the broker no longer gives these bars."
"""The reason where asking again brings nothing; the condition stays `complete`."""

STILL_ON_OLD_BASIS = (
    f"{ON_OLD_BASIS}: the broker has restated other bar sizes of the session and answers these bars as before."
)
"""The reason where asking again brought the old prices; the condition is `error`, and it is asked for again."""

_PRICES = ("open", "high", "low", "close")

_SMALLEST_RATIO = 0.03
"""Part of the price up to which a changed bar counts as corrected; a stock dividend of 5 % is a restatement."""

_ROUNDING = "1.01 + 0.02 / least(first_close, close)"
"""The largest of four ratios over the smallest, when one ratio restated all and both prices are cents."""


def traded_sql(rows: str, revisions: str) -> str:
    """A SELECT of equity bars at the prices of the day on which they were first collected: what options were traded
    beside, before a later split restated the bars.

    `rows` and `revisions` are relations of SQL text with the columns of `equity_bars` and of its revisions. A bar that
    was corrected has its corrected prices. Columns of `equity_bars`.
    """
    first = as_of_sql(EQUITY_BARS, rows, revisions, FIRST)
    known = ", ".join(f'f."{name}" as first_{name}' for name in (*_PRICES, "volume", "wap"))
    ratios = ", ".join(f"first_{name} / {name}" for name in _PRICES)
    names = [f'if(scaled, first_{name}, "{name}") as "{name}"' for name in (*_PRICES, "volume", "wap")]
    chosen = ", ".join(names)
    return f"""
        select {", ".join(f'"{name}"' for name in EQUITY_BARS.schema.names)} from (
            select * replace ({chosen}) from (
                select *, coalesce(abs(first_close / close - 1) > {_SMALLEST_RATIO} and low > 0 and first_low > 0
                                   and greatest({ratios}) / least({ratios}) <= {_ROUNDING}, false) as scaled
                from (select e.*, {known} from {rows} e left join ({first}) f using (symbol, bar_size, start))))"""


def restated_sql(rows: str, revisions: str) -> str:
    """A SELECT of `symbol, session, known_until` of the bars that the broker has restated: the instant until which the
    lake had prices of another basis than the present one. What was collected from then on is of the present basis.

    `rows` and `revisions` as of `traded_sql`.
    """
    return f"""
        select r.symbol, r.session, max(r.superseded_at) as known_until
        from {revisions} r join {rows} e using (symbol, bar_size, start)
        where abs(r.close / e.close - 1) > {_SMALLEST_RATIO} group by r.symbol, r.session"""
