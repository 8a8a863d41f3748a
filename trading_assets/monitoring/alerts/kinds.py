"""Which alerts exist: type, default severity, what it means and what to do. And `Issue`, a condition that holds now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trading_assets.errors import InvalidRequest
from trading_assets.remedies import typed, worded


class AlertSeverity(StrEnum):
    """How much an alert matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return list(AlertSeverity).index(self)


class AlertType(StrEnum):
    """The alerts of the platform. The first five are the operational guide's critical alerts."""

    PREREQUISITE_VIOLATION = "prerequisite_violation"
    DATA_INTEGRITY_FAILURE = "data_integrity_failure"
    API_CIRCUIT_BREAKER_OPEN = "api_circuit_breaker_open"
    STALE_OPTION_CHAINS = "stale_option_chains"
    MISSING_EQUITY_DATA = "missing_equity_data"
    EXPIRING_DATA_AT_RISK = "expiring_data_at_risk"
    BROKER_UNREACHABLE = "broker_unreachable"
    MARKET_DATA_DELAYED = "market_data_delayed"
    ANSWER_QUARANTINED = "answer_quarantined"
    CONTRACT_CHANGED = "contract_changed"
    UNIT_CHANGED = "unit_changed"
    STREAM_DOWN = "stream_down"
    STREAM_STALLED = "stream_stalled"
    POSITION_UNEXPLAINED = "position_unexplained"
    RUN_FAILED = "run_failed"
    SCHEDULE_MISSED = "schedule_missed"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is said of one type of alert: `meaning` completes "This alert says that ...", `remedy` is what to do."""

    severity: AlertSeverity
    meaning: str
    remedy: str


KINDS: dict[AlertType, Kind] = {
    AlertType.PREREQUISITE_VIOLATION: Kind(
        AlertSeverity.CRITICAL,
        "option bars are wanted and the contract, chain or equity data they build on is not there",
        "Run `trading-assets update SYMBOL`: it collects contract, chain and equity bars first, then the option bars.",
    ),
    AlertType.DATA_INTEGRITY_FAILURE: Kind(
        AlertSeverity.CRITICAL,
        "rows in the lake break a rule of severity ERROR; what would build on them is held back",
        "Run `trading-assets validate SYMBOL` to see the rows and what the rule advises.",
    ),
    AlertType.API_CIRCUIT_BREAKER_OPEN: Kind(
        AlertSeverity.CRITICAL,
        "the broker failed several times in a row and no request is sent until a trial call succeeds",
        "See that TWS or IB Gateway is running and logged in; the breaker closes by itself with the first answer.",
    ),
    AlertType.STALE_OPTION_CHAINS: Kind(
        AlertSeverity.CRITICAL,
        "the newest option chain is too old, though a session has begun since",
        "Run `trading-assets update SYMBOL` while the market is open; a chain of a past session is unavailable.",
    ),
    AlertType.MISSING_EQUITY_DATA: Kind(
        AlertSeverity.CRITICAL,
        "closed sessions have no complete equity bars after the normal time of collection",
        "Run `trading-assets update SYMBOL`; `trading-assets coverage SYMBOL` says why each session is missing.",
    ),
    AlertType.EXPIRING_DATA_AT_RISK: Kind(
        AlertSeverity.CRITICAL,
        "option contracts expire soon and lack bars, which the broker deletes after the expiry",
        "Run `trading-assets update SYMBOL` before the expiry.",
    ),
    AlertType.BROKER_UNREACHABLE: Kind(
        AlertSeverity.CRITICAL,
        "the last attempt to connect to the broker failed",
        "See that TWS or IB Gateway is running, logged in and accepts API clients on the port of the settings.",
    ),
    AlertType.MARKET_DATA_DELAYED: Kind(
        AlertSeverity.WARNING,
        "the broker gives delayed quotes though the settings say live",
        "Check the account's market data subscriptions and that no other session of the same user holds them.",
    ),
    AlertType.ANSWER_QUARANTINED: Kind(
        AlertSeverity.WARNING,
        "the broker answered with values that cannot be stored; the answer is kept, and it is requested again",
        "Nothing, if it clears by itself: a later answer takes its place. Else compare with TWS (`trading-assets"
        " quarantine show ID`), ask again at once with `trading-assets quarantine retry ID`, or give it up with"
        " `trading-assets quarantine discard ID`.",
    ),
    AlertType.CONTRACT_CHANGED: Kind(
        AlertSeverity.CRITICAL,
        "the broker answers a symbol with another contract than its series has; nothing is collected for it until you"
        " decide",
        "Compare the two contracts, then run `trading-assets universe resolve SYMBOL --same` (the same company under a"
        " new contract: the series goes on) or `--new` (another company: the series is closed and a new one begins).",
    ),
    AlertType.UNIT_CHANGED: Kind(
        AlertSeverity.CRITICAL,
        "the broker's bars are in another unit than the stored ones (volume, prices or times) and are held for review",
        "Look at the settings of TWS and at `trading-assets quarantine list`, then run `trading-assets quarantine"
        " accept` (all symbols, from the first held session on; `trading-assets quarantine accept SYMBOL --from DATE"
        " --to DATE` for a range): the kept answers and later ones are converted. With --as-is they are stored as they"
        " came.",
    ),
    AlertType.STREAM_DOWN: Kind(
        AlertSeverity.CRITICAL,
        "live streams are wanted and nothing of them is recorded",
        "Run `trading-assets live --status`: it says of each stream what is wrong. What can come back comes back by"
        " itself.",
    ),
    AlertType.STREAM_STALLED: Kind(
        AlertSeverity.WARNING,
        "no update of an underlying, or no answer for an option, comes in regular hours though it was asked for again",
        "Look at the symbol in TWS: if its quote stands still there too, restart TWS's market data (or TWS).",
    ),
    AlertType.POSITION_UNEXPLAINED: Kind(
        AlertSeverity.WARNING,
        "a position changed in a way that trades, expiry, assignment and exercise do not explain",
        "Compare with the broker's statement; `trading-assets positions --changes` lists the changes. The alert clears"
        " by itself after three days.",
    ),
    AlertType.RUN_FAILED: Kind(
        AlertSeverity.CRITICAL,
        "a run failed",
        "Read the run's error in the Dagster UI; what was answered until then is kept, so run it again.",
    ),
    AlertType.SCHEDULE_MISSED: Kind(
        AlertSeverity.WARNING,
        "a schedule was due and did not run",
        "See that the daemon is running (`trading-assets up`) and the schedule is on; `trading-assets status` shows the"
        " next time.",
    ),
}
"""Said once: defaults of the rules, words of the messages and `docs/alerts.md` come from here."""


@dataclass(frozen=True)
class Issue:
    """One condition that holds now and needs attention.

    `subject` is the symbol (or run, or schedule); empty when the issue is the platform's own. `reason` and `remedy`
    are sentences; without a remedy the type's own is said. `details` are plain values shown below them.
    """

    alert_type: AlertType
    subject: str
    reason: str
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Type and subject: what makes it one alert."""
        return self.alert_type.value, self.subject

    @property
    def advice(self) -> str:
        """The remedy in the message; the symbol stands where the type's remedy says SYMBOL."""
        return self.remedy or KINDS[self.alert_type].remedy.replace("SYMBOL", typed(self.subject) or "SYMBOL")

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "alert_type": self.alert_type.value,
            "subject": self.subject,
            "reason": worded(self.reason),
            "remedy": worded(self.advice),
            "details": dict(self.details),
        }


def parse_type(text: AlertType | str) -> AlertType:
    """The alert type of that name. Raises `ValueError` with the names there are."""
    if text not in set(AlertType):
        raise InvalidRequest(f"There is no alert type {text!r}. There are: {', '.join(AlertType)}.")
    return AlertType(text)


def parse_severity(text: AlertSeverity | str | None, alert_type: AlertType) -> AlertSeverity:
    """The severity of that name; None is the type's default. Raises `ValueError` with the names there are."""
    if text is None:
        return KINDS[alert_type].severity
    if text not in set(AlertSeverity):
        raise InvalidRequest(f"There is no severity {text!r}. There are: {', '.join(AlertSeverity)}.")
    return AlertSeverity(text)
