"""A market of a few contracts whose every value follows from a formula, for tests of the server.

Contracts: AAA (stock, id 1, with options of two expiries and three strikes), BBB (stock, id 2, listed in 2022), IDX
(index, id 3), QUIET (stock without bars, id 4), TWIN (two stocks of one symbol, ids 5 and 6), BROKEN (asking for its
bars fails, id 7). A bar's open is the seconds of its start past some epoch, scaled; other values follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from trading_assets.sessions import calendar
from trading_assets.simulator.durations import BAR_SECONDS, closing, opening
from trading_assets.simulator.market import (
    Bar,
    ContractQuery,
    Greeks,
    ListedContract,
    MarketQuote,
    MarketRefusal,
    OptionParameters,
)

NOW = datetime(2024, 6, 3, 18, 0, tzinfo=UTC)
"""14:00 New York on a Monday: the session is under way."""

EXPIRIES = (date(2024, 6, 21), date(2024, 7, 19))
STRIKES = (95.0, 100.0, 105.0)


def _stock(con_id: int, symbol: str, exchange: str = "NASDAQ") -> ListedContract:
    return ListedContract(
        con_id, symbol, "STK", "SMART", exchange, "USD", symbol, symbol, f"{symbol} CORPORATION", stock_type="COMMON",
        valid_exchanges="SMART,NASDAQ,NYSE", industry="Technology",
    )  # fmt: skip


def _option(con_id: int, expiry: date, strike: float, right: str) -> ListedContract:
    local = f"AAA   {expiry:%y%m%d}{right}{round(strike * 1000):08d}"
    return ListedContract(
        con_id, "AAA", "OPT", "SMART", "", "USD", local, "AAA", "AAA CORPORATION", multiplier="100",
        last_trade=f"{expiry:%Y%m%d}",
        last_trade_time="16:00:00", expiry=expiry, strike=strike, right=right, under_con_id=1, under_sec_type="STK",
        valid_exchanges="SMART,CBOE",
    )  # fmt: skip


OPTIONS = [
    _option(100 + i, expiry, strike, right)
    for i, (expiry, strike, right) in enumerate(
        (e, s, r) for e in (date(2024, 5, 17), *EXPIRIES) for s in STRIKES for r in "CP"
    )
]
UNDERLYINGS = [
    _stock(1, "AAA"),
    _stock(2, "BBB", "NYSE"),
    ListedContract(3, "IDX", "IND", "CBOE", "", "USD", "IDX", "IDX", "Índice de prueba"),
    _stock(4, "QUIET"),
    _stock(5, "TWIN", "NASDAQ"),
    _stock(6, "TWIN", "NYSE"),
    _stock(7, "BROKEN"),
]


class TinyMarket:
    """See the module."""

    name = "tiny"
    identity = "1"

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        wanted = {
            "symbol": query.symbol,
            "sec_type": query.sec_type,
            "last_trade": query.last_trade,
            "strike": query.strike,
        }
        wanted |= {
            "right": query.right,
            "primary_exchange": query.primary_exchange,
            "con_id": query.con_id,
            "local_symbol": query.local_symbol,
        }
        if query.con_id:
            wanted = {"con_id": query.con_id, "symbol": query.symbol}
        rows = [
            row
            for row in (*UNDERLYINGS, *OPTIONS)
            if all(not value or getattr(row, name) == value for name, value in wanted.items())
        ]
        return [
            row
            for row in rows
            if query.include_expired or row.expiry is None or closing(calendar(), row.expiry, True) > now
        ]

    def by_id(self, con_id: int) -> ListedContract | None:
        return next((row for row in (*UNDERLYINGS, *OPTIONS) if row.con_id == con_id), None)

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        if con_id != 1:
            return []
        dates = tuple(f"{expiry:%Y%m%d}" for expiry in EXPIRIES)
        return [OptionParameters(exchange, 1, "AAA", "100", dates, STRIKES) for exchange in ("SMART", "CBOE")]

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what_to_show: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        if contract.symbol == "BROKEN":
            raise ZeroDivisionError("this market is broken")
        if contract.symbol == "QUIET":
            return []
        if contract.symbol == "IDX" and what_to_show != "TRADES":
            raise MarketRefusal(
                162, "Historical Market Data Service error message:No historical market data for IDX/IND@CBOE"
            )
        first = max(start, datetime(2022, 1, 3, tzinfo=UTC)) if contract.symbol == "BBB" else start
        return [_bar(*slot) for slot in _slots(bar_size, first, min(end, now), use_rth)]

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        return None if contract.symbol == "QUIET" else datetime(2022, 1, 3, 14, 30, tzinfo=UTC)

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        price = 100 + now.second / 100
        if contract.sec_type == "IND":
            return MarketQuote(last=price, last_size=0, close=99.0, last_time=now)
        if contract.sec_type == "STK":
            return MarketQuote(
                bid=price - 0.01, ask=price + 0.01, last=price, bid_size=300, ask_size=200, last_size=100, high=101.0,
                low=99.0, open=100.0,
                close=99.5, volume=123456.0, call_open_interest=1000, put_open_interest=2000, call_volume=10,
                put_volume=20,
                implied_volatility=0.25, historical_volatility=0.2, last_time=now,
            )  # fmt: skip
        greeks = Greeks(0.25, 0.5, 2.5, 0.0, 0.03, 0.1, -0.02, price)
        calls, puts = (77, 0) if contract.right == "C" else (0, 78)
        return MarketQuote(
            bid=None if contract.strike == 105 else 2.4, ask=2.6, bid_size=0 if contract.strike == 105 else 11,
            ask_size=12, volume=5, close=2.2,
            call_open_interest=calls, put_open_interest=puts, greeks={"bid": Greeks(0.24), "ask": greeks,
            "model": greeks},
        )  # fmt: skip

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        return [row for row in UNDERLYINGS if row.symbol.startswith(pattern.upper())]


def _slots(bar_size: str, start: datetime, end: datetime, use_rth: bool) -> Iterator[tuple[datetime, date]]:
    days = calendar()
    seen: set[tuple[int, int]] = set()
    for session in days.sessions(start.date() - timedelta(days=1), end.date()):
        opens, closes = opening(days, session, use_rth), closing(days, session, use_rth)
        if bar_size in ("1 day", "1 week", "1 month"):
            group = session.isocalendar()[:2] if bar_size == "1 week" else (session.year, session.month)
            if start <= opens < end and (bar_size == "1 day" or group not in seen):
                seen.add(group)
                yield opens, session
            continue
        step = timedelta(seconds=BAR_SECONDS[bar_size])
        at = opens if start <= opens else opens + step * -(-(start - opens) // step)
        while at < min(closes, end):
            yield at, session
            at += step


def _bar(start: datetime, session: date) -> Bar:
    base = 100 + (start.timestamp() / 60 % 1000) / 100
    return Bar(
        start,
        session,
        round(base, 2),
        round(base + 1.5, 2),
        round(base - 1.25, 2),
        round(base + 0.5, 2),
        1200.0,
        round(base, 3),
        12,
    )
