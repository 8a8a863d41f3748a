"""The datasets of live data: quotes, five-second bars, and the gaps in both (docs/live.md).

A recorder writes them (`streaming.store`); they become period files when the day is merged (`repositories.live`). No
request brought them: `request_id` is 0.
"""

from __future__ import annotations

import pyarrow as pa

from trading_assets.repositories.columns import (
    CON_ID,
    INSTANT,
    SESSION,
    SYMBOL,
    Column,
    Dataset,
    Period,
    number,
    text,
)

_STREAM_ID = text("stream_id", "Stream that brought the row: one subscription of one recorder")
_PROVENANCE = (
    Column("collected_at", INSTANT, "When the row came; of gaps when it was written", "UTC", provenance=True),
    Column("request_id", pa.int64(), "Always 0: no request brought the row, `stream_id` does", provenance=True),
)
_PRICE = "dollars (index points)"
_SIZE = "shares or contracts"

LIVE_QUOTES = Dataset(
    name="live_quotes",
    description="Quotes as they changed while they were streamed: the whole quote of a contract after each update.",
    columns=(
        SESSION,
        CON_ID,
        Column("received_at", INSTANT, "When the update came", "UTC"),
        Column("seq", pa.int64(), "Number of the update, counted by the recorder"),
        SYMBOL,
        number("bid", "Bid; null is no bid", _PRICE),
        number("ask", "Ask; null is no ask", _PRICE),
        number("last", "Last trade", _PRICE),
        number("bid_size", "Size at the bid", _SIZE),
        number("ask_size", "Size at the ask", _SIZE),
        number("last_size", "Size of the last trade", _SIZE),
        number("volume", "Traded in the session so far", _SIZE),
        number("open_interest", "Open interest of the morning, of options", "contracts"),
        Column("last_trade_at", INSTANT, "When the last trade happened", "UTC", nullable=True),
        Column("halted", pa.int8(), "0 trading, 1 and 2 halted; null where not known", nullable=True),
        Column("market_data_type", pa.int8(), "1 live, 2 frozen"),
        number("broker_implied_volatility", "The broker's model volatility", "1.00 = 100 % a year"),
        number("broker_delta", "The broker's model delta", "1 a dollar of the underlying"),
        number("broker_gamma", "The broker's model gamma", "delta a dollar of the underlying"),
        number("broker_vega", "The broker's model vega", "dollars a volatility point"),
        number("broker_theta", "The broker's model theta", "dollars a day"),
        number("model_price", "The broker's model price", _PRICE),
        number("underlying_price", "Price of the underlying in the broker's model", _PRICE),
        Column("greeks_at", INSTANT, "When the broker's greeks came", "UTC", nullable=True),
        _STREAM_ID,
        *_PROVENANCE,
    ),
    key=("session", "con_id", "received_at", "seq"),
    order=("symbol", "con_id", "received_at", "seq"),
    period=Period.DAY,
)

LIVE_BARS = Dataset(
    name="live_bars",
    description="Five-second bars of the underlyings as they were streamed.",
    columns=(
        SESSION,
        CON_ID,
        SYMBOL,
        text("what_to_show", "What the bar is of, e.g. TRADES"),
        Column("start", INSTANT, "Start of the bar", "UTC"),
        number("open", "First price", _PRICE, nullable=False),
        number("high", "Highest price", _PRICE, nullable=False),
        number("low", "Lowest price", _PRICE, nullable=False),
        number("close", "Last price", _PRICE, nullable=False),
        number("volume", "Traded volume; null where the broker gives none", "shares"),
        number("wap", "Volume-weighted average price; null where the broker gives none", _PRICE),
        Column("count", pa.int64(), "Trades in the bar; null where the broker gives none", nullable=True),
        Column("received_at", INSTANT, "When the bar came", "UTC"),
        _STREAM_ID,
        *_PROVENANCE,
    ),
    key=("session", "con_id", "what_to_show", "start"),
    order=("symbol", "con_id", "what_to_show", "start"),
    period=Period.DAY,
)

LIVE_GAPS = Dataset(
    name="live_gaps",
    description=(
        "Times in which updates of a stream may have been missed, and why: outside of them, no row means no update."
    ),
    columns=(
        SESSION,
        CON_ID,
        SYMBOL,
        _STREAM_ID,
        Column("began", INSTANT, "From when on updates may have been missed", "UTC"),
        Column("ended", INSTANT, "Until when; null while the gap lasts", "UTC", nullable=True),
        text("reason", "Why: disconnected, upstream_lost, farm_down, competing, stalled, ... (docs/live.md)"),
        Column("code", pa.int32(), "The broker's code", nullable=True),
        text("text", "One sentence; empty when there is none"),
        *_PROVENANCE,
    ),
    key=("session", "con_id", "stream_id", "began"),
    order=("symbol", "con_id", "stream_id", "began"),
    period=Period.DAY,
)

LIVE_DATASETS = (LIVE_QUOTES, LIVE_BARS, LIVE_GAPS)
"""All of them. Their rows never enter another dataset, nor do those of another one enter them."""
