"""The one module that imports the broker's client library: ib_insync, or ib_async (its maintained successor) where that is installed instead.

Both are the same code base: their `Client` (connection, encoding, decoding) and `Contract` are used here; the layers above
it (`IB`, its wrapper and tickers) are not, because they turn errors and timeouts into empty lists (`tws/limits.md`).
What differs between the two at this level is absorbed here: the package name, the loggers, and the highest
protocol version (176 and 178).
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

logger = logging.getLogger("trading_assets.broker")

if TYPE_CHECKING:
    from ib_insync import IB, Contract
    from ib_insync.client import Client

    LIBRARY = "ib_insync"
else:
    try:
        _library = importlib.import_module("ib_insync")
    except ModuleNotFoundError as missing:
        if missing.name != "ib_insync":
            raise
        _library = importlib.import_module("ib_async")
    LIBRARY = _library.__name__
    IB = _library.IB
    Contract = _library.Contract
    Client = importlib.import_module(f"{LIBRARY}.client").Client

LIBRARY_LOGGERS = (f"{LIBRARY}.client", f"{LIBRARY}.Decoder", f"{LIBRARY}.wrapper", f"{LIBRARY}.ib")
"""Loggers of the library: an error logged there is a message that it could not read."""


class WireClient(Client):
    """The library's client with its own request throttling off: `broker.pacing` paces, over all processes.

    A failed connection is logged once, by us, as a sentence with a remedy, instead of three times by the library.
    """

    MaxRequests = 0

    def __init__(self, wrapper: Any) -> None:
        super().__init__(wrapper)
        self._logger = logging.getLogger("trading_assets.broker.wire")
        self._logger.addFilter(_only_details)


def _only_details(record: logging.LogRecord) -> bool:
    """Let DEBUG records of the connection through; what is worth more is reported by `broker.client`."""
    return record.levelno <= logging.DEBUG


def contract_of(
    *,
    con_id: int,
    symbol: str,
    sec_type: str,
    last_trade: str,
    strike: float,
    right: str,
    multiplier: str,
    exchange: str,
    primary_exchange: str,
    currency: str,
    local_symbol: str,
    trading_class: str,
) -> Contract:
    """The library's contract object."""
    return Contract(
        conId=con_id,
        symbol=symbol,
        secType=sec_type,
        lastTradeDateOrContractMonth=last_trade,
        strike=strike,
        right=right,
        multiplier=multiplier,
        exchange=exchange,
        primaryExchange=primary_exchange,
        currency=currency,
        localSymbol=local_symbol,
        tradingClass=trading_class,
    )


__all__ = ["IB", "LIBRARY", "LIBRARY_LOGGERS", "Contract", "WireClient", "contract_of"]
