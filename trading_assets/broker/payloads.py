"""The neutral form of the broker's answers: what the client makes of a library's objects, and what the journal keeps.

Payloads are plain JSON-able values, so that a journalled answer is decoded by the same code minutes or weeks later,
whichever client library brought it. "Not computed" (-1, -2) and unset values are null, never a number.

| request kind | payload |
| --- | --- |
| `contract_details`, `option_listing` | `{"contracts": [ContractRecord, ...]}` |
| `option_parameters` | `{"parameters": [ParameterRecord, ...]}` |
| `quote` | `QuoteRecord` |
| `bars` | `{"bars": [[start, open, high, low, close, volume, wap, count], ...]}` |

`start` is epoch seconds (UTC) for intraday bars and `"YYYYMMDD"` (the session) for `1 day` bars (any other text where
the broker wrote something else); numbers are null where the broker gives none. What a payload holds is not yet checked
(`collecting.examine`).
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NotRequired, TypedDict


class ContractRecord(TypedDict):
    """One contract as the broker describes it. Text fields are empty where the broker left them empty."""

    con_id: int
    symbol: str
    sec_type: str
    last_trade: str  # YYYYMMDD, empty for stocks
    strike: float
    right: str  # "C", "P" or ""; anything else as the broker wrote it
    multiplier: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    long_name: str
    min_tick: float
    time_zone_id: str
    trading_hours: str
    liquid_hours: str
    industry: str
    category: str
    subcategory: str
    stock_type: str
    market_name: str
    under_con_id: int
    contract_month: str
    real_expiration_date: str  # YYYYMMDD or ""
    last_trade_time: str
    market_rule_ids: str
    valid_exchanges: str
    sec_ids: NotRequired[str]  # "CUSIP=... ISIN=..."; absent in answers that an older version journalled


class ParameterRecord(TypedDict):
    """Expiries (`YYYYMMDD`, sorted) and strikes (sorted) of one exchange and trading class."""

    exchange: str
    trading_class: str
    multiplier: str
    underlying_con_id: int
    expirations: list[str]
    strikes: list[float]


class QuoteRecord(TypedDict):
    """One moment's quote. Prices in dollars (index points), sizes in contracts or shares, `time` epoch seconds.

    `implied_volatility` per 1.00; `vega` per volatility point; `theta` per day (the broker's units).
    `market_data_type`: 1 live, 2 frozen, 3 delayed, 4 delayed-frozen. `dividends` is the broker's text of those
    expected of a stock (tick 456), as it came; None where none came.
    """

    bid: float | None
    ask: float | None
    last: float | None
    bid_size: float | None
    ask_size: float | None
    last_size: float | None
    volume: float | None
    close: float | None
    open_interest: float | None
    implied_volatility: float | None
    delta: float | None
    gamma: float | None
    vega: float | None
    theta: float | None
    model_price: float | None
    underlying_price: float | None
    dividends: NotRequired[str | None]  # absent in answers that an older version journalled
    market_data_type: int
    time: float


class DamagedPayload(ValueError):
    """A stored answer that cannot be read again."""


def pack(payload: Any) -> bytes:
    """Compress a payload for the journal. Raises `ValueError`, `TypeError` or `RecursionError` for what JSON cannot
    hold."""
    return zlib.compress(json.dumps(payload, separators=(",", ":"), allow_nan=False).encode(), 1)


def size(blob: bytes) -> int:
    """Bytes of a packed payload as JSON text, before compression."""
    return len(zlib.decompress(blob))


def unpack(blob: bytes) -> Any:
    """The payload that `pack` was given. Raises `DamagedPayload` for a blob that it did not make."""
    try:
        return json.loads(zlib.decompress(blob))
    except (zlib.error, ValueError, RecursionError) as error:
        raise DamagedPayload(f"the stored answer is damaged ({error})") from error
