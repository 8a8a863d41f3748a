"""Several gateways as one broker: each symbol's requests go through one of them (`broker.routing`), all of them at the
same time, each within its own limits. One journal stands behind all, so that nothing is asked for twice.

    requests --by symbol--> usable gateways --> a broker each --> results
        ^                                          |
        +---- what is left of one that failed -----+

A gateway that fails leaves its unanswered requests to the others. It is used again when its circuit breaker and its
last contact allow (`broker.pauses`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from functools import partial

from trading_assets.broker.broker import Broker, Progress, distinct_of, run_together
from trading_assets.broker.journal import Journal
from trading_assets.broker.logins import address_of
from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.pacing import NO_DATABASE, OnWait
from trading_assets.broker.pauses import pause_of
from trading_assets.broker.positions import AccountLook
from trading_assets.broker.refusals import record_refusals
from trading_assets.broker.requests import Request
from trading_assets.broker.retries import Waits
from trading_assets.broker.routing import by_gateway
from trading_assets.errors import (
    BreakerOpen,
    BrokerIncompatible,
    BrokerUnavailable,
    IdentityMismatch,
    PacingExhausted,
)
from trading_assets.sessions import Clock
from trading_assets.settings import Settings

logger = logging.getLogger("trading_assets.broker")

PATIENCE = 30.0
"""Seconds for which a lost gateway is waited for while another one has a connection: a restart of TWS takes longer, a
broken connection less."""

FAILURES = (BrokerUnavailable, BreakerOpen, PacingExhausted, BrokerIncompatible)
"""Errors that concern one gateway. Any other ends the run: a wrong account, settings, the journal."""


class Gateways(AbstractContextManager["Gateways"]):
    """The brokers of `settings.gateways` as one. Arguments and methods are those of `Broker`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        *,
        run_id: str = "",
        clock: Clock | None = None,
        on_identity: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        waits: Waits | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self._journal = journal
        self._progress = progress
        self._running = threading.Lock()
        self._settings: Mapping[str, Settings] = {one.gateways[0].name: one for one in settings.each_gateway()}
        self._brokers = {
            name: Broker(
                one,
                journal,
                run_id=run_id,
                clock=clock,
                on_identity=partial(_check, name, on_identity) if on_identity is not None else None,
                waits=waits,
                on_wait=partial(_wait, name, on_wait) if on_wait is not None else None,
                endpoint=partial(address_of, one.gateways[0], settings.gateways),
                patience=partial(self._patience, name),
            )
            for name, one in self._settings.items()
        }
        if on_wait is not None:
            journal.retry.on_outage = partial(on_wait, NO_DATABASE, None)  # of all gateways
        self._names = {broker: name for name, broker in self._brokers.items()}

    @property
    def connected(self) -> bool:
        """Whether a connection was ever made: False as long as nothing had to be asked."""
        return any(broker.connected for broker in self._brokers.values())

    @property
    def sent(self) -> int:
        """Requests really sent so far, repeats included."""
        return sum(broker.sent for broker in self._brokers.values())

    @property
    def reused(self) -> int:
        """Answers taken from the journal so far."""
        return sum(broker.reused for broker in self._brokers.values())

    @property
    def identity(self) -> str:
        """The identity behind the connections, the same for all; empty before the first."""
        return next((broker.identity for broker in self._brokers.values() if broker.identity), "")

    def run(self, requests: Sequence[Request], *, planned_at: datetime) -> list[Result]:
        """As `Broker.run`. A gateway's failure is logged, and its requests go to the others; when none is left, the
        failure of the first is raised. Raises `BrokerNotConfigured` when two gateways are one login."""
        if not requests:
            return []
        if planned_at.tzinfo is None:
            raise ValueError(f"planned_at is {planned_at!r}: give an instant with a time zone.")
        with self._running:
            distinct = distinct_of(requests)
            results: dict[str, Result] = {}
            refused: list[tuple[str, Result]] = []

            def take(broker: Broker, result: Result) -> None:
                results[result.request.key] = result
                if result.outcome.kind is OutcomeKind.NOT_PERMITTED and not result.reused:
                    refused.append((self._names[broker], result))
                if self._progress is not None:
                    self._progress(len(results), len(distinct), self.sent, self.reused)

            try:
                self._run_all(distinct, planned_at, results, take)
            finally:
                record_refusals(self._journal.engine, refused)
            return [results[request.key] for request in requests]

    def positions(self) -> AccountLook:
        """The positions of the accounts of all gateways now, each once.

        Raises `BrokerError` when one of them cannot be reached or does not list them: without it, its positions would
        look sold.
        """
        looks = [broker.positions() for broker in self._brokers.values()]
        accounts = dict.fromkeys(account for look in looks for account in look.accounts)
        held = {(one.account, one.instrument.con_id): one for look in looks for one in look.holdings}
        return AccountLook(tuple(accounts), tuple(held.values()))

    def close(self) -> None:
        """Disconnect and stop the threads. The journal stays open: it is the caller's."""
        with ExitStack() as closing:  # each, also where one fails
            for broker in self._brokers.values():
                closing.callback(broker.close)

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_all(
        self,
        distinct: Sequence[Request],
        planned_at: datetime,
        results: Mapping[str, Result],
        take: Callable[[Broker, Result], None],
    ) -> None:
        usable, left = self._usable(), list(distinct)
        failed: dict[str, BaseException] = {}
        while left:
            shares = {self._brokers[name]: mine for name, mine in by_gateway(left, usable).items()}
            for broker, error in run_together(shares, planned_at, take, self._tell).items():
                if not isinstance(error, FAILURES):
                    raise error
                failed[self._names[broker]] = error
            left = [request for request in left if request.key not in results]
            usable = [name for name in usable if name not in failed]
            if left and not usable:
                raise failed[next(name for name in self._brokers if name in failed)]

    def _tell(self, broker: Broker, error: BaseException) -> None:
        """Say at once why a gateway has stopped: the others may work for long."""
        logger.warning("The gateway %s is not used for now: %s", self._names[broker], error)

    def _usable(self) -> list[str]:
        """The gateways to begin with: those that may be asked now, all where none may."""
        free = [name for name, one in self._settings.items() if pause_of(self._journal.engine, one) is None]
        return free or list(self._brokers)

    def _patience(self, name: str) -> float:
        """Seconds for which that gateway is waited for when its connection is lost."""
        patience = self._settings[name].reconnect_timeout
        others = any(broker.online for other, broker in self._brokers.items() if other != name)
        return min(PATIENCE, patience) if others else patience


def _check(name: str, on_identity: Callable[[str], None], identity: str) -> None:
    """What `on_identity` raises says which gateway it is about."""
    try:
        on_identity(identity)
    except IdentityMismatch as error:
        raise IdentityMismatch(f"The gateway {name}: {error}") from error


def _wait(name: str, on_wait: OnWait, why: str, until: datetime | None) -> None:
    """The others go on sending."""
    on_wait(f"{why} (gateway {name})", until)
