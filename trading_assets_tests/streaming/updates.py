"""Updates for tests. Not a test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from trading_assets.streaming.updates import QuoteUpdate

EMPTY = dict.fromkeys(QuoteUpdate._fields)

BEGIN = datetime(2024, 6, 14, 14, 30, tzinfo=UTC)


def update(seq: int, symbol: str = "AAPL", con_id: int = 265598, **known: object) -> QuoteUpdate:
    """The update of that number, a millisecond after the one before."""
    given = {
        "session": date(2024, 6, 14),
        "con_id": con_id,
        "received_at": BEGIN + timedelta(milliseconds=seq),
        "seq": seq,
        "symbol": symbol,
        "market_data_type": 1,
        "stream_id": f"{con_id}-1",
    }
    return QuoteUpdate(**{**EMPTY, **given, **known})  # type: ignore[arg-type]
