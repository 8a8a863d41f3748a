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
| `connectivity_lost` | 1100; requests wait, streams are silent; then 1102, all go on | `seconds`, `resume` (true) |
| | with `data_lost`: then 1101, and they and all subscriptions are lost | `data_lost` (false) |
| `farm_down` | 2103 and 2105; requests wait, streams are silent; then 2104 and 2106 | `seconds`, `resume` (true) |
| | of one `farm`: 2103; its streams are silent; then 2104 | `farm` (`usfarm`, `usopt`) |
| `nightly_reset` | all connections close and the port refuses | `seconds` (1) |
| `duplicate_client_id` | 326 and a closed connection for the next connects | `connects` (1) |
| `drop_all` | all connections close | |
| `broadcast` | a status message to all clients | `code`, `text` |

| `do` | effect on the running streams | parameters |
| --- | --- | --- |
| `mute` | nothing comes, not for new streams either, and nothing says so | `seconds` (1), `resume` (true) |
| `competing_session` without `on` | 10197, then nothing; new ones are refused | `seconds` (1), `resume` (false) |
| `halt` | tick 49 says 1 and the quote stands still, bars are flat; then 0 | `seconds` (1) |
| `delayed` | market data type 3 and delayed ticks, then live ones; new ones get 354 | `seconds`, `announce` (true) |
| `stream_error` | an error, which ends the stream | `code`, `text` |
| `bars_disconnected` `bars_bust` | 10182, 10225, which end a stream of bars | |

They strike streams whose contract, in words, contains `contract`, and which are `streams` `quotes` or `bars` (default
both). With `resume` false the streams stay silent, and open, when the fault is over. `seconds` null: until
`Faults.end`.

Effects on everything and on streams may be timed by a request (`on`) too; that request is then served like any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
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
STREAM_ERRORS: dict[str, tuple[int, str]] = {
    "bars_disconnected": (10182, "Failed to request live updates (disconnected)."),
    "bars_bust": (
        10225,
        "Bust event occurred, current subscription is deactivated. Please resubscribe real-time bars immediately.",
    ),
}
"""Short names of errors that end running streams of bars. Texts are those of the broker's documentation."""

STREAM_ACTIONS = frozenset({"mute", "competing_session", "halt", "delayed", "stream_error", *STREAM_ERRORS})
"""What strikes running streams; `competing_session` only without `on`."""
LASTING_ACTIONS = frozenset(
    {"connectivity_lost", "farm_down", "nightly_reset", "mute", "competing_session", "halt", "delayed"}
)
"""What lasts for some time and may be ended by hand."""
SILENCING_ACTIONS = LASTING_ACTIONS - {"nightly_reset", "halt", "delayed"}
GLOBAL_ACTIONS = STREAM_ACTIONS | {
    "connectivity_lost", "farm_down", "nightly_reset", "duplicate_client_id", "drop_all", "broadcast"
}  # fmt: skip

FARMS = {"usfarm": frozenset({"STK", "IND"}), "usopt": frozenset({"OPT", "FOP"})}
"""Market data farms, and the types of contracts that each serves."""

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "do": str, "on": str, "contract": str, "nth": int, "times": int, "after_requests": int, "after_seconds": (int,
    float),
    "seconds": (int, float, NoneType), "bytes": int, "code": int, "text": str, "data_lost": bool, "connects": int,
    "resume": bool, "farm": str, "streams": str, "announce": bool,
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
    seconds: float | None = 1.0
    bytes: int = 7
    code: int = 0
    text: str = ""
    data_lost: bool = False
    connects: int = 1
    resume: bool | None = None
    farm: str = ""
    streams: str = ""
    announce: bool = True
    seen: int = field(default=0, compare=False)
    fired: int = field(default=0, compare=False)

    @property
    def is_global(self) -> bool:
        """Whether it strikes everything or the running streams, not one request."""
        return self.do in GLOBAL_ACTIONS and not (self.do in REQUEST_ACTIONS and self.on)

    @property
    def resumes(self) -> bool:
        """Whether the streams that it silenced go on by themselves when it is over."""
        return self.resume if self.resume is not None else self.do != "competing_session"

    def strikes_stream(self, kind: str, words: str, sec_type: str) -> bool:
        """Whether it strikes a running stream: `quotes` or `bars`, of a contract in words and of a type."""
        if self.do in STREAM_ERRORS and kind != "bars":
            return False
        if self.do in ("connectivity_lost", "farm_down"):
            return not self.farm or sec_type in FARMS[self.farm]
        return self.streams in ("", kind) and self.contract in words

    @property
    def error(self) -> tuple[int, str] | None:
        """Code and text of the error it orders, if it orders one."""
        if self.do in ("error", "stream_error"):
            return self.code, self.text
        return NAMED_ERRORS.get(self.do) or STREAM_ERRORS.get(self.do)

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
        if self.do in REQUEST_ACTIONS - GLOBAL_ACTIONS and not self.on:
            raise FaultScriptError(f"The fault {self.do!r} strikes a request: say which kind in 'on'.")
        if self.do in ("error", "broadcast", "stream_error") and not self.code:
            raise FaultScriptError(f"The fault {self.do!r} needs a 'code' and a 'text'.")
        if self.seconds is None and not (self.is_global and self.do in LASTING_ACTIONS):
            raise FaultScriptError(f"The fault {self.do!r} does not last until it is ended: give its 'seconds'.")
        if self.farm and (self.do != "farm_down" or self.farm not in FARMS):
            raise FaultScriptError(f"Only 'farm_down' takes a 'farm', one of {', '.join(FARMS)}.")
        if self.streams not in ("", "quotes", "bars"):
            raise FaultScriptError(f"The field 'streams' is 'quotes' or 'bars', not {self.streams!r}.")
        if min(self.nth, self.bytes, self.connects) < 1 or min(self.times, self.after_requests, self.seconds or 0) < 0:
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
        self._ended: list[tuple[str, str]] = []
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
        """Carry out an effect on everything, or on the running streams, at once."""
        parsed = FaultRule.parse({"do": do, **parameters})
        if not parsed.is_global:
            raise FaultScriptError(f"{do!r} strikes a request and cannot be triggered: add a rule with 'on'.")
        self._hand_over(parsed)

    def end(self, do: str, contract: str = "") -> None:
        """End the lasting faults `do` that are under way; with `contract` those that were given this text."""
        if do not in LASTING_ACTIONS:
            raise FaultScriptError(f"{do!r} does not last; what lasts is {', '.join(sorted(LASTING_ACTIONS))}.")
        with self._lock:
            self._ended.append((do, contract))
            wake = self._wake
        wake()

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

    def take_ended(self) -> list[tuple[str, str]]:
        """The server's: name and contract of the lasting faults to end now."""
        with self._lock:
            taken, self._ended = self._ended, []
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
