"""Faults on order: a script (JSON) or a handle in a test says what goes wrong, and when.

A script is a JSON list of rules (or an object with that list under `faults`). A rule says *when*:

| field | meaning |
| --- | --- |
| `on` | a kind of request (`historical_data`, `contract_details`, `market_data`, ...), or `any` data request |
| `contract` | only requests whose contract, in words, contains this text (`"AAPL"`, `"20240119"`) |
| `nth` | the first matching request that it strikes, counted from 1 since the rule was added (default 1) |
| `times` | how many in a row it strikes (default 1; 0: all from then on) |
| `after_requests` | in place of `on`: strikes once, when so many data requests have arrived |
| `after_seconds` | in place of `on`: strikes once, so many seconds after the start of the simulator (or after `add`) |

and *what*, in `do`:

| `do` | effect on the request | parameters |
| --- | --- | --- |
| `drop_before` | the connection closes before the answer | |
| `drop_during` | it closes in the middle of the answer's first frame | |
| `drop_after` | it closes after the answer | |
| `hang` | no answer, ever; the request stays open until cancelled | |
| `delay` | the answer comes late | `seconds` (1) |
| `stall` | nothing at all is sent to this client for a while | `seconds` (1) |
| `split` | the answer arrives in segments of a few bytes | `bytes` (7) |
| `merge` | the answer waits and leaves in one segment with what follows | `seconds` (0.05) |
| `error` | an error in place of the answer | `code`, `text` |
| `pacing` `not_permitted` `different_ip` `timed_out` | error 162 with that text | |
| `validation` `too_many_open` `not_subscribed` `competing_session` `no_security` | 321, 322, 354, 10197, 200 | |

| `do` | effect on everything | parameters |
| --- | --- | --- |
| `connectivity_lost` | 1100; data requests wait; then 1102 and they are answered | `seconds` (1) |
| | with `data_lost`: then 1101, and they and all subscriptions are lost | `data_lost` (false) |
| `farm_down` | 2103 and 2105; history and market data wait; then 2104 and 2106 | `seconds` (1) |
| `nightly_reset` | all connections close and the port refuses | `seconds` (1) |
| `duplicate_client_id` | 326 and a closed connection for the next connects | `connects` (1) |
| `drop_all` | all connections close | |
| `broadcast` | a status message to all clients | `code`, `text` |

Effects on everything may be timed by a request (`on`) too; that request is then served like any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading_assets.simulator.request_checks import HISTORY_ERROR
from trading_assets.simulator.requests import DATA_KINDS, KINDS, ApiRequest

NAMED_ERRORS: dict[str, tuple[int, str]] = {
    "pacing": (162, HISTORY_ERROR + "Historical data request pacing violation"),
    "validation": (321, "Error validating request.-'bM' : cause - Historical data requested duration is invalid."),
    "too_many_open": (
        322,
        "Error processing request.-'bX' : cause - Only 50 simultaneous API historical data requests allowed",
    ),
    "not_subscribed": (354, "Requested market data is not subscribed. Delayed market data is not available."),
    "competing_session": (10197, "No market data during competing live session"),
    "different_ip": (162, HISTORY_ERROR + "Trading TWS session is connected from a different IP address"),
    "not_permitted": (162, HISTORY_ERROR + "No market data permissions for ISLAND STK."),
    "no_security": (200, "No security definition has been found for the request"),
    "timed_out": (162, HISTORY_ERROR + "Request Timed Out"),
}
"""Short names of errors a script may order."""

REQUEST_ACTIONS = frozenset(
    {"drop_before", "drop_during", "drop_after", "hang", "delay", "stall", "split", "merge", "error", *NAMED_ERRORS}
)
GLOBAL_ACTIONS = frozenset(
    {"connectivity_lost", "farm_down", "nightly_reset", "duplicate_client_id", "drop_all", "broadcast"}
)

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "do": str, "on": str, "contract": str, "nth": int, "times": int, "after_requests": int, "after_seconds": (int,
    float),
    "seconds": (int, float), "bytes": int, "code": int, "text": str, "data_lost": bool, "connects": int,
}  # fmt: skip


class FaultScriptError(ValueError):
    """A fault script cannot be carried out as written."""


@dataclass(slots=True)
class FaultRule:
    """One rule in valid form, with the count of requests it has seen."""

    do: str
    on: str = ""
    contract: str = ""
    nth: int = 1
    times: int = 1
    after_requests: int = 0
    after_seconds: float | None = None
    seconds: float = 1.0
    bytes: int = 7
    code: int = 0
    text: str = ""
    data_lost: bool = False
    connects: int = 1
    seen: int = field(default=0, compare=False)
    fired: int = field(default=0, compare=False)

    @property
    def is_global(self) -> bool:
        """Whether it strikes everything, not one request."""
        return self.do in GLOBAL_ACTIONS

    @property
    def error(self) -> tuple[int, str] | None:
        """Code and text of the error it orders, if it orders one."""
        return (self.code, self.text) if self.do == "error" else NAMED_ERRORS.get(self.do)

    @classmethod
    def parse(cls, rule: Mapping[str, Any]) -> FaultRule:
        """The rule of a JSON object. Raises `FaultScriptError` with a sentence."""
        if not isinstance(rule, Mapping):
            raise FaultScriptError(f"A fault must be an object with the field 'do', not {rule!r}.")
        for name, value in rule.items():
            kind = _FIELDS.get(name)
            if kind is None:
                raise FaultScriptError(
                    f"The fault {dict(rule)!r} has the unknown field {name!r}; known are {', '.join(sorted(_FIELDS))}."
                )
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise FaultScriptError(f"The field {name!r} of the fault {dict(rule)!r} has a wrong type.")
        result = cls(**{"do": "", **rule})
        if result.do == "merge" and "seconds" not in rule:
            result.seconds = 0.05
        result.check()
        return result

    def check(self) -> None:
        """Raises `FaultScriptError` for a rule that could never be carried out."""
        if self.do not in REQUEST_ACTIONS | GLOBAL_ACTIONS:
            raise FaultScriptError(
                f"{self.do!r} is no fault; known are {', '.join(sorted(REQUEST_ACTIONS | GLOBAL_ACTIONS))}."
            )
        if self.on and self.on != "any" and self.on not in KINDS:
            raise FaultScriptError(f"{self.on!r} is no kind of request; known are any, {', '.join(sorted(KINDS))}.")
        if self.do in REQUEST_ACTIONS and not self.on:
            raise FaultScriptError(f"The fault {self.do!r} strikes a request: say which kind in 'on'.")
        if self.do in ("error", "broadcast") and not self.code:
            raise FaultScriptError(f"The fault {self.do!r} needs a 'code' and a 'text'.")
        if min(self.nth, self.bytes, self.connects) < 1 or min(self.times, self.after_requests, self.seconds) < 0:
            raise FaultScriptError(f"The fault {self.do!r} has a count below 1 or a negative number.")

    def strikes(self, request: ApiRequest, data_requests: int) -> bool:
        """Whether it strikes this request, the `data_requests`-th for data; counts it as seen."""
        if self.after_requests:
            due = not self.fired and data_requests >= self.after_requests
        elif self._concerns(request):
            self.seen += 1
            due = self.seen >= self.nth and (not self.times or self.fired < self.times)
        else:
            due = False
        self.fired += due
        return due

    def _concerns(self, request: ApiRequest) -> bool:
        kinds = DATA_KINDS if self.on == "any" else {self.on}
        return request.kind in kinds and self.contract in request.subject


class Faults:
    """The faults of one simulator. Thread-safe; rules may be added while it runs.

    >>> faults = Faults([{"on": "historical_data", "nth": 3, "do": "drop_during"}])
    >>> faults.add(on="market_data", do="competing_session", times=2)
    """

    def __init__(self, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._data_requests = 0
        self._triggered: list[FaultRule] = []
        self._wake: Callable[[], object] = _nothing
        for rule in rules:
            self.add(**rule)

    @classmethod
    def load(cls, path: Path | str) -> Faults:
        """The faults of a script file. Raises `FaultScriptError` with a sentence that names the file."""
        try:
            script = json.loads(Path(path).read_text(encoding="utf-8"))
            rules = script.get("faults") if isinstance(script, dict) else script
            if not isinstance(rules, list):
                raise FaultScriptError("it must hold a list of faults")
            for rule in rules:
                FaultRule.parse(rule)
            return cls(rules)
        except OSError as error:
            raise FaultScriptError(f"The fault script {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise FaultScriptError(f"The fault script {path} is not usable: {error}") from error

    def add(self, **rule: Any) -> None:
        """Add a rule; `after_seconds` counts from now when the simulator runs. Raises `FaultScriptError`."""
        parsed = FaultRule.parse(rule)
        if parsed.is_global and not (parsed.on or parsed.after_requests or parsed.after_seconds is not None):
            raise FaultScriptError(
                f"When shall {parsed.do!r} strike? Give 'on', 'after_requests' or 'after_seconds', or use trigger()."
            )
        if parsed.after_seconds is not None:
            self._hand_over(parsed)
            return
        with self._lock:
            self._rules.append(parsed)

    def trigger(self, do: str, **parameters: Any) -> None:
        """Carry out an effect on everything at once."""
        parsed = FaultRule.parse({"do": do, **parameters})
        if not parsed.is_global:
            raise FaultScriptError(f"{do!r} strikes a request and cannot be triggered: add a rule with 'on'.")
        self._hand_over(parsed)

    def _hand_over(self, rule: FaultRule) -> None:
        with self._lock:
            self._triggered.append(rule)
            wake = self._wake
        wake()

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()
            self._triggered.clear()

    def attach(self, wake: Callable[[], object]) -> None:
        """The server's: `wake()` is called, in any thread, when `take_triggered` has something."""
        with self._lock:
            self._wake = wake
        wake()

    def detach(self) -> None:
        """The server's: it has stopped."""
        with self._lock:
            self._wake = _nothing

    def take_triggered(self) -> list[FaultRule]:
        """The server's: effects to carry out now or after their `after_seconds`."""
        with self._lock:
            taken, self._triggered = self._triggered, []
            return taken

    def strike(self, request: ApiRequest) -> list[FaultRule]:
        """The server's: the rules that strike this request, in order; at most one of them strikes the request
        itself."""
        with self._lock:
            self._data_requests += request.kind in DATA_KINDS
            struck = [rule for rule in self._rules if rule.strikes(request, self._data_requests)]
            own = next((rule for rule in struck if not rule.is_global), None)
            return [rule for rule in struck if rule.is_global or rule is own]


def _nothing() -> None:
    """Nobody listens yet."""
