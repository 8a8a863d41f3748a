"""What a plan costs before it runs: requests, messages, minutes under pacing, and what is no longer available.

A stage whose requests are all planned is exact. What depends on an answer not yet given (which expiries exist, which
strikes) is assumed from the usual US listings and marked as estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from trading_assets.broker.requests import BarsRequest, PacingClass, Request
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import LostOption, plan_equity_bars
from trading_assets.planning.durations import bars_in_session
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import SessionCalendar

MESSAGES = {"contract_details": 1, "option_parameters": 1, "option_listing": 1, "quote": 2, "bars": 1}
"""Messages a request costs: a quote is a subscription and its cancellation."""

LATENCY = {"contract_details": 0.5, "option_parameters": 0.5, "option_listing": 3.0, "quote": 2.0, "bars": 1.0}
"""Seconds until an answer, assumed (not measured against a live TWS). A whole expiry is throttled by the broker and
slow; a quote waits for its greeks and open interest, at most 11 s."""

SECONDS_A_BAR = 8.8 / 8_580
"""Seconds each bar adds to an answer (limits.md: 8,580 bars in 8.8 s)."""

LISTINGS_AT_ONCE = 4
"""Contract-detail answers that the broker works on at once, assumed: it throttles partial contracts."""

DAILY_EXPIRIES = frozenset({"SPX", "XSP", "SPY", "QQQ", "IWM", "NDX", "RUT"})
"""Underlyings with an option expiry on every session; others are assumed to have one at the end of every week."""

ASSUMED_STRIKES = 60
"""Strikes of an expiry when the selection rules do not bound them, assumed."""


ASSUMED_LISTED_SESSIONS = 60
"""Sessions with bars of an option within the rules, assumed: weekly options are listed some two months ahead."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """The limits a run keeps within: the fields of `Settings` with the same names."""

    messages_per_second: float = 48.0
    open_history_requests: int = 49
    market_data_lines: int = 95
    small_bar_requests_in_10_min: int = 57


@dataclass(frozen=True, slots=True)
class Stage:
    """The cost of one asset. `requests` counts by kind; `seconds` is under pacing; `lost_sessions` are
    contract-sessions gone for good."""

    dataset: str
    requests: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    seconds: float = 0.0
    exact: bool = True
    lost_contracts: int = 0
    lost_sessions: int = 0

    @property
    def total(self) -> int:
        """All requests of the stage."""
        return sum(self.requests.values())

    def __add__(self, other: Stage) -> Stage:
        """Both costs, one after the other."""
        return Stage(
            dataset=self.dataset,
            requests=dict(Counter(self.requests) + Counter(other.requests)),
            messages=self.messages + other.messages,
            seconds=self.seconds + other.seconds,
            exact=self.exact and other.exact,
            lost_contracts=self.lost_contracts + other.lost_contracts,
            lost_sessions=self.lost_sessions + other.lost_sessions,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a run, asset by asset in the order they run."""

    stages: tuple[Stage, ...]

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(stage.total for stage in self.stages)

    @property
    def messages(self) -> int:
        """All messages to TWS, without those of connecting."""
        return sum(stage.messages for stage in self.stages)

    @property
    def minutes(self) -> float:
        """Minutes under pacing; the assets run one after the other."""
        return sum(stage.seconds for stage in self.stages) / 60

    @property
    def exact(self) -> bool:
        """Whether the number of requests is known rather than assumed."""
        return all(stage.exact for stage in self.stages)

    @property
    def lost_sessions(self) -> int:
        """Sessions of expired contracts that are no longer available."""
        return sum(stage.lost_sessions for stage in self.stages)

    def __add__(self, other: Estimate) -> Estimate:
        """The cost of both: stages of one dataset are summed, in order of first appearance."""
        merged: dict[str, Stage] = {}
        for stage in (*self.stages, *other.stages):
            merged[stage.dataset] = merged[stage.dataset] + stage if stage.dataset in merged else stage
        return Estimate(tuple(merged.values()))

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "requests": self.requests,
            "messages": self.messages,
            "minutes": round(self.minutes, 2),
            "exact": self.exact,
            "lost_sessions": self.lost_sessions,
            "stages": [
                {
                    "dataset": stage.dataset,
                    "requests": stage.total,
                    "by_kind": dict(sorted(stage.requests.items())),
                    "messages": stage.messages,
                    "minutes": round(stage.seconds / 60, 2),
                    "exact": stage.exact,
                    "lost_contracts": stage.lost_contracts,
                    "lost_sessions": stage.lost_sessions,
                }
                for stage in self.stages
            ],
        }


def estimate_stage(
    dataset: str,
    requests: Iterable[Request],
    calendar: SessionCalendar,
    *,
    lost: Sequence[LostOption] = (),
    pacing: Pacing | None = None,
) -> Stage:
    """The exact cost of planned requests."""
    planned = list(requests)
    counts: Counter[str] = Counter(type(request).kind for request in planned)
    small = sum(request.weight for request in planned if request.pacing is PacingClass.SMALL_HISTORY)
    bars = sum(_bars(request, calendar) for request in planned if isinstance(request, BarsRequest))
    return Stage(
        dataset=dataset,
        requests=dict(counts),
        messages=_messages(counts),
        seconds=_seconds(counts, bars, small, pacing or Pacing()),
        lost_contracts=len(lost),
        lost_sessions=sum(len(option.sessions) for option in lost),
    )


def estimate_cold(
    symbol: str,
    now: datetime,
    lookback_days: int,
    rules: SelectionRules,
    calendar: SessionCalendar,
    *,
    bar_sizes: Sequence[str] = ("1 day",),
    pacing: Pacing | None = None,
) -> Estimate:
    """The cost of a symbol of which the lake has no chain: expiries and strikes are assumed, and the estimate says
    so."""
    limits = pacing or Pacing()
    session = calendar.current(now)
    expiries = len(assumed_expiries(symbol, session, rules, calendar))
    strikes = 2 * rules.strikes_around_spot if rules.strikes_around_spot is not None else ASSUMED_STRIKES
    contracts = min(
        expiries * strikes * len(rules.rights), rules.max_contracts or expiries * strikes * len(rules.rights)
    )
    words = Instrument(symbol)
    sessions = calendar.lookback(now, lookback_days)
    equity = [
        r for size in bar_sizes for r in plan_equity_bars({symbol: (words, sessions)}, {}, {}, size, now, calendar)
    ]
    chain: Counter[str] = Counter({"option_parameters": 1, "option_listing": expiries, "quote": contracts + 1})

    def stage(dataset: str, counts: Mapping[str, int], bars: int, exact: bool) -> Stage:
        return Stage(dataset, dict(counts), _messages(counts), _seconds(counts, bars, 0, limits), exact)

    return Estimate(
        (
            stage("contracts", {"contract_details": 1}, 0, True),
            stage("option_chains", chain, 0, False),
            estimate_stage("equity_bars", equity, calendar, pacing=limits),
            stage("option_bars", {"bars": contracts}, contracts * min(len(sessions), ASSUMED_LISTED_SESSIONS), False),
        )
    )


def assumed_expiries(symbol: str, session: date, rules: SelectionRules, calendar: SessionCalendar) -> list[date]:
    """Expiries that usual US listings have within the rules: every session for a few underlyings, else the last of
    every week."""
    sessions = calendar.sessions(
        session + timedelta(days=rules.min_days_to_expiry), session + timedelta(days=rules.max_days_to_expiry)
    )
    if symbol in DAILY_EXPIRIES:
        return sessions
    return [day for day in sessions if calendar.following(day).isocalendar()[:2] != day.isocalendar()[:2]]


def _bars(request: BarsRequest, calendar: SessionCalendar) -> int:
    if request.is_window:
        return int(request.duration.split()[0])
    return calendar.count_between(request.first_session, request.session) * bars_in_session(request.bar_size)


def _messages(counts: Mapping[str, int]) -> int:
    return sum(MESSAGES[kind] * count for kind, count in counts.items())


def _seconds(counts: Mapping[str, int], bars: int, small: int, pacing: Pacing) -> float:
    """Seconds of one stage: the slowest of the message rate, the answers in flight and the window of small bars."""
    rate = _messages(counts) / pacing.messages_per_second
    history = counts.get("bars", 0) * LATENCY["bars"] + bars * SECONDS_A_BAR
    lines = counts.get("quote", 0) * LATENCY["quote"] / pacing.market_data_lines
    details = sum(
        counts.get(kind, 0) * LATENCY[kind] for kind in ("contract_details", "option_parameters", "option_listing")
    )
    in_flight = (
        history / min(pacing.open_history_requests, max(1, counts.get("bars", 0))) + lines + details / LISTINGS_AT_ONCE
    )
    windows = max(0, small - pacing.small_bar_requests_in_10_min) / pacing.small_bar_requests_in_10_min * 600
    return max(rate, in_flight, windows)
