"""Computing `option_greeks`: from the quotes and daily bars in the lake, without a request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.greeks import BAR, CHAIN, EXPIRY, GreeksMaker
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.repositories.basis import restated_sql, traded_sql
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.option_classes import adjusted_sql, scaled_sql
from trading_assets.repositories.schemas import COVERAGE, OPTION_GREEKS

_TERMS = 'o.local_symbol, o.trading_class, o.expiry, o.strike, o."right", o.multiplier'
_SCOPE = "o.symbol in (select unnest($symbols::varchar[])) and o.session between $first and $last"

_DAYS = f"bar_size = '{DAILY}' and symbol in (select unnest($symbols::varchar[])) and session between $first and $last"
_BARS = tuple(f"(select * from {name} where {_DAYS})" for name in ("equity_bars", "revisions_equity_bars"))
_TRADED, _RESTATED = traded_sql(*_BARS), restated_sql(*_BARS)

TOLD_DAYS = 31
"""Days for which the dividends hold that the broker expected with the last quote of the underlying."""

_QUOTED = f"""
    from option_chains
    where symbol in (select unnest($symbols::varchar[])) and session between $first - {TOLD_DAYS} and $last"""

GIVEN = f"""
    {adjusted_sql(_QUOTED)},
    restated_bars as ({_RESTATED}),
    terms as (select con_id, max(last_trade) as last_trade, max(min_tick) as min_tick from option_chains
              where symbol in (select unnest($symbols::varchar[])) group by con_id),
    underlyings as (select symbol, arg_max(sec_type, session) as sec_type from contracts
                    where symbol in (select unnest($symbols::varchar[])) group by symbol),
    told as (select symbol, session, any_value(dividends) as dividends from option_chains
             where symbol in (select unnest($symbols::varchar[])) and session between $first - {TOLD_DAYS} and $last
               and dividends is not null group by symbol, session),
    priced as (
        select o.session, o.symbol, o.con_id, '{CHAIN}' as source, {_TERMS}, o.quoted_at as at, o.bid, o.ask,
               null::double as close, o.underlying_price, o.implied_volatility as broker_implied_volatility,
               o.delta as broker_delta, o.market_data_type, o.collected_at, o.request_id
        from option_chains o where {_SCOPE} and o.quote_outcome in ('complete', 'partial') and o.quoted_at is not null
        union all
        select o.session, o.symbol, o.con_id, '{BAR}' as source, {_TERMS}, null as at, null as bid, null as ask,
               o.close, if(o.collected_at >= r.known_until, e.close, t.close) as underlying_price,
               null as broker_implied_volatility, null as broker_delta,
               null as market_data_type, o.collected_at, o.request_id
        from option_bars o left join ({_TRADED}) t on t.symbol = o.symbol and t.session = o.session
        left join equity_bars e on e.symbol = o.symbol and e.session = o.session and e.bar_size = '{DAILY}'
        left join restated_bars r on r.symbol = o.symbol and r.session = o.session
        where {_SCOPE} and o.bar_size = '{DAILY}'),
    given as ({scaled_sql("priced")})"""
"""What can be priced: quotes, and daily bars beside the underlying's bar of the same session at the prices of that day
(at the present ones, where the option came after the restatement); with what is known of classes, contracts,
underlyings and dividends."""

TO_PRICE = f"""given.*, terms.last_trade, terms.min_tick, underlyings.sec_type,
              case when given.session - told.session <= {TOLD_DAYS} then told.dividends end as dividends"""
"""The columns that `GreeksMaker.rows` takes, of `given` with `KNOWN`."""

KNOWN = """left join terms using (con_id) left join underlyings using (symbol)
              asof left join told on told.symbol = given.symbol and told.session <= given.session"""

_STALE = f"""
    stale as (select distinct {", ".join(f"given.{name}" for name in EXPIRY)}
              from given left join option_greeks stored using (session, con_id, source)
              where stored.request_id is distinct from given.request_id
                 or stored.collected_at is distinct from given.collected_at
                 or (given.source = '{BAR}' and stored.underlying_price is distinct from given.underlying_price))"""
"""The expiries of which a quote or bar is not computed, or came again since. All of such an expiry is computed: its
rows share a forward."""


def compute_option_greeks(
    archive: Archive, symbols: Sequence[str], sessions: Sequence[date], *, refresh: bool = False
) -> Collected:
    """Volatilities and greeks of the quotes and daily bars of `sessions` that have none yet, or whose inputs changed;
    with `refresh` of all (after a change of the settings `rate` or `dividends`).

    A row names the request of its quote or bar and the instant of that answer, so the same inputs give the same rows.
    Nothing is asked of the broker.
    """
    now = archive.now
    report = CollectionReport(
        OPTION_GREEKS.name, archive.calendar.current(now), sessions=list(sessions), symbols=list(symbols)
    )
    maker = GreeksMaker(archive.calendar, archive.settings.rate, archive.settings.dividends)
    table = maker.rows(_to_price(archive, symbols, sessions, refresh=refresh))
    report.add_rows(table)
    return Collected(OPTION_GREEKS, table, COVERAGE.schema.empty_table(), [], report, now)


def sessions_to_compute(archive: Archive, symbols: Sequence[str], first: date, last: date) -> set[date]:
    """Sessions in which a quote or daily bar of one of the symbols has no row."""
    sql = f"with {GIVEN} select distinct session from given anti join option_greeks using (session, con_id, source)"
    values = {"symbols": list(symbols), "first": first, "last": last}
    return set(archive.lake.query(sql, values)["session"].to_pylist())


def _to_price(archive: Archive, symbols: Sequence[str], sessions: Sequence[date], *, refresh: bool) -> pa.Table:
    """The rows to compute, as `GreeksMaker.rows` takes them."""
    order = ", ".join((*EXPIRY, "strike", '"right"', "con_id"))
    ctes, chosen = (GIVEN, "") if refresh else (f"{GIVEN}, {_STALE}", f"semi join stale using ({', '.join(EXPIRY)})")
    sql = f"""with {ctes}
              select {TO_PRICE} from given {chosen} {KNOWN}
              order by {order}"""
    return archive.lake.query(sql, {"symbols": list(symbols), "first": min(sessions), "last": max(sessions)})
