"""Lakes filled from the recorded market files without the platform's collection: what was recorded, in the lake's
columns.

Prices are unadjusted, as recorded. Contract ids are made from the OSI symbol. Values that the vendor did not compute
(volatility 0) are null, a bid of 0 is no bid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS, INSTANT, OPTION_BARS, OPTION_CHAINS, Dataset
from trading_assets.sessions import calendar

_CON_ID = "(hash(osi) % 1099511627776)::bigint + 1"


class RecordedLake:
    """The recorded files of `market`, turned into tables of the lake, and lakes made of them."""

    def __init__(self, market: Path) -> None:
        self.market = market
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'")
        xnys = calendar()
        days = xnys.sessions(date(1998, 1, 2), date(2021, 12, 31))
        sessions = {
            "session": pa.array(days, pa.date32()),
            "opens": pa.array([xnys.opens_at(day) for day in days], INSTANT),
            "closes": pa.array([xnys.closes_at(day) for day in days], INSTANT),
        }
        self.connection.register("sessions", pa.table(sessions))

    def file(self, name: str) -> str:
        """The SQL of a recorded file."""
        return f"read_parquet('{self.market / name}.parquet')"

    def _table(self, dataset: Dataset, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        found = self.connection.sql(sql, params=list(parameters)).to_arrow_table()
        columns = [found[n] if n in found.column_names else pa.nulls(found.num_rows) for n in dataset.schema.names]
        return pa.Table.from_arrays(
            [c.cast(f.type) for c, f in zip(columns, dataset.schema, strict=True)], schema=dataset.schema
        )

    def equity_daily(
        self, symbols: Sequence[str] | None = None, first: date = date(1998, 1, 2), last: date = date(2021, 12, 31)
    ) -> pa.Table:
        """Daily bars, unadjusted."""
        return self._table(
            EQUITY_BARS,
            f"""select s.session, symbol, (hash(symbol) % 1000000)::bigint + 1 as con_id, s.opens as start,
                       '1 day' as bar_size,
                       open, high, low, close,
                       volume, s.closes as collected_at, 1 as request_id
                from {self.file("equity_bars_daily")} b join sessions s on s.session = b.date::date
                where s.session between ? and ? and (? is null or symbol in (select unnest(?::varchar[])))""",
            [first, last, symbols, symbols],
        )

    def equity_intraday(self, name: str, bar_size: str) -> pa.Table:
        """Bars of regular hours; an hour bar that begins before the open is cut to it."""
        return self._table(
            EQUITY_BARS,
            f"""select s.session, symbol, (hash(symbol) % 1000000)::bigint + 1 as con_id,
                       greatest(b.ts_utc, s.opens) as start, '{bar_size}' as bar_size,
                       open, high, low, close, volume, s.closes as collected_at, 1 as request_id
                from {self.file(name)} b join sessions s on s.session = (b.ts_utc at time zone 'America/New_York')::date
                where b.open is not null and b.ts_utc < s.closes
                  and b.ts_utc > s.opens - interval {"1 hour" if "hour" in bar_size else "1 second"}""",
        )

    def chains(self, name: str, sessions: Mapping[date, date] | None = None) -> pa.Table:
        """Chain snapshots of every recorded quote date that is a session (or as `sessions` says: quote date ->
        session).

        Quoted 15 minutes before the close; all contracts are selected.
        """
        days = (
            dict(sessions)
            if sessions is not None
            else {day: day for day in self.days(name) if calendar().is_session(day)}
        )
        self.connection.register(
            "wanted", pa.table({"day": pa.array(days, pa.date32()), "as_of": pa.array(days.values(), pa.date32())})
        )
        last = "nullif(last, 0)" if "last" in self.connection.sql(f"from {self.file(name)} limit 0").columns else "null"
        return self._table(
            OPTION_CHAINS,
            f"""select s.session, underlying as symbol, {_CON_ID} as con_id, 1 as under_con_id, osi as local_symbol,
                       trading_class,
                       expiry::date as expiry, strike, "right", 100.0 as multiplier, 'SMART' as exchange,
                       'USD' as currency,
                       strftime(case when trading_class = 'SPX' then expiry::date - 1 else expiry::date end,
                                '%Y%m%d') as last_trade,
                       s.closes - interval 15 minutes as listed_at, true as selected, 'complete' as quote_outcome,
                       s.closes - interval 15 minutes as quoted_at, nullif(bid, 0) as bid, nullif(ask, 0) as ask,
                       {last} as last,
                       volume, open_interest,
                       nullif(iv, 0) as implied_volatility, delta, gamma, underlying_price, 1 as market_data_type,
                       s.closes - interval 15 minutes as collected_at, 1 as request_id
                from {self.file(name)} q join wanted w on w.day = q.quote_date::date
                join sessions s on s.session = w.as_of""",
        )

    def days(self, name: str) -> list[date]:
        """The recorded quote dates of a chain file, sorted, holidays included."""
        sql = f"select distinct quote_date::date as day from {self.file(name)} order by day"
        return [row[0] for row in self.connection.sql(sql).fetchall()]

    def listed(self, bars: pa.Table) -> pa.Table:
        """A chain of each session with option bars: the contracts that have a bar in it."""
        self.connection.register("bars", bars)
        return self._table(
            OPTION_CHAINS,
            """select distinct on (b.session, b.con_id) b.session, symbol, con_id, 1 as under_con_id, local_symbol,
                               trading_class, expiry,
                      strike, "right", multiplier, 'SMART' as exchange, 'USD' as currency, strftime(expiry,
                       '%Y%m%d') as last_trade, s.opens as listed_at,
                      true as selected, s.opens as collected_at, 1 as request_id
               from bars b join sessions s on s.session = b.session""",
        )

    def option_daily(self) -> pa.Table:
        """Daily option bars that traded."""
        return self._table(
            OPTION_BARS,
            f"""select s.session, underlying as symbol, {_CON_ID} as con_id, osi as local_symbol, trading_class,
                       expiry::date as expiry,
                       strike, "right", 100.0 as multiplier, s.opens as start, '1 day' as bar_size, open, high, low,
                       close,
                       coalesce(volume, 0) as volume,
                       s.closes as collected_at, 1 as request_id
                from {self.file("option_bars_daily")} b join sessions s on s.session = b.date::date
                where open is not null""",
        )

    def option_intraday(self, name: str, bar_size: str) -> pa.Table:
        """Option bars of regular hours."""
        return self._table(
            OPTION_BARS,
            f"""select s.session, underlying as symbol, {_CON_ID} as con_id, osi as local_symbol, trading_class,
                       expiry::date as expiry,
                       strike, "right", 100.0 as multiplier, greatest(b.ts_utc, s.opens) as start,
                       '{bar_size}' as bar_size, open, high, low, close,
                       coalesce(volume, 0) as volume, s.closes as collected_at, 1 as request_id
                from {self.file(name)} b join sessions s on s.session = (b.ts_utc at time zone 'America/New_York')::date
                where b.open is not null and b.ts_utc < s.closes
                  and b.ts_utc > s.opens - interval {"1 hour" if "hour" in bar_size else "1 second"}""",
        )

    @staticmethod
    def fill(folder: Path, *tables: tuple[Dataset, pa.Table]) -> Path:
        """Write tables into the lake of `folder`; rows of the same key are written once."""
        for dataset, rows in tables:
            ParquetStore(folder).upsert(dataset, rows)
        return folder


def holiday_copy(lake: RecordedLake) -> pa.Table:
    """The SPX chains with the holiday copy of 2019-05-27 filed under the session after it, as a collector without a
    calendar does.

    The copy holds the closing state of 05-24; the true snapshot of 05-28 is left out.
    """
    name = "option_chain_quotes_spx_2019"
    holiday = date(2019, 5, 27)
    days = {day: day for day in lake.days(name) if calendar().is_session(day) and day != holiday + timedelta(days=1)}
    return lake.chains(name, {**days, holiday: holiday + timedelta(days=1)})
