"""The one table of broker codes: class, outcome, retry policy, remedy and source of each; and how a text refines a code.

Sources: [D] IBKR "Message Codes" and "Historical Data Limitations"; [W] wire logs published with open-source clients;
[X] the gateway re-implementation deepentropy/ibx; [C] reports in client-library trackers (ib_insync 293, 330).
Codes below 0 do not exist at the broker. Codes of orders are absent: this platform collects data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trading_assets.broker.outcomes import Outcome, OutcomeKind

CANCELLED, COMPLETE, DISCONNECTED, EMPTY = OutcomeKind.CANCELLED, OutcomeKind.COMPLETE, OutcomeKind.DISCONNECTED, OutcomeKind.EMPTY
EXPIRED, NO_CONTRACT, NOT_PERMITTED = OutcomeKind.EXPIRED, OutcomeKind.NO_CONTRACT, OutcomeKind.NOT_PERMITTED
PACING, REJECTED, TIMEOUT = OutcomeKind.PACING, OutcomeKind.REJECTED, OutcomeKind.TIMEOUT


class CodeClass(StrEnum):
    """What a code is about."""

    WARNING = "W"
    """Status or warning: ends nothing."""
    REQUEST = "R"
    """Ends one request."""
    CONNECTION = "C"
    """The state of the connection, for all requests."""


class Retry(StrEnum):
    """When asking again makes sense."""

    NEVER = "never"
    """Not as it stands."""
    PACING = "pacing"
    """After a wait that lets the limit recover."""
    LATER = "later"
    """Soon: the cause is on the broker's side and passes."""
    USER = "user"
    """After the user has changed a subscription, a permission or a setting."""


@dataclass(frozen=True, slots=True)
class BrokerCode:
    """One row of the table. `phrase` restricts it to texts that hold it (lower case); rows with a phrase come before those without."""

    code: int
    cls: CodeClass
    kind: OutcomeKind
    retry: Retry
    remedy: str
    source: str
    phrase: str = ""


_ASK_LATER = "Nothing to do: it is asked again by itself; if it persists, look at the connection of TWS to its data farms."
_PACING = (
    "Nothing to do: it is asked again after a wait; if it persists, lower TRADING_ASSETS_MESSAGES_PER_SECOND or see which other client uses this TWS."
)
_SUBSCRIBE = "Subscribe to the market data in the broker's Account Management (or set TRADING_ASSETS_MARKET_DATA=delayed for a lake of delayed data)."
_NO_DATA = "The broker has no data for this span; it is recorded and not asked again until TRADING_ASSETS_NO_DATA_RETRY_DAYS have passed."
_OTHER_SESSION = "Log out the other session of the same user (TWS, mobile or web), then run again."
_REPORT = "The request was malformed: this is a defect of the platform, please report it with the code and the text."
_CONTRACT = "Check the symbol, its exchange and whether it is still listed."
_RESTORED = "Nothing to do: requests in flight are sent again when the connection is back."

W, R, C = CodeClass.WARNING, CodeClass.REQUEST, CodeClass.CONNECTION

CODES: tuple[BrokerCode, ...] = (
    BrokerCode(0, W, PACING, Retry.PACING, _PACING, "W"),
    BrokerCode(100, C, PACING, Retry.PACING, _PACING, "D, W"),
    BrokerCode(
        101,
        R,
        PACING,
        Retry.PACING,
        "Nothing to do: asked again when a market-data line is free; lower TRADING_ASSETS_MARKET_DATA_LINES if it persists.",
        "D",
    ),
    BrokerCode(102, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(162, R, PACING, Retry.PACING, _PACING, "D, W", "pacing violation"),
    BrokerCode(162, R, EMPTY, Retry.NEVER, _NO_DATA, "W", "query returned no data"),
    BrokerCode(162, R, CANCELLED, Retry.LATER, _ASK_LATER, "W", "query cancelled"),
    BrokerCode(162, R, DISCONNECTED, Retry.USER, _OTHER_SESSION, "W", "different ip address"),
    BrokerCode(162, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "W", "no market data permissions"),
    BrokerCode(162, R, REJECTED, Retry.NEVER, "Options have no daily bars: ask for bars of 8 hours or less and aggregate them.", "W", "eodchart"),
    BrokerCode(162, R, EMPTY, Retry.NEVER, _NO_DATA, "W", "no head time stamp"),
    BrokerCode(
        162,
        R,
        REJECTED,
        Retry.NEVER,
        "Ask for this contract on its listing exchange instead of SMART or BEST.",
        "W",
        "queries are not supported",
    ),
    BrokerCode(162, R, REJECTED, Retry.NEVER, _REPORT, "W", "invalid time length"),
    BrokerCode(162, R, EMPTY, Retry.NEVER, _NO_DATA, "W", "no historical market data for"),
    BrokerCode(162, R, REJECTED, Retry.NEVER, "The broker has no data of this type for the contract.", "W", "no data of type"),
    BrokerCode(162, R, TIMEOUT, Retry.LATER, _ASK_LATER, "W", "timed out"),
    BrokerCode(162, R, DISCONNECTED, Retry.LATER, _ASK_LATER, "D"),  # an unknown text of 162 is never taken for "no data"
    BrokerCode(165, W, DISCONNECTED, Retry.LATER, _ASK_LATER, "W"),
    BrokerCode(
        166,
        R,
        EXPIRED,
        Retry.NEVER,
        "The contract has expired and the broker keeps no history of it; what was not collected before is lost.",
        "D",
    ),
    BrokerCode(
        200,
        R,
        NO_CONTRACT,
        Retry.NEVER,
        "The words fit several contracts: give the exchange, the multiplier or the trading class.",
        "D, W",
        "ambiguous",
    ),
    BrokerCode(200, R, NO_CONTRACT, Retry.NEVER, _CONTRACT, "D, W"),
    BrokerCode(300, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(310, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(320, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(321, R, REJECTED, Retry.NEVER, _REPORT, "D, X"),
    BrokerCode(322, R, REJECTED, Retry.NEVER, _REPORT, "C", "duplicate ticker id"),
    BrokerCode(322, R, PACING, Retry.PACING, _PACING, "C"),
    BrokerCode(326, C, DISCONNECTED, Retry.LATER, "Nothing to do: the next client id of TRADING_ASSETS_IB_CLIENT_IDS is tried.", "D, W"),
    BrokerCode(354, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(365, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(366, W, REJECTED, Retry.NEVER, "", "D, W"),
    BrokerCode(386, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(414, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(420, R, PACING, Retry.PACING, _PACING, "W", "pacing violation"),
    BrokerCode(420, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "W", "no market data permissions"),
    BrokerCode(420, R, DISCONNECTED, Retry.USER, _OTHER_SESSION, "W", "different ip address"),
    BrokerCode(420, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(501, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(502, C, DISCONNECTED, Retry.LATER, 'Start TWS or the Gateway, tick "Enable ActiveX and Socket Clients" and check host and port.', "D"),
    BrokerCode(503, C, DISCONNECTED, Retry.USER, "Update TWS or the Gateway.", "D"),
    BrokerCode(504, C, DISCONNECTED, Retry.LATER, _RESTORED, "D"),
    BrokerCode(505, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(507, C, DISCONNECTED, Retry.LATER, _RESTORED, "D"),
    BrokerCode(1100, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1101, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1102, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1300, C, DISCONNECTED, Retry.USER, "TWS has moved to another port: set TRADING_ASSETS_IB_PORT to it.", "D"),
    BrokerCode(2110, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(10089, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10090, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),  # a part is missing, ticks go on
    BrokerCode(10091, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10167, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10168, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10182, R, DISCONNECTED, Retry.LATER, _ASK_LATER, "D"),
    BrokerCode(10186, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D"),
    BrokerCode(10187, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D"),
    BrokerCode(10197, R, DISCONNECTED, Retry.LATER, "A competing live session of the same user holds the market data: " + _OTHER_SESSION, "D, W"),
    BrokerCode(10225, R, DISCONNECTED, Retry.LATER, _ASK_LATER, "D"),
    BrokerCode(10299, R, REJECTED, Retry.NEVER, _REPORT, "D, W"),
    BrokerCode(10314, R, REJECTED, Retry.NEVER, _REPORT, "D, W"),
    BrokerCode(10339, R, REJECTED, Retry.NEVER, _REPORT, "D"),
)
"""All codes a data collector meets, those of one code ordered: special texts first."""

WARNING_RANGE = range(2100, 2200)
"""Farm status and other warnings [D]; 2110 alone is about the connection and stands in the table."""

_BY_CODE: dict[int, list[BrokerCode]] = {}
for _row in CODES:
    _BY_CODE.setdefault(_row.code, []).append(_row)

_UNKNOWN_REMEDY = "The broker gave a code this platform does not know: look it up in the broker's Message Codes."

_KIND_REMEDIES = {
    COMPLETE: "",
    EMPTY: _NO_DATA,
    NOT_PERMITTED: _SUBSCRIBE,
    NO_CONTRACT: _CONTRACT,
    EXPIRED: "The contract has expired and the broker keeps no history of it; what was not collected before is lost.",
    PACING: _PACING,
    TIMEOUT: "Run again: the answer did not come in time. If it persists, raise the timeout or look at TWS's data-farm connections.",
    DISCONNECTED: "Run again when the connection is back: what came is kept, only the rest is asked for.",
    CANCELLED: "Run again: the request was withdrawn before its answer.",
    REJECTED: _REPORT,
    OutcomeKind.UNREADABLE: (
        "Nothing to do: it is asked again by itself. If it persists, restart TWS or install another version of it, and report the message."
    ),
}


def lookup(code: int, text: str = "") -> BrokerCode | None:
    """The row of a code and its text; None for a code that is not in the table."""
    lower = text.lower()
    for row in _BY_CODE.get(code, ()):
        if row.phrase in lower:
            return row
    if code in WARNING_RANGE:
        return BrokerCode(code, W, DISCONNECTED, Retry.LATER, "", "D")
    return None


def is_warning(code: int, text: str = "") -> bool:
    """Whether a message with this code leaves its request running."""
    row = lookup(code, text)
    return row is not None and row.cls is W


def classify(code: int, text: str, *, in_reset_window: bool = False) -> Outcome:
    """The outcome of a request that the broker ended with `code` and `text`.

    Inside the nightly reset window a 200 can be false (ib_insync 330): it is taken for a lost connection and asked
    again later. An unknown code is REJECTED: it is reported, never taken for "no data".
    """
    row = lookup(code, text)
    if row is None:
        return Outcome(REJECTED, code, text)
    if code == 200 and in_reset_window and "ambiguous" not in text.lower():
        return Outcome(DISCONNECTED, code, f"{text} (not believed inside the broker's nightly reset window)")
    return Outcome(row.kind, code, text)


def remedy_of(outcome: Outcome) -> str:
    """One sentence that says what to do about an outcome; empty when nothing is to be done."""
    if outcome.kind is COMPLETE:
        return ""
    if outcome.code is not None:
        row = lookup(outcome.code, outcome.text)
        if row is None:
            return _UNKNOWN_REMEDY
        if row.kind is outcome.kind and row.remedy:
            return row.remedy
    return _KIND_REMEDIES[outcome.kind]
