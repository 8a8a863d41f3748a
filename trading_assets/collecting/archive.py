"""The archive: one data folder with everything a collection needs, opened once and closed once.

Here belongs what the collections share: the clock, the calendar, the lake, the journal, the universe, asking the
broker, and writing an answer so that nothing is lost. What to collect, and how answers become rows, is said by the
modules beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from functools import cached_property, partial

from trading_assets.broker.broker import Broker
from trading_assets.broker.gateways import Gateways
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.positions import AccountLook
from trading_assets.broker.requests import Request
from trading_assets.collecting.progress import listener
from trading_assets.collecting.quarantine import Examiner
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.contract_changes import ContractChanges
from trading_assets.permissions import private_folder
from trading_assets.repositories import CoverageRepository, LakeIdentity, ParquetStore
from trading_assets.repositories.identity import Wanted
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.store import UpsertCounts
from trading_assets.repositories.views import DatasetView
from trading_assets.sessions import SessionCalendar, calendar
from trading_assets.settings import Settings
from trading_assets.simulator.embedded import EmbeddedSimulator
from trading_assets.universe import Universe


class Archive(AbstractContextManager["Archive"]):
    """The archive of `settings.data_dir`. Opening it reads nothing and connects to nothing.

    Close it, or use it as a context manager. With `reading` it makes nothing in the folder and cannot ask the broker.
    """

    def __init__(self, settings: Settings, *, reading: bool = False) -> None:
        self.settings = settings
        self._reading = reading
        self.progress = listener()
        self._broker: Broker | Gateways | None = None
        self._simulator: EmbeddedSimulator | None = None

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> datetime:
        """The market's present instant, UTC."""
        return self.settings.clock()

    @property
    def connected(self) -> bool:
        """Whether a connection to the broker was made since the archive was opened."""
        return self._broker is not None and self._broker.connected

    @cached_property
    def calendar(self) -> SessionCalendar:
        """Sessions of XNYS."""
        return calendar()

    @cached_property
    def store(self) -> ParquetStore:
        """The Parquet files."""
        return ParquetStore(self.settings.data_dir)

    @cached_property
    def coverage(self) -> CoverageRepository:
        """What the lake has, lacks and why."""
        return CoverageRepository(self.store)

    @cached_property
    def journal(self) -> Journal:
        """Every request ever made, and answers on their way to the lake."""
        if not self._reading:
            private_folder(self.settings.data_dir)
        return Journal(self.settings.state_url, reading=self._reading)

    @cached_property
    def examiner(self) -> Examiner:
        """Examines every answer before it is decoded; bad ones go into quarantine."""
        return Examiner(self.settings, self.journal, self.calendar)

    @cached_property
    def universe(self) -> Universe:
        """The active symbols."""
        return Universe(self.settings.state_url)

    @cached_property
    def changes(self) -> ContractChanges:
        """Symbols that the broker answers with another contract than their series has."""
        return ContractChanges(self.settings.state_url)

    @cached_property
    def identity(self) -> LakeIdentity:
        """The broker identity the lake belongs to."""
        return LakeIdentity(self.settings.data_dir)

    @property
    def lake(self) -> Lake:
        """The lake at the present instant."""
        return Lake.of(self.settings)

    def view(self, dataset: Dataset) -> DatasetView:
        """The stored rows of a dataset, read when asked for."""
        return self.lake.view(dataset)

    def ask(
        self, requests: Sequence[Request], report: CollectionReport, *, planned_at: datetime, run_id: str
    ) -> list[Result]:
        """Have requests answered, from the journal where an answer waits there, else by the broker; counts go to the
        report.

        Results come in the order of the requests, examined: what cannot be stored is left out of them. Answers that
        another run has put into the lake since `planned_at` are left out: the journal no longer holds them, and their
        rows and coverage are stored. Nothing is connected when there is nothing to ask. Raises `BrokerError` when the
        broker cannot be reached; what was answered until then is in the journal.
        """
        if not requests:
            return []
        broker = self._open_broker(run_id)
        sent, reused = broker.sent, broker.reused
        self.progress.begin(report.dataset, len(requests))
        report.planned += len(requests)
        try:
            results = broker.run(requests, planned_at=planned_at)
        finally:
            report.sent += broker.sent - sent
            report.reused += broker.reused - reused
        results = self.examiner.examined(results)
        report.count(results)
        return [
            r for r in results if r.payload is not None or not r.reused or r.outcome.kind is not OutcomeKind.COMPLETE
        ]

    def positions(self) -> AccountLook:
        """The positions of all accounts now: two messages. Raises `BrokerError`."""
        return self._open_broker("").positions()

    def recovered(self, datasets: Iterable[str]) -> list[Result]:
        """Answers of these datasets in the journal that are not in the lake yet, oldest first, examined."""
        return self.examiner.examined(self.journal.unapplied(datasets))

    def write(self, collected: Collected) -> UpsertCounts:
        """Put a collection into the lake: conditions that are reopened, rows, then coverage, then the quarantine keeps
        bad answers, then the journal lets all go.

        Killed between any two of them, the next run does the rest again and comes to the same lake.
        """
        if collected.reopened is not None and collected.reopened.num_rows:
            self.coverage.reopen(collected.reopened)
        counts = self.store.upsert(collected.dataset, collected.table, now=collected.as_of)
        if collected.table.num_rows:
            self.identity.keep_wanted(Wanted(self.settings.equity_bar_sizes, self.settings.contract_verify_days))
        self.coverage.record(collected.coverage)
        if collected.request_ids:
            self.examiner.settle(collected.request_ids, self.now)
            self.journal.applied(collected.request_ids)
        return counts

    def close(self) -> None:
        """End the broker connection, the in-process simulator and the journal, if there are any; each, also where one
        fails."""
        with ExitStack() as closing:  # the last one first
            if "journal" in self.__dict__:
                closing.callback(self.__dict__.pop("journal").close)
            if self._simulator is not None:
                closing.callback(self._simulator.stop)
            if self._broker is not None:
                closing.callback(self._broker.close)
            self._simulator = self._broker = None

    def _open_broker(self, run_id: str) -> Broker | Gateways:
        if self._broker is None:
            make = Gateways if self.settings.gateways else partial(Broker, endpoint=self._endpoint)
            self._broker = make(
                self.settings,
                self.journal,
                run_id=run_id,
                clock=self.settings.clock,
                on_identity=self.identity.pin,
                progress=self.progress.advance,
                on_wait=getattr(self.progress, "waiting", None),
            )
        return self._broker

    def _endpoint(self) -> tuple[str, int]:
        """Host and port, when they are first needed: with the simulated broker and no port, a simulator is started in
        this process."""
        if self.settings.endpoint is not None:
            return self.settings.endpoint
        symbols = [entry.symbol for entry in self.universe.entries(active_only=False)]
        self._simulator = EmbeddedSimulator(self.settings, symbols=symbols)
        return "127.0.0.1", self._simulator.start()
