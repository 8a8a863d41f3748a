"""The one table of broker codes: class, outcome, retry policy, remedy and source of each; and how a text refines a
code.

Only the codes of class C speak of the connection; any other ends at most its own request, whatever its text. TWS words
its messages in the user's language unless it is set to English, so a text that no row knows is possible for every
code: the last row of a code, without a phrase, says what the code alone means, and never that the connection broke or
that there is no data.

Sources: [D] IBKR "Message Codes" and "Historical Data Limitations"; [W] wire logs published with open-source clients;
[X] the gateway re-implementation deepentropy/ibx; [C] reports in client-library trackers (ib_insync 293, 330; ib_async
203).
Codes below 0 do not exist at the broker. Codes of orders are absent: this platform collects data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trading_assets.broker.outcomes import Outcome, OutcomeKind

CANCELLED, COMPLETE, DISCONNECTED, EMPTY = (
    OutcomeKind.CANCELLED,
    OutcomeKind.COMPLETE,
    OutcomeKind.DISCONNECTED,
    OutcomeKind.EMPTY,
)
EXPIRED, NO_CONTRACT, NOT_PERMITTED = OutcomeKind.EXPIRED, OutcomeKind.NO_CONTRACT, OutcomeKind.NOT_PERMITTED
PACING, REJECTED, TIMEOUT, UNAVAILABLE = (
    OutcomeKind.PACING,
    OutcomeKind.REJECTED,
    OutcomeKind.TIMEOUT,
    OutcomeKind.UNAVAILABLE,
)


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
    SESSION = "session"
    """In the next session, however often it was refused: it says nothing about the contract."""
    USER = "user"
    """After the user has changed a subscription, a permission or a setting."""


@dataclass(frozen=True, slots=True)
class BrokerCode:
    """One row of the table. `phrase` restricts it to texts that hold it (lower case); rows with a phrase come before
    those without."""

    code: int
    cls: CodeClass
    kind: OutcomeKind
    retry: Retry
    remedy: str
    source: str
    phrase: str = ""


_ENGLISH = 'If the text is not English, tick "Show API messages in English" in TWS (Configuration, API, Settings).'
_ASK_LATER = (
    "Nothing to do: it is requested again by itself; if it persists, look at the connection of TWS to its data farms."
)
_PACING = (
    "Nothing to do: it is requested again after a wait; if it persists, lower TRADING_ASSETS_MESSAGES_PER_SECOND "
    "or see which other client uses this TWS."
)
_SUBSCRIBE = (
    "Subscribe to the market data in the broker's Account Management (or set TRADING_ASSETS_MARKET_DATA=delayed for a"
    " lake of delayed data)."
)
_SUBSCRIBE_DELAYED = (
    "Delayed data is asked for already and none came: subscribe to the market data in the broker's Account Management, "
    "and see there that the account may receive market data through the API."
)
_SUBSCRIBE_HISTORY = (
    "Subscribe to the market data in the broker's Account Management: history needs the same subscription as live data."
)
_NO_DATA = "The broker has no data for this span; it is recorded."
_OTHER_SESSION = "Log out the other session of the same user (TWS, mobile or web), then run again."
_REPORT = "The request was malformed: this is a defect of the platform, please report it with the code and the text."
_CONTRACT = "Check the symbol, its exchange and whether it is still listed."
_RESTORED = "Nothing to do: requests in flight are sent again when the connection is back."
_NEW_ID = (
    "Nothing to do: it is sent again with a new id; if it persists, see which other program uses the same client id at"
    " this TWS."
)
_GONE = "Nothing to do: TWS had dropped the request; it is sent again with a new id."
_CONFLICT = (
    "TWS words a term of the contract in two ways; it is requested again in the next session, by its id. If it"
    " persists, report the code and the text."
)
_NO_DAILY_OPTION_BARS = "Options have no daily bars: ask for bars of 8 hours or less and aggregate them."
_NO_SUCH_TYPE = "The broker has no data of this type for the contract."
_NEXT_CLIENT_ID = "Nothing to do: the next client id of TRADING_ASSETS_IB_CLIENT_IDS is tried."
_START_TWS = 'Start TWS or the Gateway, tick "Enable ActiveX and Socket Clients" and check host and port.'
_PORT_MOVED = "TWS has moved to another port: set TRADING_ASSETS_IB_PORT to it."
_COMPETING = "A competing live session of the same user holds the market data: " + _OTHER_SESSION
_UNKNOWN_TEXT = (
    "The platform does not know this text and concludes nothing from it; the request is requested again by itself."
    f" {_ENGLISH}"
)
_UNKNOWN_REMEDY = (
    "The platform does not know this code: look it up in the broker's Message Codes; the request is requested again in"
    f" the next session. {_ENGLISH}"
)

W, R, C = CodeClass.WARNING, CodeClass.REQUEST, CodeClass.CONNECTION

CODES: tuple[BrokerCode, ...] = (
    BrokerCode(0, W, PACING, Retry.PACING, _PACING, "W"),
    BrokerCode(100, C, PACING, Retry.PACING, _PACING, "D, W"),
    BrokerCode(
        101,
        R,
        PACING,
        Retry.PACING,
        "Nothing to do: asked again when a market-data line is free; lower TRADING_ASSETS_MARKET_DATA_LINES if it"
        " persists.",
        "D",
    ),
    BrokerCode(102, R, UNAVAILABLE, Retry.LATER, _NEW_ID, "D"),
    BrokerCode(162, R, PACING, Retry.PACING, _PACING, "D, W", "pacing violation"),
    BrokerCode(162, R, EMPTY, Retry.NEVER, _NO_DATA, "W", "query returned no data"),
    BrokerCode(162, R, CANCELLED, Retry.LATER, _ASK_LATER, "W", "query cancelled"),
    BrokerCode(162, R, UNAVAILABLE, Retry.USER, _OTHER_SESSION, "W", "different ip address"),
    BrokerCode(162, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE_HISTORY, "W", "no market data permissions"),
    BrokerCode(162, R, REJECTED, Retry.NEVER, _NO_DAILY_OPTION_BARS, "W", "eodchart"),
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
    BrokerCode(162, R, REJECTED, Retry.NEVER, _NO_SUCH_TYPE, "W", "no data of type"),
    BrokerCode(162, R, TIMEOUT, Retry.LATER, _ASK_LATER, "W", "timed out"),
    BrokerCode(162, R, REJECTED, Retry.LATER, _UNKNOWN_TEXT, "D"),
    BrokerCode(165, W, UNAVAILABLE, Retry.LATER, _ASK_LATER, "W"),
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
    # an open subscription; the one of a cancelled request reaches no request
    BrokerCode(300, R, UNAVAILABLE, Retry.LATER, _GONE, "D"),
    BrokerCode(310, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(320, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(321, R, REJECTED, Retry.NEVER, _REPORT, "D, X"),
    BrokerCode(322, R, UNAVAILABLE, Retry.LATER, _NEW_ID, "C", "duplicate ticker id"),
    BrokerCode(322, R, PACING, Retry.PACING, _PACING, "C", "simultaneous"),
    BrokerCode(322, R, REJECTED, Retry.PACING, _UNKNOWN_TEXT, "C"),
    BrokerCode(326, C, DISCONNECTED, Retry.LATER, _NEXT_CLIENT_ID, "D, W"),
    BrokerCode(354, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(365, W, REJECTED, Retry.NEVER, "", "D"),
    # an open query; the one of a cancelled request reaches no request
    BrokerCode(366, R, UNAVAILABLE, Retry.LATER, _GONE, "D, W"),
    BrokerCode(386, R, UNAVAILABLE, Retry.LATER, _NEW_ID, "D"),
    BrokerCode(414, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(420, R, PACING, Retry.PACING, _PACING, "W", "pacing violation"),
    BrokerCode(420, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE_HISTORY, "W", "no market data permissions"),
    BrokerCode(420, R, UNAVAILABLE, Retry.USER, _OTHER_SESSION, "W", "different ip address"),
    BrokerCode(420, R, REJECTED, Retry.LATER, _UNKNOWN_TEXT, "D"),
    BrokerCode(478, R, REJECTED, Retry.SESSION, _CONFLICT, "C"),
    BrokerCode(501, W, REJECTED, Retry.NEVER, "", "D"),
    BrokerCode(502, C, DISCONNECTED, Retry.LATER, _START_TWS, "D"),
    BrokerCode(503, C, DISCONNECTED, Retry.USER, "Update TWS or the Gateway.", "D"),
    BrokerCode(504, C, DISCONNECTED, Retry.LATER, _RESTORED, "D"),
    BrokerCode(505, R, REJECTED, Retry.NEVER, _REPORT, "D"),
    BrokerCode(507, C, DISCONNECTED, Retry.LATER, _RESTORED, "D"),
    BrokerCode(1100, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1101, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1102, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(1300, C, DISCONNECTED, Retry.USER, _PORT_MOVED, "D"),
    BrokerCode(2110, C, DISCONNECTED, Retry.LATER, _RESTORED, "D, W"),
    BrokerCode(10089, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10090, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),  # a part is missing, ticks go on
    BrokerCode(10091, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10167, W, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10168, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D, W"),
    BrokerCode(10182, R, UNAVAILABLE, Retry.LATER, _ASK_LATER, "D"),
    BrokerCode(10186, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE, "D"),
    BrokerCode(10187, R, NOT_PERMITTED, Retry.USER, _SUBSCRIBE_HISTORY, "D"),
    BrokerCode(10197, R, UNAVAILABLE, Retry.USER, _COMPETING, "D, W"),
    BrokerCode(10225, R, UNAVAILABLE, Retry.LATER, _ASK_LATER, "D"),
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

_DELAYED_MAY_FOLLOW = frozenset({354, 10089, 10168})
"""Codes that say "not subscribed": with delayed data asked for, its ticks may come all the same (reports disagree on
how often)."""

_TRIES_OF_UNKNOWN = 2
"""How often a request is sent that ends with a text nobody knows: it may pass, and repeating it further is of no
use."""

_KIND_REMEDIES = {
    COMPLETE: "",
    EMPTY: _NO_DATA,
    NOT_PERMITTED: _SUBSCRIBE,
    NO_CONTRACT: _CONTRACT,
    EXPIRED: "The contract has expired and the broker keeps no history of it; what was not collected before is lost.",
    PACING: _PACING,
    TIMEOUT: (
        "Run again: the answer did not come in time. If it persists, raise the timeout or look at TWS's data-farm"
        " connections."
    ),
    DISCONNECTED: "Run again when the connection is back: what came is kept, only the rest is asked for.",
    UNAVAILABLE: "Nothing to do: the cause passes, and the request is requested again by the next run.",
    CANCELLED: "Run again: the request was withdrawn before its answer.",
    REJECTED: (
        "The broker refused the request as it stands; it is requested again in the next session. If it persists, report"
        " the code and the text."
    ),
    OutcomeKind.UNREADABLE: (
        "Nothing to do: it is requested again by itself. If it persists, restart TWS or install another version of it,"
        " and report the message."
    ),
    OutcomeKind.QUARANTINED: "It is requested again by itself; see `trading-assets quarantine list`.",
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


def says_nothing(code: int) -> bool:
    """Whether a refusal with this code says nothing about the contract: the code is not in the table, or about the
    request alone."""
    rows = _BY_CODE.get(code, ())
    return all(row.retry is Retry.SESSION for row in rows)


def is_warning(code: int, text: str = "") -> bool:
    """Whether a message with this code leaves its request running."""
    row = lookup(code, text)
    return row is not None and row.cls is W


def delayed_may_follow(code: int, text: str) -> bool:
    """Whether delayed ticks may follow this refusal when delayed data was asked for: then only silence is a refusal.

    A text that says there are none ends the request; one in another language does not.
    """
    return code in _DELAYED_MAY_FOLLOW and "delayed market data is not available" not in text.lower()


def classify(code: int, text: str, *, in_reset_window: bool = False) -> Outcome:
    """The outcome of a request that the broker ended with `code` and `text`.

    Inside the nightly reset window a 200 can be false (ib_insync 330): it is not believed and asked again later. An
    unknown code is REJECTED: it is reported, never taken for "no data".
    """
    row = lookup(code, text)
    if row is None:
        return Outcome(REJECTED, code, text)
    if code == 200 and in_reset_window and "ambiguous" not in text.lower():
        return Outcome(UNAVAILABLE, code, f"{text} (not believed inside the broker's nightly reset window)")
    return Outcome(row.kind, code, text)


def tries_of(outcome: Outcome, most: int) -> int:
    """How often one run sends a request at most that ended so; `most` is the limit of failures that pass."""
    if outcome.kind.retryable:
        return most
    row = None if outcome.code is None else lookup(outcome.code, outcome.text)
    passes = outcome.kind is REJECTED and row is not None and row.retry in (Retry.LATER, Retry.PACING)
    return min(_TRIES_OF_UNKNOWN, most) if passes else 1


def remedy_of(outcome: Outcome, *, delayed: bool = False) -> str:
    """One sentence or two that say what to do about an outcome; empty when nothing is to be done.

    `delayed`: the settings ask for delayed data, so no remedy advises that.
    """
    if outcome.kind is COMPLETE:
        return ""
    remedy = _KIND_REMEDIES[outcome.kind]
    if outcome.code is not None:
        row = lookup(outcome.code, outcome.text)
        if row is None:
            return _UNKNOWN_REMEDY
        if row.kind is outcome.kind and row.remedy:
            remedy = row.remedy
    return _SUBSCRIBE_DELAYED if delayed and remedy == _SUBSCRIBE else remedy
