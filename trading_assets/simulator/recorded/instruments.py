"""What the recorded files do not say about an instrument: its kind, exchange and name, contract ids, last trading days.

Here belong the OSI symbol, the small table of well-known tickers and the deterministic contract ids. Which contract is
listed when does not (`listings`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import blake2s

from trading_assets.sessions import calendar
from trading_assets.simulator.market import ListedContract

LATE_CLOSE = 15 * 60
"""Seconds by which options on indices and broad funds trade past the stock close (Cboe: until 16:15 New York)."""

AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "VIX", "DJX"})
"""Trading classes settled at the open of the expiry day: they trade for the last time in the session before (Cboe
product pages)."""

_OPTION_IDS = 1 << 30
"""Ids of options lie in [2^30, 2^31), those of underlyings below: the two can never meet."""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    exchange: str
    sec_type: str = "STK"
    stock_type: str = "COMMON"


_INDEX = {"sec_type": "IND", "stock_type": ""}
_KNOWN: dict[str, _Known] = {
    "AAPL": _Known("APPLE INC", "NASDAQ"),
    "AIG": _Known("AMERICAN INTERNATIONAL GROUP", "NYSE"),
    "AMZN": _Known("AMAZON.COM INC", "NASDAQ"),
    "BAC": _Known("BANK OF AMERICA CORP", "NYSE"),
    "DIA": _Known("SPDR DJIA TRUST", "ARCA", stock_type="ETF"),
    "FB": _Known("FACEBOOK INC-CLASS A", "NASDAQ"),
    "GLD": _Known("SPDR GOLD SHARES", "ARCA", stock_type="ETF"),
    "GOOG": _Known("ALPHABET INC-CL C", "NASDAQ"),
    "GOOGL": _Known("ALPHABET INC-CL A", "NASDAQ"),
    "IBM": _Known("INTL BUSINESS MACHINES CORP", "NYSE"),
    "IWM": _Known("ISHARES RUSSELL 2000 ETF", "ARCA", stock_type="ETF"),
    "MSFT": _Known("MICROSOFT CORP", "NASDAQ"),
    "NDX": _Known("NASDAQ 100 STOCK INDEX", "NASDAQ", **_INDEX),
    "NVDA": _Known("NVIDIA CORP", "NASDAQ"),
    "QQQ": _Known("INVESCO QQQ TRUST SERIES 1", "NASDAQ", stock_type="ETF"),
    "RUT": _Known("RUSSELL 2000 STOCK INDEX", "RUSSELL", **_INDEX),
    "SLV": _Known("ISHARES SILVER TRUST", "ARCA", stock_type="ETF"),
    "SPX": _Known("S&P 500 STOCK INDEX", "CBOE", **_INDEX),
    "SPY": _Known("SPDR S&P 500 ETF TRUST", "ARCA", stock_type="ETF"),
    "TSLA": _Known("TESLA INC", "NASDAQ"),
    "USO": _Known("UNITED STATES OIL FUND LP", "ARCA", stock_type="ETF"),
    "VIX": _Known("CBOE VOLATILITY INDEX", "CBOE", **_INDEX),
    "XSP": _Known("S&P 500 MINI-SPX OPTIONS INDEX", "CBOE", **_INDEX),
}


def stable_id(text: str, size: int) -> int:
    """A number in [1, size) that depends on the text alone, the same in every process and on every machine."""
    return int.from_bytes(blake2s(text.encode(), digest_size=8).digest(), "big") % (size - 1) + 1


def assign_ids(names: Iterable[str], base: int = 0) -> dict[str, int]:
    """Contract ids in (base, base + 2^30), one a name.

    An id is the hash of its name alone, so it does not change when files are added; only where two names meet on one
    number (about one chance in five for a whole index chain) does the later name, in sorted order, take its next hash.
    """
    ids: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        attempt = 0
        number = base + stable_id(name, _OPTION_IDS)
        while number in taken:
            attempt += 1
            number = base + stable_id(f"{name}#{attempt}", _OPTION_IDS)
        taken.add(number)
        ids[name] = number
    return ids


def option_ids(osis: Iterable[str]) -> dict[str, int]:
    """Contract ids of options, apart from those of underlyings."""
    return assign_ids(osis, base=_OPTION_IDS)


def trades_late(underlying: ListedContract) -> bool:
    """Whether options on it trade until 15 minutes past the stock close (indices and funds)."""
    return underlying.sec_type == "IND" or underlying.stock_type == "ETF"


def underlying_contract(symbol: str, con_id: int, sec_type: str = "") -> ListedContract:
    """The contract of an underlying; `sec_type` is what a file says of it, if any does.

    For a ticker outside the table the exchange follows the old custom: NYSE up to three letters, NASDAQ from four on.
    """
    known = _KNOWN.get(symbol) or _Known(symbol, "NYSE" if len(symbol) <= 3 else "NASDAQ")
    kind = known.sec_type if symbol in _KNOWN or sec_type not in {"STK", "IND"} else sec_type
    if kind == "IND":
        exchange = known.exchange if symbol in _KNOWN else "CBOE"
        return ListedContract(
            con_id=con_id, symbol=symbol, sec_type=kind, exchange=exchange, primary_exchange="", currency="USD",
            local_symbol=symbol, trading_class=symbol, long_name=known.name, market_name=symbol,
            valid_exchanges=exchange,
        )  # fmt: skip
    trading_class = "NMS" if known.exchange == "NASDAQ" else symbol
    return ListedContract(
        con_id=con_id, symbol=symbol, sec_type=kind, exchange="SMART", primary_exchange=known.exchange, currency="USD",
        local_symbol=symbol, trading_class=trading_class, long_name=known.name, stock_type=known.stock_type,
        market_name=trading_class, valid_exchanges=f"SMART,{known.exchange}",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Osi:
    """A 21-character OSI symbol: root padded to 6, YYMMDD, right, strike in thousandths of a dollar."""

    root: str
    expiry: date
    right: str
    strike: float

    @classmethod
    def parse(cls, text: str) -> Osi:
        """Raises `ValueError` for a text that is no OSI symbol."""
        if len(text) != 21 or text[12] not in "CP":
            raise ValueError(f"{text!r} is not a 21-character OSI option symbol.")
        expiry = date(2000 + int(text[6:8]), int(text[8:10]), int(text[10:12]))
        return cls(text[:6].rstrip(), expiry, text[12], int(text[13:]) / 1000)


def last_trade_day(trading_class: str, expiry: date) -> date:
    """The last session a contract trades in.

    The expiry itself, the session before it for AM-settled classes, and the Friday (or the session before a holiday)
    of the Saturday expiries that monthly options had until February 2015.
    """
    sessions = calendar()
    day = sessions.on_or_before(expiry)
    return sessions.previous(day) if trading_class in AM_SETTLED and day == expiry else day


def option_contract(osi: str, con_id: int, trading_class: str, underlying: ListedContract) -> ListedContract:
    """The contract of an option. `multiplier` is 100 for every recorded contract."""
    terms = Osi.parse(osi)
    late = trades_late(underlying) and trading_class not in AM_SETTLED
    return ListedContract(
        con_id=con_id, symbol=underlying.symbol, sec_type="OPT", exchange="SMART", primary_exchange="", currency="USD",
        local_symbol=osi,
        trading_class=trading_class, long_name=underlying.long_name,
        min_tick=0.05 if underlying.sec_type == "IND" else 0.01,
        multiplier="100", last_trade=last_trade_day(trading_class, terms.expiry).strftime("%Y%m%d"),
        last_trade_time="16:15:00" if late else "16:00:00", expiry=terms.expiry, strike=terms.strike, right=terms.right,
        under_con_id=underlying.con_id, under_sec_type=underlying.sec_type, market_name=trading_class,
        valid_exchanges="SMART,CBOE",
    )  # fmt: skip
