"""Rules of `option_bars`: what they build on is there, each bar is of a listed contract in its life, prices can be
true.

An option's last trade may be hours older than the close of its underlying, so prices are held against the whole range
of the underlying's session, and only where the option traded: the range that was in the lake when the option was
collected, where the broker has restated it since. Of a class that a corporate action has adjusted it is that of what
the contract delivers; where that is unknown (`adjusted_deliverable`) the class is left out. Put-call parity and
intrinsic value are warnings: dividends and rates move them without an error of anybody.
"""

from __future__ import annotations

from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

CARRY = 0.06
"""Yearly rate (1.00 = 100 %) up to which rates and dividends may move a European option below its intrinsic value, or a
pair off parity."""

PRICE_TOLERANCE = 0.01
"""Part of the underlying's price by which a last trade may lie beyond what the session's range allows: bid-ask width of
deep contracts."""

LIQUID = 50
"""Contracts traded in a session from which a pair counts as liquid: some trades on each side are near the close."""

_LIFE = "date_diff('day', session, expiry) / 365.0"
_PRICED = """(
    select b.*, b.scale * if(b.collected_at >= r.known_until, e.high, t.high) as spot_high,
           b.scale * if(b.collected_at >= r.known_until, e.low, t.low) as spot_low,
           b.scale * if(b.collected_at >= r.known_until, e.close, t.close) as spot
    from (select b.*, if(a.symbol is not null, a.scale, if(u.con_id is null, 1.0, null)) as scale
          from option_bars b left join adjusted_classes a using (symbol, session, trading_class, multiplier)
          left join (select con_id, min(since) as since from unrestated_contracts group by con_id) u
            on u.con_id = b.con_id and b.session >= u.since
          where b.bar_size = '1 day') b
    join traded_equity_bars t on t.symbol = b.symbol and t.session = b.session
    join equity_bars e on e.symbol = b.symbol and e.session = b.session and e.bar_size = '1 day'
    left join restated_bars r on r.symbol = b.symbol and r.session = b.session
    where b.scale is not null)"""
"""Daily option bars, each with the price range and the close of what the contract delivered in that session: as they
were then, and as they are now where the option came after a restatement."""

RULES = (
    named("option_bar_named", "option_bars"),
    Rule(
        "prerequisites_held",
        "option_bars",
        Severity.ERROR,
        why="Option bars build on contract, chain and equity bars; without them nobody can tell what they are bars of.",
        remedy="Run trading-assets update SYMBOL: it collects in dependency order.",
        rows="""select b.symbol, max(b.session) as session, b.symbol in (select symbol from all_contracts) as contract,
                       b.symbol in (select symbol from all_option_chains where selected) as chain,
                       b.symbol in (select symbol from all_equity_bars) or b.symbol in (
                           select symbol from all_coverage where dataset = 'equity_bars' and con_id = 0 group by symbol
                           having bool_or(condition = 'no_trades') and not bool_or(condition = 'complete')) as equity
                from option_bars b group by b.symbol""",
        holds="contract and chain and equity",
        shows=("contract", "chain", "equity"),
    ),
    Rule(
        "contract_in_a_chain",
        "option_bars",
        Severity.ERROR,
        why=(
            "A bar of a contract that no chain lists, or with another expiry, strike or right than every chain says,"
            " has terms nobody can check."
        ),
        remedy="Collect the chain of the symbol; remove bars that another program wrote.",
        # A corporate action changes the strike of a contract: the terms of any of its chains will do.
        rows="""with terms as (select distinct symbol, con_id, expiry, strike, "right" from all_option_chains)
                select b.symbol, b.con_id, max(b.session) as session, any_value(b.local_symbol) as local_symbol,
                       count(*) as bars,
                       b.con_id in (select con_id from terms) as listed,
                       count(*) filter (where t.con_id is null) as unlisted
                from option_bars b left join terms t
                  on t.symbol = b.symbol and t.con_id = b.con_id and t.expiry = b.expiry and t.strike = b.strike
                    and t."right" = b."right"
                group by b.symbol, b.con_id""",
        holds="unlisted = 0",
        shows=("con_id", "local_symbol", "listed", "bars", "unlisted"),
    ),
    Rule(
        "bar_inside_life",
        "option_bars",
        Severity.ERROR,
        why=(
            "An option does not trade after its expiry (before our first snapshot it does: it was listed before we"
            " looked)."
        ),
        remedy="Check the expiry of the contract; collect the chain again with --refresh.",
        holds="session <= expiry",
        shows=("con_id", "local_symbol", "bar_size", "expiry"),
    ),
    Rule(
        "option_prices_consistent",
        "option_bars",
        Severity.ERROR,
        why=(
            "A bar whose high is below its open, close or low, with a price of zero or below, or with a volume below"
            " zero, never happened."
        ),
        remedy="Collect the contract's bars again with --refresh.",
        holds="""high >= open and high >= close and high >= low and low <= open and low <= close and low > 0
                   and coalesce(volume, 0) >= 0
                 and isfinite(open + high + low + close + coalesce(volume, 0))""",
        shows=("con_id", "local_symbol", "bar_size", "open", "high", "low", "close", "volume"),
    ),
    Rule(
        "no_doubled_option_bar",
        "option_bars",
        Severity.ERROR,
        why="A bar that is there twice doubles volume.",
        remedy="Find the two files that hold it (another program wrote one of them) and remove the foreign one.",
        rows=(
            "select symbol, con_id, bar_size, session, start, count(*) as bars from option_bars group by symbol,"
            " con_id, bar_size, session, start"
        ),
        holds="bars = 1",
        shows=("con_id", "bar_size", "start", "bars"),
    ),
    Rule(
        "daily_option_bar_agrees",
        "option_bars",
        Severity.ERROR,
        why=(
            "The daily bar of an option is made from its bar of 8 hours; where it lacks or differs, a file was lost or"
            " changed."
        ),
        remedy=(
            "Run trading-assets backfill SYMBOL over the session: a daily bar that is gone is made again, without a"
            " request. One that differs: collect the session again with --refresh."
        ),
        rows=f"""select w.*, d.open as daily_open, d.high as daily_high, d.low as daily_low, d.close as daily_close
                from (select symbol, session, con_id, any_value(local_symbol) as local_symbol,
                             arg_min(open, start) as open, max(high) as high,
                             min(low) as low, arg_max(close, start) as close
                      from option_bars where bar_size = '{OPTION_BAR_SIZE}' group by symbol, session, con_id) w
                anti join (select session, con_id from coverage
                           where dataset = 'option_bars' and bar_size = '{OPTION_BAR_SIZE}'
                             and condition = 'partial') using (session, con_id)
                left join (select * from option_bars where bar_size = '1 day') d using (symbol, session, con_id)""",
        holds="open = daily_open and high = daily_high and low = daily_low and close = daily_close",
        shows=("con_id", "local_symbol", "open", "daily_open", "close", "daily_close"),
    ),
    Rule(
        "option_bar_inside_session",
        "option_bars",
        Severity.ERROR,
        why="Bars are of regular hours; options of some indices trade a quarter of an hour longer, no later.",
        remedy="Collect the session again with --refresh; check the time zone of the source.",
        rows="select b.*, k.opens, k.closes from option_bars b left join session_calendar k using (session)",
        # A settlement bar is stamped at the close, index options end 15 minutes after it.
        holds="start >= opens and start <= closes + interval 15 minutes and (bar_size <> '1 day' or start = opens)",
        shows=("con_id", "local_symbol", "bar_size", "start", "closes"),
    ),
    Rule(
        "not_under_intrinsic",
        "option_bars",
        Severity.WARN,
        why="An option worth less than its exercise is a stale trade, a wrong strike, or a price of before a split.",
        remedy="Compare price and strike with the quotes of the session's chain.",
        rows=f"""select symbol, session, con_id, local_symbol, close, strike, expiry, spot,
                        case "right" when 'C' then spot_low - strike else strike - spot_high end as intrinsic
                 from {_PRICED} where volume > 0""",
        holds=f"""isfinite(close + intrinsic + spot)
                  and close >= intrinsic - greatest(0.05, {PRICE_TOLERANCE} * spot) - {CARRY} * greatest(spot,
                      strike) * {_LIFE}""",
        shows=("con_id", "local_symbol", "close", "intrinsic", "spot"),
    ),
    Rule(
        "put_call_parity",
        "option_bars",
        Severity.WARN,
        why=(
            "Call less put is worth the underlying less the strike; a pair far off holds a wrong price or a wrong"
            " underlying."
        ),
        remedy="Compare both with the quotes of the session's chain.",
        rows=f"""select b.symbol, b.session, b.trading_class, b.expiry, b.strike, b.close as call, p.close as put,
                        b.spot, b.spot_high - b.spot_low as width
                 from {_PRICED} b
                 join option_bars p on p.symbol = b.symbol and p.session = b.session and p.bar_size = '1 day'
                   and p."right" = 'P' and p.multiplier = b.multiplier
                   and p.trading_class = b.trading_class and p.expiry = b.expiry and p.strike = b.strike
                   and p.volume >= {LIQUID}
                 where b."right" = 'C' and b.volume >= {LIQUID}""",
        holds=f"""isfinite(call + put + spot + strike + width)
                  and abs(call - put - (spot - strike)) <= width + {PRICE_TOLERANCE} * spot + {CARRY} * greatest(spot,
                      strike) * {_LIFE}""",
        shows=("trading_class", "expiry", "strike", "call", "put", "spot"),
    ),
    Rule(
        "complete_to_last_day",
        "option_bars",
        Severity.WARN,
        why=(
            "The broker keeps no history of expired options: what was not collected up to the last day is lost for"
            " good."
        ),
        remedy="Nothing brings it back. Keep the last-chance run before the close of expiry days on.",
        rows="""select e.symbol, e.con_id, o.local_symbol, e.session, e.sessions, e.unknown, e.lost
                from expired_contracts e
                left join (select symbol, con_id, any_value(local_symbol) as local_symbol from all_option_chains
                           group by symbol, con_id) o
                  using (symbol, con_id)""",
        holds="unknown = 0 and lost = 0",
        shows=("con_id", "local_symbol", "sessions", "unknown", "lost"),
    ),
)
