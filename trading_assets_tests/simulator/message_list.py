"""The whole message list through ib_insync or ib_async, whichever this Python has: `python message_list.py --port N`.

Runs every request the simulator answers against the market of `--symbol` and checks what comes back. Exits with 0 when
all is well and the library logged nothing from warning upwards, else prints what was wrong and exits with 1. Imports
nothing of the project, so that it runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from typing import Any

try:
    import ib_insync as library
except ImportError:
    import ib_async as library  # type: ignore[no-redef]

BAR_SIZES = ("1 min", "5 mins", "15 mins", "30 mins", "1 hour", "4 hours", "8 hours", "1 day", "1W", "1M")
SHOWS = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK")


class Wrong(Exception):
    """An answer was not what it must be."""


class Log(logging.Handler):
    """Keeps what the library logs from warning upwards."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def check(condition: Any, said: str) -> None:
    """Raise `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(said)


def wait_for(ib: Any, condition: Callable[[], Any], said: str) -> None:
    """Let the library work until the condition holds, 10 s at most."""
    for _ in range(1000):
        if condition():
            return
        ib.sleep(0.01)
    raise Wrong(f"did not come: {said}")


def contracts(ib: Any, symbol: str) -> tuple[Any, Any]:
    """Contract messages; returns the stock and an option near the money."""
    found = ib.reqMatchingSymbols(symbol)
    check(any(row.contract.symbol == symbol for row in found), "matching symbols")
    (details,) = ib.reqContractDetails(library.Stock(symbol, "SMART", "USD"))
    stock = details.contract
    check(details.longName and details.tradingHours and details.liquidHours and details.minTick, "contract details")
    chains = ib.reqSecDefOptParams(symbol, "", "STK", stock.conId)
    check(chains and all(chain.strikes and chain.expirations for chain in chains), "option parameters")
    expiry = sorted(chains[0].expirations)[min(2, len(chains[0].expirations) - 1)]
    rows = ib.reqContractDetails(library.Option(symbol, expiry, exchange="SMART"))
    check(len(rows) >= 4 and {row.contract.right for row in rows} == {"C", "P"}, "contract details of an expiry")
    last = ib.reqHistoricalData(stock, "", "1 D", "1 day", "TRADES", True)[-1].close
    option = min(
        (row.contract for row in rows if row.contract.right == "C"), key=lambda contract: abs(contract.strike - last)
    )
    check(ib.reqMarketRule(26), "market rule")
    return stock, option


def history(ib: Any, stock: Any, option: Any) -> None:
    """Historical messages."""
    for size in BAR_SIZES:
        for show in SHOWS:
            bars = ib.reqHistoricalData(stock, "", "1 M" if size in ("1 day", "1W", "1M") else "2 D", size, show, True)
            check(bars and all(bar.low <= bar.high for bar in bars), f"{size} {show}")
    for end in ("", "20991231-23:59:59", "20991231 16:00:00 US/Eastern"):
        for form in (1, 2):
            for rth in (True, False):
                check(
                    ib.reqHistoricalData(stock, end, "1 D", "1 hour", "TRADES", rth, formatDate=form),
                    f"end {end!r} form {form}",
                )
    check(ib.reqHistoricalData(stock, "", "1 Y", "1 day", "ADJUSTED_LAST", True), "adjusted")
    check(ib.reqHistoricalData(option, "", "1 M", "8 hours", "BID_ASK", True), "option bars")
    check(ib.reqHistoricalSchedule(stock, 10).sessions, "schedule")
    check(ib.reqHeadTimeStamp(stock, "TRADES", True, formatDate=2), "head timestamp")
    for show in ("TRADES", "BID_ASK", "MIDPOINT"):
        check(ib.reqHistoricalTicks(stock, "", ib.reqCurrentTime(), 10, show, True), f"historical ticks {show}")
    live = ib.reqHistoricalData(stock, "", "1 D", "5 mins", "TRADES", True, keepUpToDate=True)
    check(live, "live bars")
    live_id = live.reqId
    bars = ib.reqRealTimeBars(stock, 5, "TRADES", False)
    ib.cancelRealTimeBars(bars)
    # the broker confirms this cancel with error 162; the library logs it, so it is not part of the silent list
    check(live_id, "live request id")


def quotes(ib: Any, stock: Any, option: Any) -> None:
    """Market data messages."""
    for kind in (1, 2, 3, 4):
        ib.reqMarketDataType(kind)
        snapshot, option_snapshot = ib.reqTickers(stock, option)
        check(snapshot.marketDataType and snapshot.close > 0, f"snapshot, type {kind}")
        check(option_snapshot.ask > 0, f"option snapshot, type {kind}")
    ib.reqMarketDataType(1)
    ticker = ib.reqMktData(option, "100,101,106")
    wait_for(
        ib,
        lambda: ticker.modelGreeks and ticker.callOpenInterest == ticker.callOpenInterest,
        "greeks and open interest",
    )
    check(0 < ticker.modelGreeks.impliedVol < 5, "implied volatility")
    ib.cancelMktData(option)
    underlying = ib.reqMktData(stock, "100,101,104,105,106")
    wait_for(ib, lambda: underlying.impliedVolatility == underlying.impliedVolatility, "generic tick 106")
    ib.cancelMktData(stock)
    spot = underlying.last if underlying.last == underlying.last else underlying.close
    priced = ib.calculateOptionPrice(option, 0.3, spot)
    check(
        abs(ib.calculateImpliedVolatility(option, priced.optPrice, spot).impliedVol - 0.3) < 1e-3, "option calculations"
    )


def account(ib: Any) -> None:
    """Account messages."""
    (name,) = ib.managedAccounts()
    check(ib.accountSummary() and ib.accountValues(name), "account values")
    check(ib.reqOpenOrders() == [] and ib.reqAllOpenOrders() == [] and ib.reqCompletedOrders(False) == [], "orders")
    check(ib.reqExecutions() == [] and isinstance(ib.reqPositions(), list), "executions and positions")
    ib.reqAccountUpdates(name)
    ib.reqAccountUpdatesMulti(name)
    ib.client.reqIds(1)
    ib.client.reqManagedAccts()
    ib.client.reqAutoOpenOrders(False)
    ib.client.cancelPositions()
    check(ib.reqCurrentTime(), "current time")


def run(port: int, symbol: str, client_id: int) -> list[str]:
    """Run the list; returns what was wrong."""
    log = Log()
    logging.getLogger(library.__name__).addHandler(log)
    ib = library.IB()
    ib.RequestTimeout = 60
    try:
        ib.connect("127.0.0.1", port, clientId=client_id, timeout=300)
        stock, option = contracts(ib, symbol)
        account(ib)
        history(ib, stock, option)
        quotes(ib, stock, option)
    except Wrong as wrong:
        log.lines.append(f"wrong answer: {wrong}")
    finally:
        ib.disconnect()
        logging.getLogger(library.__name__).removeHandler(log)
    return log.lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--symbol", default="AAA")
    parser.add_argument("--client-id", type=int, default=77)
    arguments = parser.parse_args()
    lines = run(arguments.port, arguments.symbol, arguments.client_id)
    sys.stdout.write("\n".join([*lines, f"{library.__name__}: {'well' if not lines else 'not well'}"]) + "\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
