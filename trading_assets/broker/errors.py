"""The errors of the broker side (drawn in `trading_assets.errors`), and the table of broker codes.

One request's failure is not an error but an outcome of its `Result` (`broker.outcomes`); errors end a whole run.
The table of broker codes is in `broker.codes`; its functions are handed out here.
"""

from __future__ import annotations

from trading_assets.broker.codes import BrokerCode, CodeClass, Retry, classify, is_warning, lookup, remedy_of
from trading_assets.errors import (
    BreakerOpen,
    BrokerError,
    BrokerIncompatible,
    BrokerNotConfigured,
    BrokerUnavailable,
    ClientIdsExhausted,
    IdentityMismatch,
    PacingExhausted,
)

__all__ = [
    "BreakerOpen",
    "BrokerCode",
    "BrokerError",
    "BrokerIncompatible",
    "BrokerNotConfigured",
    "BrokerUnavailable",
    "ClientIdsExhausted",
    "CodeClass",
    "IdentityMismatch",
    "PacingExhausted",
    "Retry",
    "classify",
    "is_warning",
    "lookup",
    "remedy_of",
]
