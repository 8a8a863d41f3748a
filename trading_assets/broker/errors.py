"""The errors of the broker side.

    BrokerError
    ├── BrokerUnavailable          retryable: no connection, and none could be made in time
    │   └── ClientIdsExhausted     retryable: every client id of the range is in use
    ├── PacingExhausted            retryable: a limit of the broker stayed exhausted for several requests
    ├── BreakerOpen                retryable: the circuit breaker is open, nothing was sent
    ├── BrokerIncompatible         what answers is not TWS, or speaks no protocol version that we speak
    ├── IdentityMismatch           the broker behind the connection is not the one that filled this lake
    └── BrokerNotConfigured        the settings name no broker to connect to

One request's failure is not an error but an outcome of its `Result` (`broker.outcomes`); errors end a whole run.
The table of broker codes is in `broker.codes`; its functions are handed out here.
"""

from __future__ import annotations

from trading_assets import reliability
from trading_assets.broker.codes import BrokerCode, CodeClass, Retry, classify, is_warning, lookup, remedy_of


class BrokerError(Exception):
    """Base of all errors that end a run of the broker. `retryable` says whether the same run may succeed later unchanged."""

    retryable = False


class BrokerUnavailable(BrokerError):
    """No connection to the broker, and none could be made within `settings.reconnect_timeout`."""

    retryable = True


class ClientIdsExhausted(BrokerUnavailable):
    """Every client id of `settings.ib_client_ids` is in use."""


class BrokerIncompatible(BrokerError):
    """What answers at the broker's address is not TWS, or shares no protocol version with us: another attempt would bring the same."""


class PacingExhausted(BrokerError):
    """A limit of the broker stayed exhausted for longer than a run may wait, for more than one request and with no answer in between."""

    retryable = True


class BreakerOpen(BrokerError, reliability.BreakerOpen):
    """The circuit breaker is open after repeated failures; `seconds_left` says when one trial call is allowed."""

    retryable = True


class IdentityMismatch(BrokerError):
    """The broker behind the connection is not the one whose data the lake holds. Raised before any data request."""


class BrokerNotConfigured(BrokerError):
    """The settings name no broker to connect to."""


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
