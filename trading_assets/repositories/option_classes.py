"""Adjusted option classes of whole spans of the lake, as SQL, and what they deliver.

A class is adjusted by its name (`instrument.is_adjusted_class`), by another multiplier than 100 beside a class that has
100, or when the underlying's price lies far outside of its quoted strikes. What it delivers is not in TWS's messages.
Strike plus call less put at its own quotes is the price of it; over that of the usual class of the same expiry (else
over the price of the underlying) it is a scale. A scale near a simple ratio is believed: 0.1 after a reverse split of
1:10, 1.5 after a split of 3:2, 1 where the contract still delivers `multiplier` shares. Any other is that of a basket
(a spin-off, cash), whose parts the quotes do not tell: then the deliverable is unknown.
"""

from __future__ import annotations

from trading_assets.instrument import (
    ADJUSTED_CLASS,
    DELTA_ROUNDING,
    LADDER_OFF,
    LARGEST_SCALE,
    MINI_DIGIT,
    MINI_SHARES,
    PARITY_PAIRS,
    PRICE_JUMP,
    SHARES,
)

SCALES = sorted(
    {n / m for m in (1, 2, 3, 4) for n in range(1, 3 * m + 1)}
    | {m / n for m in (1, 2, 3, 4) for n in range(1, 3 * m + 1)}
    | {float(n) for n in range(1, 101)}
    | {1 / n for n in range(1, 101)}
)
"""The scales that are believed."""

SCALE_TOLERANCE = 0.0075
"""Part by which a measured scale may differ from a believed one at most: ticks and early exercise."""

SCALE_NOISE = 0.003
"""Part by which it may differ beside half the spreads of the quotes: they are taken some seconds apart. Believed scales
lie close together, so a wider tolerance would take a basket of shares and cash for shares alone: 30 shares and 1,240
dollars of a stock at 347 are 0.3357 of the usual class, and 1/3 is 0.7 % off."""

NEAREST = 2 * PARITY_PAIRS
"""Pairs nearest the money of an expiry whose median is the price of what is delivered."""


def named_sql(row: str) -> str:
    """Whether the class of a row (an alias with symbol, trading_class and multiplier) has the name of an adjusted one:
    `instrument.is_adjusted_class` in SQL."""
    own = f"regexp_replace(split_part({row}.symbol, '@', 1), '[^A-Z0-9]', '', 'g')"
    return (
        f"(regexp_full_match({row}.trading_class, '{ADJUSTED_CLASS}') and {row}.trading_class <> {own}"
        f" and not {_mini(row)})"
    )


def _mini(row: str) -> str:
    return f"(suffix({row}.trading_class, '{MINI_DIGIT}') and {row}.multiplier = {MINI_SHARES})"


def largest_delta_sql(row: str, classes: str) -> str:
    """The largest possible size of the delta of a row of `option_chains` beside the row of its class among the adjusted
    ones (aliases; the second has the columns of `scaled_sql`, all null where the class is usual): what the class
    delivers where its quotes tell it, else `instrument.largest_delta`."""
    usual = f"({row}.multiplier = {SHARES} or {_mini(row)}) and not {named_sql(row)}"
    return f"""case when {classes}.scale is not null then {classes}.scale * (1 + {DELTA_ROUNDING})
                    when {classes}.symbol is null and {usual} then 1.0 else {LARGEST_SCALE} end"""


_CLASS = "symbol, session, trading_class, multiplier"


def adjusted_sql(chains: str) -> str:
    """Common table expressions, the last of which are

    - `adjusted_groups` (symbol, session, trading_class, multiplier, why): the adjusted classes of which contracts were
      quoted; `why` is `name`, `multiplier` or `ladder`;
    - `deliverables` (the same key, scale): those whose quotes say what they deliver; `scale` is null where that is no
      simple part of the underlying.

    `chains` gives rows of `option_chains`.
    """
    scales = ", ".join(f"{scale!r}" for scale in SCALES)
    return f"""
    class_quotes as (
        select {_CLASS}, expiry, strike, "right", underlying_price,
               case when bid > 0 and ask >= bid then 0.5 * (bid + ask) end as mid, 0.5 * (ask - bid) as half
        from ({chains}) where quote_outcome in ('complete', 'partial')),
    class_spots as (
        select symbol, session, median(underlying_price) as spot from class_quotes where underlying_price > 0
        group by symbol, session),
    class_ladders as (
        select {_CLASS}, min(strike) as lowest, max(strike) as highest, {named_sql("q")} as named
        from class_quotes q group by {_CLASS}),
    usual_classes as (select distinct symbol, session from class_ladders where multiplier = {SHARES} and not named),
    judged_classes as (
        select l.symbol, l.session, l.trading_class, l.multiplier, s.spot,
               case when named then 'name'
                    when multiplier <> {SHARES} and u.symbol is not null and not {_mini("l")} then 'multiplier'
                    when not spot between lowest / {LADDER_OFF} and highest * {LADDER_OFF} then 'ladder'
               end as why
        from class_ladders l
        left join class_spots s on s.symbol = l.symbol and s.session = l.session
        left join usual_classes u on u.symbol = l.symbol and u.session = l.session),
    adjusted_groups as (select {_CLASS}, spot, why from judged_classes where why is not null),
    class_pairs as (
        select {_CLASS}, expiry, strike + c.mid - p.mid as price, c.half + p.half as doubt,
               row_number() over (partition by {_CLASS}, expiry order by abs(c.mid - p.mid), strike) as place
        from (from class_quotes where "right" = 'C' and mid is not null) c
        join (from class_quotes where "right" = 'P' and mid is not null) p using ({_CLASS}, expiry, strike)
        semi join adjusted_groups using (symbol, session)),
    class_prices as (
        select {_CLASS}, expiry, median(price) as price, median(doubt) as doubt, count(*) as pairs
        from class_pairs where place <= {NEAREST} group by {_CLASS}, expiry),
    usual_prices as (
        select symbol, session, expiry, median(price) as price, median(doubt) as doubt from class_prices
        anti join adjusted_groups using ({_CLASS}) where pairs >= {PARITY_PAIRS} group by symbol, session, expiry),
    class_scales as (
        select {_CLASS}, median(p.price / coalesce(u.price, a.spot)) as scale,
               median(p.doubt / p.price + coalesce(u.doubt / u.price, {SCALE_TOLERANCE})) as doubt
        from class_prices p join adjusted_groups a using ({_CLASS}) left join usual_prices u
          using (symbol, session, expiry)
        group by {_CLASS} having sum(pairs) >= {PARITY_PAIRS} and scale > 0),
    simple_scales as (select unnest([{scales}]::double[]) as simple),
    deliverables as (
        select {_CLASS}, case when near[1] <= least({SCALE_TOLERANCE}, {SCALE_NOISE} + doubt) then near[2] end as scale
        from (select {_CLASS}, any_value(doubt) as doubt, min([abs(scale / simple - 1), simple]) as near
              from class_scales, simple_scales group by {_CLASS}))"""


def scaled_sql(rows: str) -> str:
    """A select of `rows` (a relation with the key of a class and `session`) with `adjusted` and `scale`: 1 of usual
    classes, null where the deliverable of an adjusted one is not known. It follows `adjusted_sql`.

    A session without quotes that tell goes by the one before it. Before the first one an adjusted class has no scale:
    its contracts may have been usual ones then.
    """
    return f"""
        select g.*, coalesce({named_sql("g")} or o.symbol is not null or t.why is not null, false) as adjusted,
               if(adjusted, b.scale, 1.0) as scale
        from {rows} g
        left join (select distinct symbol, trading_class, multiplier from adjusted_groups where why = 'multiplier') o
          on o.symbol = g.symbol and o.trading_class = g.trading_class and o.multiplier = g.multiplier
        left join adjusted_groups t on t.symbol = g.symbol and t.session = g.session
          and t.trading_class = g.trading_class and t.multiplier = g.multiplier
        asof left join deliverables b on b.symbol = g.symbol and b.trading_class = g.trading_class
          and b.multiplier = g.multiplier and g.session >= b.session"""


def unrestated_sql(chains: str) -> str:
    """A select of `symbol, con_id, since`: quoted contracts over which the price of their underlying jumped at the
    session `since` (`PRICE_JUMP`) while their terms stayed. From then on their strikes are of another scale than those
    of their class. `chains` gives rows of `option_chains`."""
    return f"""
        with quoted as (from ({chains}) where quote_outcome in ('complete', 'partial')),
        spots as (select symbol, session, median(underlying_price) as spot from quoted where underlying_price > 0
                  group by symbol, session),
        jumps as (select symbol, session as since
                  from (select *, spot / lag(spot) over (partition by symbol order by session) as step from spots)
                  where not step between {1 / PRICE_JUMP} and {PRICE_JUMP})
        select q.symbol, q.con_id, j.since from quoted q join jumps j on j.symbol = q.symbol
        group by q.symbol, q.con_id, j.since
        having min(q.session) < j.since and max(q.session) >= j.since
           and count(distinct (q.trading_class, q.multiplier, q.strike)) = 1"""
