"""Fresh quotes of a recorder as marks: of shares the middle of bid and ask, of options rows to be valued an expiry at a
time.

A quote is fresh for `mark_max_age` seconds, and only while it is live: a frozen one is of the close. Of shares without
bid and ask the last trade counts, while it is as fresh and of the session; of an index, whose values carry no time,
the last value. A price of the underlying in the broker's model counts while it is as fresh.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from trading_assets.collecting.greeks import CHAIN, EXPIRY
from trading_assets.collecting.steps.option_greeks import TOLD_DAYS
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.option_classes import adjusted_sql, scaled_sql
from trading_assets.sessions import SessionCalendar, session_date
from trading_assets.settings import Settings
from trading_assets.streaming.store import latest_quotes
from trading_assets.streaming.updates import QuoteUpdate

LIVE_DATA = 1
"""The broker's market data type of live quotes."""

INDEX = "IND"
"""The broker's type of an index."""

_SCHEMA = pa.schema(
    [
        ("session", pa.date32()),
        ("symbol", pa.string()),
        ("con_id", pa.int64()),
        ("source", pa.string()),
        ("trading_class", pa.string()),
        ("expiry", pa.date32()),
        ("strike", pa.float64()),
        ("right", pa.string()),
        ("multiplier", pa.float64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("bid", pa.float64()),
        ("ask", pa.float64()),
        ("close", pa.float64()),
        ("underlying_price", pa.float64()),
        ("last_trade", pa.string()),
        ("min_tick", pa.float64()),
        ("scale", pa.float64()),
        ("sec_type", pa.string()),
        ("dividends", pa.string()),
    ]
)

_CHAINS = """
    from option_chains
    where session >= $first
      and symbol in (select distinct symbol from option_chains where con_id in (select unnest($ids::bigint[])))"""

_TERMS = f"""
    with {adjusted_sql(_CHAINS)},
    terms as (
        select con_id, under_con_id, symbol, $session::date as session, trading_class, expiry, strike, "right",
               multiplier, last_trade, min_tick
        from option_chains where con_id in (select unnest($ids::bigint[]))
        qualify row_number() over (partition by con_id order by option_chains.session desc) = 1)
    {scaled_sql("terms")}"""

_UNDERLYINGS = """
    with told as (select symbol, arg_max(dividends, session) as dividends from option_chains
                  where symbol in (select unnest($symbols::varchar[])) and session >= $first and dividends is not null
                  group by symbol)
    select symbol, arg_max(con_id, session) as con_id, arg_max(sec_type, session) as sec_type,
           any_value(told.dividends) as dividends
    from contracts left join told using (symbol)
    where symbol in (select unnest($symbols::varchar[])) group by symbol"""


@dataclass(frozen=True, slots=True)
class LiveQuotes:
    """The fresh quotes of the underlyings of some positions and of all their streamed options, by contract id.
    `session` is that of the day, also before its open: some options trade all night."""

    quotes: Mapping[int, QuoteUpdate]
    oldest: datetime
    session: date
    opened_at: datetime

    @classmethod
    def of(cls, settings: Settings, calendar: SessionCalendar, symbols: Collection[str], now: datetime) -> LiveQuotes:
        """Those of the recorder of the settings' lake at `now`; none where nothing is recorded."""
        oldest = now - timedelta(seconds=settings.mark_max_age)
        fresh = {
            con_id: quote
            for con_id, quote in latest_quotes(settings.data_dir, symbols=symbols).items()
            if quote.received_at >= oldest and quote.market_data_type == LIVE_DATA
        }
        session = calendar.on_or_before(session_date(now))
        return cls(fresh, oldest, session, calendar.opens_at(session))

    def price(self, con_id: int, *, index: bool = False) -> tuple[float, datetime] | None:
        """The price of shares or of an index now, and the instant it is of (UTC); None without one."""
        quote = self.quotes.get(con_id)
        if quote is None:
            return None
        if quote.bid and quote.ask and 0 < quote.bid <= quote.ask:
            return 0.5 * (quote.bid + quote.ask), quote.received_at
        traded_at = quote.received_at if index else quote.last_trade_at
        if not quote.last or quote.last <= 0 or traded_at is None or traded_at < max(self.oldest, self.opened_at):
            return None
        return quote.last, traded_at

    def options(self, lake: Lake) -> pa.Table:
        """The streamed options as `GreeksMaker.rows` takes them, `source` being `chain`: all of an expiry are valued
        together."""
        since = self.session - timedelta(days=TOLD_DAYS)
        given = {"ids": sorted(self.quotes), "session": self.session, "first": since}
        terms = lake.query(_TERMS, given).to_pylist() if self.quotes else []
        symbols = sorted({row["symbol"] for row in terms})
        about = {"symbols": symbols, "first": since}
        underlyings = {row["symbol"]: row for row in lake.query(_UNDERLYINGS, about).to_pylist()}
        rows = [self._row(row, underlyings.get(row["symbol"], {})) for row in terms]
        rows.sort(key=lambda row: tuple(row[name] for name in (*EXPIRY, "strike", "right", "con_id")))
        return pa.Table.from_pylist(rows, schema=_SCHEMA)

    def _row(self, terms: Mapping[str, Any], underlying: Mapping[str, Any]) -> dict[str, Any]:
        quote = self.quotes[terms["con_id"]]
        is_index = underlying.get("sec_type") == INDEX
        spot = self.price(underlying.get("con_id", terms["under_con_id"]), index=is_index)
        modelled = quote.underlying_price if quote.greeks_at and quote.greeks_at >= self.oldest else None
        return {
            **terms,
            "session": self.session,
            "source": CHAIN,
            "at": quote.received_at,
            "bid": quote.bid,
            "ask": quote.ask,
            "underlying_price": modelled if spot is None else spot[0],
            "sec_type": underlying.get("sec_type"),
            "dividends": underlying.get("dividends"),
        }
