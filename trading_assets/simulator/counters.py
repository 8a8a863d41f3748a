"""What the simulator saw: requests, what was open at once, violations, errors sent, connections.

`Counters` is written by the server's thread; anyone may take a `Snapshot`. Violations are counted whether or not the
limit was enforced at that moment, so a test can demand that there was not one.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from trading_assets.simulator.requests import ApiRequest

LOG_LIMIT = 200_000
"""Requests kept one by one (some 60 MB at most); beyond it only the counts go on."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as it arrived. `subject` is the contract in words, `detail` the rest of the question."""

    number: int
    kind: str
    client_id: int
    req_id: int
    subject: str
    detail: str

    @property
    def key(self) -> str:
        """Equal for requests that ask the same question."""
        return f"{self.kind}|{self.subject}|{self.detail}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that was exceeded. `rule` names it (see `limits`), `text` says by what."""

    rule: str
    text: str
    client_id: int


@dataclass(frozen=True)
class Snapshot:
    """A copy of the counters at one moment."""

    requests: dict[str, int] = field(default_factory=dict)
    """Requests by kind."""
    log: list[LoggedRequest] = field(default_factory=list)
    """Every request in the order of arrival."""
    answers: dict[str, int] = field(default_factory=dict)
    """Requests answered with data, by kind."""
    errors: dict[int, int] = field(default_factory=dict)
    """Error messages with a request id, by code."""
    violations: list[Violation] = field(default_factory=list)
    open_now: dict[str, int] = field(default_factory=dict)
    """Resources in use: `history` (open historical requests), `lines` (market-data lines), `clients`."""
    open_max: dict[str, int] = field(default_factory=dict)
    """The most of each that was ever in use at once."""
    connections: dict[str, int] = field(default_factory=dict)
    """`accepted`, `started` (startApi came), `refused`, `dropped` (closed by the simulator)."""
    messages_received: int = 0
    messages_sent: int = 0
    load_messages: dict[int, int] = field(default_factory=dict)
    """Messages sent on quote streams by a load (`Simulator.set_message_rate`), by contract id."""
    messages_paced: int = 0
    """Messages held back because their client was over the message rate."""
    faults: dict[str, int] = field(default_factory=dict)
    """Faults that were carried out, by what they do."""
    internal_errors: list[str] = field(default_factory=list)
    """Failures of the simulator itself, with the request that met them; a test may demand that there are none."""

    def of(self, *kinds: str) -> list[LoggedRequest]:
        """The logged requests of these kinds."""
        return [entry for entry in self.log if entry.kind in kinds]

    def repeated(self, *kinds: str) -> dict[str, int]:
        """Questions of these kinds asked more than once: key to count."""
        return {key: n for key, n in Counter(entry.key for entry in self.of(*kinds)).items() if n > 1}

    def as_json(self) -> dict[str, Any]:
        """The counts for printing: everything but the log."""
        return {
            "requests": self.requests,
            "answers": self.answers,
            "errors": {str(code): count for code, count in self.errors.items()},
            "violations": {
                "count": len(self.violations),
                "by_rule": dict(Counter(violation.rule for violation in self.violations)),
                "first": [f"{v.rule}: {v.text} (client {v.client_id})" for v in self.violations[:20]],
            },
            "open_now": self.open_now,
            "open_max": self.open_max,
            "connections": self.connections,
            "messages": {"received": self.messages_received, "sent": self.messages_sent, "paced": self.messages_paced},
            "load_messages": {str(con_id): count for con_id, count in self.load_messages.items()},
            "faults": self.faults,
            "internal_errors": self.internal_errors,
        }


class Counters:
    """The counts of one simulator. Every method is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter({"history": 0, "lines": 0, "clients": 0})
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is in use now."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._answers: Counter[str] = Counter()
            self._errors: Counter[int] = Counter()
            self._connections: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._log: list[LoggedRequest] = []
            self._violations: list[Violation] = []
            self._internal: list[str] = []
            self._open_max: dict[str, int] = dict(self._open)
            self._loaded: Counter[int] = Counter()
            self._received = self._sent = self._paced = 0

    def snapshot(self) -> Snapshot:
        """A copy of everything."""
        with self._lock:
            return Snapshot(
                requests=dict(self._requests),
                log=list(self._log),
                answers=dict(self._answers),
                errors=dict(self._errors),
                violations=list(self._violations),
                open_now=dict(self._open),
                open_max=dict(self._open_max),
                connections=dict(self._connections),
                messages_received=self._received,
                messages_sent=self._sent,
                messages_paced=self._paced,
                load_messages=dict(self._loaded),
                faults=dict(self._faults),
                internal_errors=list(self._internal),
            )

    def request(self, client_id: int, request: ApiRequest) -> None:
        """A request arrived."""
        with self._lock:
            self._requests[request.kind] += 1
            if len(self._log) < LOG_LIMIT:
                number = len(self._log) + 1
                self._log.append(
                    LoggedRequest(number, request.kind, client_id, request.req_id, request.subject, request.detail)
                )

    def answer(self, kind: str) -> None:
        """A request was answered with data."""
        with self._lock:
            self._answers[kind] += 1

    def error(self, code: int) -> None:
        """An error was sent for a request."""
        with self._lock:
            self._errors[code] += 1

    def violation(self, rule: str, text: str, client_id: int) -> None:
        """A limit was exceeded."""
        with self._lock:
            self._violations.append(Violation(rule, text, client_id))

    def opened(self, resource: str, change: int = 1) -> None:
        """A resource is taken (1) or given back (-1)."""
        with self._lock:
            self._open[resource] += change
            self._open_max[resource] = max(self._open_max.get(resource, 0), self._open[resource])

    def connection(self, event: str) -> None:
        """A connection was accepted, started, refused or dropped."""
        with self._lock:
            self._connections[event] += 1

    def fault(self, action: str) -> None:
        """A fault was carried out."""
        with self._lock:
            self._faults[action] += 1

    def internal_error(self, text: str) -> None:
        """The simulator itself failed."""
        with self._lock:
            self._internal.append(text)

    def received(self) -> None:
        """A message came in."""
        with self._lock:
            self._received += 1

    def sent(self, count: int) -> None:
        """Messages went out."""
        with self._lock:
            self._sent += count

    def loaded(self, messages: Counter[int]) -> None:
        """Messages of a load went out: their number by contract id."""
        with self._lock:
            self._loaded.update(messages)

    def paced(self) -> None:
        """A message was held back."""
        with self._lock:
            self._paced += 1
