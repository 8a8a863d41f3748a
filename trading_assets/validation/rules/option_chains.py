"""Rules of `option_chains`: snapshots are fresh, whole, of their own session, and their values can be true.

Only selected contracts carry quotes. A missing bid is real (nobody bids), so are values the broker's model did not
compute: null passes where that is so.
"""

from __future__ import annotations

from trading_assets.repositories.option_classes import largest_delta_sql, named_sql
from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

TOGETHER_MINUTES = 60
"""Quotes of one symbol's snapshot lie within this (minutes): at 95 lines and 11 s a quote an hour is 30,000 quotes,
more is an interruption."""

COPY_CONTRACTS = 10
"""Fewest contracts a copy can be told from: of a handful all may stand still for a day."""

COPY_TRADES = 0.75
"""Share of traded contracts with the volume and last price of the session before that makes a copy. Recorded chains
share 0.07 at most, the holiday copy of 2019-05-27 0.92: its quotes had moved after the snapshot it repeats, the day's
trades had not."""

COPY_QUOTES = 0.95
"""Share of equal quotes that makes a copy; recorded chains share 0.03 at most."""

COPY_BID = 0.5
"""Only bids from this (dollars) on are compared: worthless options stand at the same few cents for days."""

LARGEST_VOLATILITY = 10.0
"""1,000 % a year. Recorded SPX and stock chains stay below from `VOLATILITY_DAYS` on; the broker's overflow values are
far above."""

VOLATILITY_DAYS = 2
"""Calendar days to expiry from which a volatility has an upper bound: recorded SPX contracts show 36 on their last
day."""

DELTA_TOLERANCE = 0.001
"""Deltas are rounded by the model that computed them."""

OPEN_INTEREST_SHARE = 0.9
"""Share of quoted contracts with open interest: some quotes end at their time limit before it comes."""

ADJUSTED_SHARE = 0.5
"""When this share of an expiry's strikes is gone at once, the chain was adjusted (a split), no single contract was
delisted."""

_PREVIOUS = """snapshots as (select distinct symbol, session from option_chains),
               steps as (select symbol, session, lag(session) over (partition by symbol order by session) as previous
                         from snapshots)"""

RULES = (
    named("listing_named", "option_chains"),
    Rule(
        "chain_current",
        "option_chains",
        Severity.ERROR,
        why=(
            "A chain that is a day old lacks new strikes and expiries; a snapshot that is missed is unavailable for"
            " good."
        ),
        remedy="Run trading-assets update SYMBOL while the market is open.",
        rows="""select a.symbol, p.current_session as session, s.session as snapshot, s.seen, p.now,
                       p.stale_chain_hours as hours
                from active_symbols a cross join present p left join (
                    select symbol, o.session, coalesce(o.quoted, k.closes) as seen from (
                        select * from (
                            select symbol, session, max(quoted_at) as quoted from all_option_chains
                            group by symbol, session
                            union all select symbol, session, collected_at from all_coverage
                            where dataset = 'option_chains' and condition = 'nothing_selected')
                        qualify row_number() over (partition by symbol
                                                   order by session desc, quoted desc nulls last) = 1) o
                    left join session_calendar k on k.session = o.session) s on s.symbol = a.symbol
                where a.symbol not in (select symbol from all_coverage where dataset = 'option_chains' group by symbol
                                       having arg_max(condition, session) = 'no_contract')""",
        holds="snapshot >= session or now - seen <= to_seconds(hours * 3600)",
        shows=("snapshot", "seen"),
        of_now=True,
    ),
    Rule(
        "chain_each_session",
        "option_chains",
        Severity.WARN,
        why=(
            "A snapshot that was missed, or came without a value, is unavailable later; option bars of that session are"
            " selected by the next one."
        ),
        remedy="Nothing brings it back. Keep the daily snapshot schedule on, or accept the gap.",
        rows="""select s.symbol, k.session, c.session is not null as snapshot, v.condition
                from (select symbol, min(session) as first from all_option_chains group by symbol) s
                join session_calendar k on k.session >= s.first and k.session < (select current_session from present)
                left join (select symbol, session from option_chains group by symbol, session
                           having count(quote_outcome) = 0
                             or count(coalesce(bid, ask, last, volume, open_interest, implied_volatility)) > 0) c
                    on c.symbol = s.symbol and c.session = k.session
                left join coverage v on v.dataset = 'option_chains' and v.symbol = s.symbol and v.session = k.session
                where c.session is not null or s.symbol in (select symbol from active_symbols)
                   or k.session < (select max(session) from all_option_chains o where o.symbol = s.symbol)""",
        holds="snapshot or condition in ('no_contract', 'not_permitted', 'expired_lost', 'nothing_selected')",
        shows=("condition",),
    ),
    Rule(
        "both_rights",
        "option_chains",
        Severity.ERROR,
        why=(
            "Calls and puts are listed together: an expiry with one of them only is half a listing, and there is no"
            " third right."
        ),
        remedy="Run trading-assets update SYMBOL --refresh: the expiry is listed again.",
        rows="""select symbol, session, expiry, count(*) as contracts,
                       count(*) filter (where "right" = 'C') as calls, count(*) filter (where "right" = 'P') as puts
                from option_chains group by symbol, session, expiry""",
        holds="calls > 0 and puts > 0 and calls + puts = contracts",
        shows=("expiry", "contracts", "calls", "puts"),
    ),
    Rule(
        "expiry_not_before_session",
        "option_chains",
        Severity.ERROR,
        why="An expired contract cannot be listed: the chain is of another day, or its dates are wrong.",
        remedy="Look at the row's request_id; collect the chain again with --refresh.",
        holds="expiry >= session",
        shows=("local_symbol", "expiry"),
    ),
    Rule(
        "strikes_around_spot",
        "option_chains",
        Severity.ERROR,
        why=(
            "A chain whose strikes all lie on one side of the price is cut off, or of before a split. Classes that a"
            " corporate action has adjusted have strikes of another scale and are left out."
        ),
        remedy="Run trading-assets update SYMBOL --refresh. After a split the whole listing is read again.",
        rows=f"""select symbol, session, expiry, min(strike) as lowest, max(strike) as highest, any_value(spot) as spot
                from (select * from option_chains o
                      anti join (from adjusted_classes where why <> 'ladder' or scale <> 1)
                        using (symbol, session, trading_class, multiplier)
                      where not {named_sql("o")})
                join (select symbol, session, median(underlying_price) as spot from option_chains
                      group by symbol, session) using (symbol, session)
                group by symbol, session, expiry""",
        holds="lowest > 0 and isfinite(lowest) and isfinite(highest) and lowest <= spot and spot <= highest",
        null_passes=True,  # a chain without a single quote has no price; that quotes lack is said by coverage
        shows=("expiry", "lowest", "highest", "spot"),
    ),
    Rule(
        "no_doubled_contract",
        "option_chains",
        Severity.WARN,
        why=(
            "Two contracts with equal terms (contracts moved by an unscheduled close, an adjustment) count twice in"
            " every sum over the chain."
        ),
        remedy=(
            "Tell them apart by con_id: both are quoted and collected under their own. Leave one out of sums over the"
            " chain."
        ),
        rows="""select symbol, session, trading_class, expiry, strike, "right", multiplier, count(*) as contracts
                from option_chains group by symbol, session, trading_class, expiry, strike, "right", multiplier""",
        holds="contracts = 1",
        shows=("trading_class", "expiry", "strike", "right", "contracts"),
    ),
    Rule(
        "bid_not_above_ask",
        "option_chains",
        Severity.ERROR,
        why=(
            "A crossed quote is no quote: bid and ask are of different moments or of different contracts. Nobody quotes"
            " below zero or without end."
        ),
        remedy=(
            "Quote the session again with trading-assets update SYMBOL --refresh while the market is open; leave the"
            " row out of research."
        ),
        rows="select * from option_chains where bid is not null or ask is not null",
        holds="bid >= 0 and ask >= 0 and isfinite(bid) and isfinite(ask) and bid <= ask",
        null_passes=True,  # nobody bids, or nobody asks; the other side is looked at all the same
        shows=("local_symbol", "bid", "ask"),
    ),
    Rule(
        "quoted_in_session",
        "option_chains",
        Severity.ERROR,
        why="A quote from before the session's open or after the next open is of another session.",
        remedy="Check the machine's clock and time zone, then collect the current session again.",
        rows="""select o.*, k.opens, k.following from option_chains o left join session_calendar k using (session)
                where o.quote_outcome in ('complete', 'partial')""",
        holds="quoted_at >= opens and quoted_at < following",
        shows=("local_symbol", "quoted_at"),
    ),
    Rule(
        "quotes_taken_together",
        "option_chains",
        Severity.WARN,
        why="Quotes an hour apart see different prices of the underlying: the snapshot is no moment of the market.",
        remedy="Quote fewer contracts (selection), or see in the requests what held the snapshot up.",
        rows="""select symbol, session, min(quoted_at) as first_quote, max(quoted_at) as last_quote
                from option_chains where quoted_at is not null group by symbol, session""",
        holds=f"last_quote - first_quote <= interval {TOGETHER_MINUTES} minutes",
        shows=("first_quote", "last_quote"),
    ),
    Rule(
        "implied_volatility_in_range",
        "option_chains",
        Severity.WARN,
        why="A volatility of zero or below, or of a thousand percent, is a value the model failed to compute.",
        remedy="Leave the value out, or compute it from bid and ask.",
        rows="select * from option_chains where implied_volatility is not null",
        holds=f"""implied_volatility > 0 and isfinite(implied_volatility)
                  and (implied_volatility <= {LARGEST_VOLATILITY} or expiry - session < {VOLATILITY_DAYS})""",
        shows=("local_symbol", "implied_volatility"),
    ),
    Rule(
        "delta_in_range",
        "option_chains",
        Severity.WARN,
        why=(
            "A call's delta lies between 0 and 1, a put's between -1 and 0 (of an adjusted class, as far as the shares"
            " that it delivers go for a unit of its multiplier); anything else is a wrong sign or a wrong row."
        ),
        remedy="Leave the greeks of the row out; distinguish it from the broker's by its request_id.",
        rows=f"""select o.*, {largest_delta_sql("o", "a")} as largest
                 from option_chains o left join adjusted_classes a using (symbol, session, trading_class, multiplier)
                 where delta is not null""",
        holds=f"""isfinite(delta)
                  and case "right"
                           when 'C' then delta between -{DELTA_TOLERANCE} and largest + {DELTA_TOLERANCE}
                           when 'P' then delta between -largest - {DELTA_TOLERANCE} and {DELTA_TOLERANCE}
                      end""",
        shows=("local_symbol", "right", "delta", "largest"),
    ),
    Rule(
        "open_interest_present",
        "option_chains",
        Severity.WARN,
        why=(
            "Open interest comes with the quote once a day; a snapshot without it lost its subscription's generic"
            " ticks."
        ),
        remedy="Check the option market-data subscription (OPRA) of the account.",
        rows="""select symbol, session, count(*) as quoted,
                       count(*) filter (where open_interest >= 0 and isfinite(open_interest)) as with_open_interest
                from option_chains where quote_outcome in ('complete', 'partial') group by symbol, session""",
        holds=f"with_open_interest >= {OPEN_INTEREST_SHARE} * quoted",
        shows=("quoted", "with_open_interest"),
    ),
    Rule(
        "not_a_copy",
        "option_chains",
        Severity.ERROR,
        why=(
            "Quotes that all equal those of the session before are that session's: a holiday or a frozen feed was taken"
            " for a new day."
        ),
        remedy=(
            "Do not use the quotes of this session. Check the account's market data type, then collect the next session"
            " in time."
        ),
        rows=f"""with {_PREVIOUS}
                select n.symbol, n.session, s.previous,
                       count(*) filter (where n.bid >= {COPY_BID} and o.bid >= {COPY_BID}) as quoted,
                       count(*) filter (where n.bid >= {COPY_BID} and n.bid = o.bid and n.ask = o.ask) as equal_quotes,
                       count(*) filter (where n.volume > 0 and o.volume > 0) as traded,
                       count(*) filter (where n.volume > 0 and n.volume = o.volume
                                        and n.last is not distinct from o.last) as equal_trades
                from option_chains n join steps s on s.symbol = n.symbol and s.session = n.session
                join option_chains o on o.symbol = n.symbol and o.session = s.previous
                  and o.local_symbol = n.local_symbol
                group by n.symbol, n.session, s.previous""",
        holds=f"""(quoted < {COPY_CONTRACTS} or equal_quotes < {COPY_QUOTES} * quoted)
                  and (traded < {COPY_CONTRACTS} or equal_trades < {COPY_TRADES} * traded)""",
        shows=("previous", "quoted", "equal_quotes", "traded", "equal_trades"),
    ),
    Rule(
        "listing_diff_explained",
        "option_chains",
        Severity.WARN,
        why="A contract that vanished before its expiry was delisted or renamed, or the listing is cut off.",
        remedy=(
            "Compare with the exchange's listing; run trading-assets update SYMBOL --refresh to list everything again."
        ),
        rows=f"""with {_PREVIOUS},
                expiries as (select distinct symbol, session, expiry from option_chains),
                horizon as (select symbol, session, max(expiry) as furthest from option_chains
                            group by symbol, session),
                gone as (
                    select s.symbol, s.session, s.previous, o.expiry, o.trading_class,
                           count(*) as before, count(*) filter (where n.con_id is null) as vanished,
                           bool_or(e.expiry is not null) as goes_on
                    from steps s join option_chains o on o.symbol = s.symbol and o.session = s.previous
                    join horizon h on h.symbol = s.symbol and h.session = s.session
                    left join option_chains n on n.symbol = s.symbol and n.session = s.session and n.con_id = o.con_id
                    left join expiries e on e.symbol = s.symbol and e.session = s.session and e.expiry = o.expiry
                    where o.last_trade >= strftime(s.session, '%Y%m%d') and o.expiry <= h.furthest
                    group by s.symbol, s.session, s.previous, o.expiry, o.trading_class),
                fresh as (
                    select s.symbol, s.session, count(*) filter (where o.con_id is null) as listed
                    from steps s join option_chains n on n.symbol = s.symbol and n.session = s.session
                    left join option_chains o on o.symbol = s.symbol and o.session = s.previous and o.con_id = n.con_id
                    where s.previous is not null group by s.symbol, s.session)
                select g.symbol, g.session, g.previous, any_value(f.listed) as listed,
                       coalesce(sum(vanished) filter (where vanished < {ADJUSTED_SHARE} * before or not goes_on),
                                0) as delisted,
                       coalesce(sum(vanished) filter (where vanished >= {ADJUSTED_SHARE} * before and goes_on),
                                0) as adjusted
                from gone g left join fresh f on f.symbol = g.symbol and f.session = g.session
                group by g.symbol, g.session, g.previous""",
        holds="delisted = 0",
        shows=("previous", "listed", "delisted", "adjusted"),
    ),
)
