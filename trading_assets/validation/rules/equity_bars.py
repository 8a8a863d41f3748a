"""Rules of `equity_bars`: bars that can be true, inside their session, none missing, none far out of its series.

What can never be true is refused at the write already (`repositories.frame_checks`); the same is said here, because a
lake is plain files that any program can write.
"""

from __future__ import annotations

from trading_assets.repositories.basis import ON_OLD_BASIS
from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

SPIKE_BARS = 60
"""Bars before (a quarter of a year) whose average move is the series' own measure."""

SPIKE_HISTORY = 20
"""Fewest bars before (a month) from which an average says anything."""

SPIKE_TIMES = 8.0
"""A move this many times the average one is held for review. A normal series exceeds 5 times its mean move once in
15,000 sessions, real series with their news some times in a decade; see the false alarms in docs/validation.md."""

SPIKE_FLOOR = 0.10
"""No move below this (log return, about 10 %) is held: quiet series would be held at every news."""

SPLIT_FACTORS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 1.5)
"""Factors companies split by; inverses (reverse splits) are tested too."""

SPLIT_TOLERANCE = 0.04
"""How far close to open may be from the round factor: a stock that splits still moves overnight (recorded AAPL
2014-06-09: 0.5 %)."""

SPLIT_SURELY = 5.5
"""A price this many times the one before, or this part of it, is another basis, whatever the factor (1:35), the volume
and the range: so far away only a reverse split opens in the recorded sessions (AIG 2009-07-01)."""

SPLIT_RANGE = 0.15
"""Largest range (high over low, less one) of a session with a split: a crash that happens to have a round ratio swings
wider. Recorded splits reach 0.135 (IBM 1999-05-27), AIG's crashes of 2008 begin at 0.5."""

SPLIT_VOLUME = 4.0
"""Share volume grows by the factor, or stays where the broker restated the prices alone; within four times that it is
consistent (a split session trades at most some times the usual)."""

CLOSE_TOLERANCE = 0.0005
"""Part of the price by which daily and aggregated prices may differ, and at least 5 cents: recorded closes agree within
3 cents."""

VOLUME_TOLERANCE = 0.021
"""Recorded daily volume and the sum of minute volumes agree within 2.1 % (market/README.md)."""

_FACTORS = ", ".join(f"{factor}, {1 / factor!r}" for factor in SPLIT_FACTORS)

RULES = (
    named("bar_named", "equity_bars"),
    Rule(
        "prices_consistent",
        "equity_bars",
        Severity.ERROR,
        why="A bar whose high is below its open, close or low never happened.",
        remedy="Collect the symbol's bars again with --refresh; the old row moves to the revisions.",
        holds=(
            "high >= open and high >= close and high >= low and low <= open and low <= close and isfinite(open + high +"
            " low + close)"
        ),
        shows=("bar_size", "start", "open", "high", "low", "close"),
        blocks=True,
        mended=(
            "The write refuses such a bar, whoever answers it: another program stored it. Collected again, the broker's"
            " bar takes its place."
        ),
    ),
    Rule(
        "prices_positive",
        "equity_bars",
        Severity.ERROR,
        why="A share has no price of zero or below; a zero is a missing value in disguise.",
        remedy="Collect the symbol's bars again with --refresh.",
        holds=(
            "open > 0 and high > 0 and low > 0 and close > 0 and isfinite(open) and isfinite(high) and isfinite(low)"
            " and isfinite(close)"
        ),
        shows=("bar_size", "start", "open", "high", "low", "close"),
        blocks=True,
        mended=(
            "The write refuses such a bar, whoever answers it: another program stored it. Collected again, the broker's"
            " bar takes its place."
        ),
    ),
    Rule(
        "no_doubled_bar",
        "equity_bars",
        Severity.ERROR,
        why="A bar that is there twice doubles volume and returns.",
        remedy="Find the two files that hold it (another program wrote one of them) and remove the foreign one.",
        rows=(
            "select symbol, bar_size, session, start, count(*) as bars from equity_bars group by symbol, bar_size,"
            " session, start"
        ),
        holds="bars = 1",
        shows=("bar_size", "start", "bars"),
        blocks=True,
        mended=(
            "The platform writes one row a bar; a second one is in a file that something else wrote, and goes with it."
        ),
    ),
    Rule(
        "bar_inside_session",
        "equity_bars",
        Severity.ERROR,
        why=(
            "Bars are of regular hours; one outside them (after 13:00 on a half day) is of another session or of"
            " extended hours."
        ),
        remedy="Collect the session again with --refresh; if bars stay outside, check the time zone of the source.",
        rows="select b.*, k.opens, k.closes from equity_bars b left join session_calendar k using (session)",
        holds="start >= opens and start < closes and (bar_size <> '1 day' or start = opens)",
        shows=("bar_size", "start", "opens", "closes"),
        blocks=True,
        mended=(
            "The write refuses such a bar, whoever answers it: another program stored it, and it goes with that"
            " program's file."
        ),
    ),
    Rule(
        "session_complete",
        "equity_bars",
        Severity.ERROR,
        why="A hole in the series breaks every return and average over it.",
        remedy="Run trading-assets update SYMBOL, or backfill the sessions.",
        # What coverage recorded belongs to the series, so that bars which were deleted, the first or all of them, are
        # missed.
        rows="""with known as (
                         select symbol, bar_size, min(session) as first, max(session) as last from all_equity_bars
                         group by symbol, bar_size
                         union all
                         select symbol, bar_size, min(session) as first, max(session) as last from all_coverage
                         where dataset = 'equity_bars' and con_id = 0 group by symbol, bar_size),
                     series as (
                         select symbol, bar_size, min(first) as first, max(last) as last from known
                         group by symbol, bar_size
                         union all by name
                         select a.symbol, z.bar_size, (select bars_due from present) as first, null as last
                         from active_symbols a cross join equity_bar_sizes z
                         where not exists (from known b where b.symbol = a.symbol and b.bar_size = z.bar_size))
                select s.symbol, s.bar_size, k.session, c.condition, c.reason,
                       exists (from equity_bars b where b.symbol = s.symbol and b.bar_size = s.bar_size
                               and b.session = k.session) as stored
                from series s
                join session_calendar k
                  on k.session >= s.first
                 and k.session <= case when s.symbol in (select symbol from active_symbols)
                                            and s.bar_size in (select bar_size from equity_bar_sizes)
                                       then greatest(s.last, (select bars_due from present))
                                       else s.last
                                  end
                left join coverage c on c.dataset = 'equity_bars' and c.symbol = s.symbol and c.bar_size = s.bar_size
                                    and c.con_id = 0 and c.session = k.session and c.condition <> 'complete'""",
        holds="stored or condition is not null",
        shows=("bar_size", "condition"),
    ),
    Rule(
        "unit_decided",
        "equity_bars",
        Severity.WARN,
        why=(
            "The broker's bars of the session came in another unit than the stored ones (volume, prices or times) and"
            " are held for review: nothing of them is stored."
        ),
        remedy=(
            "See trading-assets quarantine list, then run trading-assets quarantine accept, or correct TWS or the"
            " setting and collect again."
        ),
        rows="""select symbol, bar_size, session, reason,
                       condition in ('error', 'partial') and contains(reason, 'is held for review') as held
                from coverage where dataset = 'equity_bars' and con_id = 0""",
        holds="not held",
        shows=("bar_size", "reason"),
    ),
    Rule(
        "volume_present",
        "equity_bars",
        Severity.WARN,
        why=(
            "A session of a listed share without volume was halted, or its volume is lost; a volume below zero or"
            " without end never was."
        ),
        remedy="Compare with another source; collect the session again with --refresh.",
        rows=(
            "select *, bar_size = '1 day' and symbol not in (select symbol from index_symbols) as trades from"
            " equity_bars"
        ),
        holds="coalesce(volume, 0) >= 0 and isfinite(coalesce(volume, 0)) and (coalesce(volume, 0) > 0 or not trades)",
        shows=("bar_size", "close", "volume"),
    ),
    Rule(
        "spike",
        "equity_bars",
        Severity.WARN,
        why=(
            "A move far beyond the series' own average is news, a split, or a bad print; a bad print poisons every"
            " statistic."
        ),
        remedy=(
            "Look at it: trading-assets review list, then accept (it is real) or reject (it is withdrawn and requested"
            " again)."
        ),
        rows=f"""with steps as (
                     select symbol, session, bar_size, high, low, close,
                            lag(close) over (partition by symbol order by session) as previous
                     from equity_bars where bar_size = '1 day' and low > 0 and close > 0 and isfinite(high)
                       and isfinite(low) and isfinite(close)),
                 moves as (
                     select symbol, session, bar_size, previous, close, abs(ln(close / previous)) as change,
                            greatest(abs(ln(close / previous)), ln(high / greatest(previous, close)),
                                     ln(least(previous, close) / low)) as move
                     from steps where previous is not null),
                 measured as (
                     select *, avg(change) over earlier as average,
                            row_number() over (partition by symbol order by session) - 1 as history
                     from moves
                     window earlier as (partition by symbol order by session
                                        rows between {SPIKE_BARS} preceding and 1 preceding))
                 select m.*, a.rule is not null as accepted from measured m
                 left join accepted_bars a on a.rule = 'spike' and a.symbol = m.symbol and a.session = m.session
                                          and a.bar_size = m.bar_size and a.close = m.close
                 where m.history >= {SPIKE_HISTORY}""",
        holds=f"move <= greatest({SPIKE_FLOOR}, {SPIKE_TIMES} * average) or accepted",
        shows=("bar_size", "previous", "close", "move", "average"),
        reviewed=True,
    ),
    Rule(
        "split_suspicion",
        "equity_bars",
        Severity.WARN,
        why="Bars before and after a split on different bases make one false return of half the price and more.",
        remedy=(
            "Run trading-assets update SYMBOL --refresh over the whole history: it is read again. Where the broker"
            " still answers both bases, scale by the factor: for some sessions more its answers are compared with"
            " what is stored, and the history is read again when it has mended them."
        ),
        rows=f"""select symbol, session, previous, open, close, volume, usual,
                       list_filter([{_FACTORS}], lambda f: abs(previous / open / f - 1) <= {SPLIT_TOLERANCE}
                                   and (coalesce(usual = 0 or not isfinite(usual) or not isfinite(volume), true)
                                        or volume between usual * least(f, 1) / {SPLIT_VOLUME}
                                                    and usual * greatest(f, 1) * {SPLIT_VOLUME}))
                       as factors, high / low - 1 as width,
                       greatest(previous / open, open / previous) >= {SPLIT_SURELY} as surely
                from (select symbol, session, open, high, low, close, volume,
                             lag(close) over (partition by symbol order by session) as previous,
                             lag(volume) over (partition by symbol order by session) as usual
                      from equity_bars where bar_size = '1 day' and low > 0 and open > 0)
                where previous > 0 and (previous / open > 1.4 or previous / open < 0.7)""",
        holds=f"not surely and (len(factors) = 0 or (width > {SPLIT_RANGE} and isfinite(width)))",
        shows=("previous", "open", "close", "factors"),
    ),
    Rule(
        "one_basis",
        "equity_bars",
        Severity.ERROR,
        why=(
            "The broker restated the symbol's prices and these sessions could not be read anew: they are on another"
            " basis than all others."
        ),
        remedy=(
            "Run trading-assets update SYMBOL: it reads them anew. Leave out, or scale, those that the broker no longer"
            " gives (bars of 30 s and less after six months)."
        ),
        rows=f"""select symbol, session, bar_size, condition, reason,
                        starts_with(coalesce(reason, ''), '{ON_OLD_BASIS}') as old
                 from coverage where dataset = 'equity_bars' and con_id = 0""",
        holds="not old",
        shows=("bar_size", "condition", "reason"),
    ),
    Rule(
        "daily_agrees_with_intraday",
        "equity_bars",
        Severity.WARN,
        why=(
            "The daily bar and the bars inside it are the same trades; where they differ one of them is incomplete or"
            " restated."
        ),
        remedy="Collect both sizes of the session again with --refresh.",
        rows="""select d.symbol, d.session, i.bar_size, d.open, i.open as open_inside, d.high, i.high as high_inside,
                       d.low, i.low as low_inside,
                       d.close, i.close as close_inside, d.volume, i.volume as volume_inside
                from (select * from equity_bars where bar_size = '1 day') d
                join (select b.symbol, b.session, b.bar_size, arg_min(b.open, b.start) as open, max(b.high) as high,
                             min(b.low) as low,
                             arg_max(b.close, b.start) as close,
                             if(count(*) = count(b.volume), sum(b.volume), null) as volume
                      from equity_bars b where b.bar_size <> '1 day' group by b.symbol, b.session, b.bar_size) i
                  on i.symbol = d.symbol and i.session = d.session""",
        holds=f"""isfinite(open + open_inside + high + high_inside + low + low_inside + close + close_inside)
                  and isfinite(coalesce(volume + volume_inside, 0))
                  and abs(open - open_inside) <= greatest(0.05, {CLOSE_TOLERANCE} * open)
                  and abs(close - close_inside) <= greatest(0.05, {CLOSE_TOLERANCE} * close)
                  and high_inside <= high * (1 + {CLOSE_TOLERANCE}) + 0.05
                  and low_inside >= low * (1 - {CLOSE_TOLERANCE}) - 0.05
                  and coalesce(abs(volume - volume_inside) <= {VOLUME_TOLERANCE} * greatest(volume, volume_inside),
                               true)""",
        shows=("bar_size", "open", "open_inside", "close", "close_inside", "volume", "volume_inside"),
    ),
)
