"""Updates for tests of live data. Not a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from time import monotonic, sleep

from trading_assets.streaming.updates import BarUpdate, Gap, GapReason, QuoteUpdate

SESSION = date(2015, 12, 24)
START = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)
"""The open of the session."""

STEP = timedelta(milliseconds=10)
"""Between two updates."""


def quote(seq: int, con_id: int = 1000, session: date = SESSION, symbol: str = "SPX") -> QuoteUpdate:
    """The update of that number; the bid says which."""
    return QuoteUpdate(
        session=session,
        con_id=con_id,
        received_at=START + seq * STEP + (session - SESSION),
        seq=seq,
        symbol=symbol,
        bid=float(seq),
        ask=seq + 0.05,
        last=None,
        bid_size=3.0,
        ask_size=4.0,
        last_size=None,
        volume=float(seq),
        last_trade_at=None,
        halted=0,
        market_data_type=1,
        broker_implied_volatility=0.2,
        broker_delta=0.5,
        broker_gamma=None,
        broker_vega=None,
        broker_theta=None,
        model_price=1.5,
        underlying_price=2000.0,
        greeks_at=START,
        stream_id=f"stream-{con_id}",
    )


def bar(number: int, con_id: int = 1000, close: float = 10.0) -> BarUpdate:
    """The bar of that number of the session."""
    start = START + number * timedelta(seconds=5)
    received = start + timedelta(seconds=5)
    return BarUpdate(
        SESSION, con_id, "SPX", "TRADES", start, 10.0, 11.0, 9.0, close, 5.0, 10.1, 3, received, f"bars-{con_id}"
    )


def gap(seq: int, con_id: int = 1000, ended: int | None = None, reason: GapReason = GapReason.STALLED) -> Gap:
    """A gap from one update's instant to another one's."""
    until = None if ended is None else START + ended * STEP
    return Gap(SESSION, con_id, "SPX", f"stream-{con_id}", START + seq * STEP, until, reason, None, "A test.")


def at(seq: int) -> Callable[[], datetime]:
    """A clock that stands at the instant of that update."""
    return lambda: START + seq * STEP


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is observed; fails after that many seconds."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not happen"
        sleep(0.002)
