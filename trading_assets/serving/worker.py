"""A worker: it takes runs of one lake from the queue and executes each in a process of its own, so many at once.

What runs does not run here: the worker has threads that wait for processes, and is never forked. It is the one who
notices at once how a process ended. A run whose process was killed is ended as failed (Dagster's daemon repeats it),
and its place is free for the next.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from trading_assets.errors import ServiceFailed, TradingAssetsError
from trading_assets.monitoring.run_claims import claim, release
from trading_assets.resources.abandoned import end_lost_run
from trading_assets.resources.dagster_private import ExecuteRunArgs, ResumeRunArgs
from trading_assets.resources.database_errors import database_errors
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_owners import owner_of
from trading_assets.resources.run_queue import TASK, RunQueue
from trading_assets.resources.run_workers import QUEUE_TAG, is_worked_on, take
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.state.owners import WORKER, Owner

T = TypeVar("T")

_log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Seconds between two looks whether a run is to be interrupted."""

INTERRUPT_SECONDS = 60.0
"""Seconds that an interrupted run has to write its last events before its process is killed."""

LOST_SECONDS = 120.0
"""Seconds after which a run that nobody took, and whose message is not in the queue, is put into it again: Redis had
lost it."""

_PROCESS = "trading_assets.serving.run_process"


class Worker:
    """Executes runs of the lake of the settings, at most `places` at once, until it is stopped. `say` gets a
    sentence for each thing that happens."""

    def __init__(self, settings: Settings, places: int, say: Callable[[str], None]) -> None:
        """Raises what `RunQueue` raises."""
        self._settings, self._places, self._say = settings, places, say
        self._queue = RunQueue(settings)
        name = f"{WORKER}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._owner = Owner(connect_state(settings.state_url), name)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._interrupted = self._stopping = self._greeted = False
        self._done = threading.Event()

    def run(self) -> int:
        """Work until SIGTERM or SIGINT: the first one lets the runs end, the second interrupts them. The exit code.
        Raises `ServiceFailed` when Redis does not answer at the beginning."""
        from celery.signals import worker_ready

        waiting = self._queue.waiting()

        @self._queue.app.task(name=TASK, ignore_result=True)
        def execute(run_id: str, attempt: int) -> None:
            self._execute(run_id, attempt)

        worker = self._queue.app.Worker(
            concurrency=self._places,
            pool_cls="threads",
            hostname=self._owner.name,
            loglevel="WARNING",
            quiet=True,
            redirect_stdouts=False,
            without_gossip=True,
            without_heartbeat=True,
            without_mingle=True,
        )
        ready = worker_ready.connect(lambda **_: self._ready(waiting), weak=False)
        with dagster_instance(self._settings) as self._instance:
            self._owner.ensure()
            threading.Thread(target=self._send_lost_again, name="lost runs", daemon=True).start()
            try:
                worker.start()
            finally:
                worker_ready.disconnect(ready)
                self._done.set()
                self._owner.close()
        return int(worker.exitcode or 0)

    def _ready(self, waiting: int) -> None:
        """Celery has connected, also after a connection was lost."""
        if self._greeted:
            return
        self._greeted = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._say(
            f"{self._owner.name} takes runs from the queue, {self._places} at once; {waiting} wait. Stop with Ctrl-C."
        )

    def _stop(self, *_: object) -> None:
        from celery.worker import state

        if self._stopping:
            self._interrupted = True  # `_wait` interrupts them
        elif self._processes:
            self._say(f"Stopping when {len(self._processes)} run(s) have ended; once more interrupts them.")
        self._stopping = True
        state.should_stop = 0

    def _execute(self, run_id: str, attempt: int) -> None:
        """The task: execute a run, and see that it has ended when its process has."""
        message = uuid.uuid4().hex
        run = self._when_answered(f"Run {run_id} could not be taken", lambda: self._take(run_id, attempt, message))
        if run is None:
            return
        self._say(f"Run {run_id} ({run.job_name}) begins.")
        process = self._processes[run_id] = self._start(run, attempt)
        try:
            self._wait(process, run_id)
        finally:
            del self._processes[run_id]
        status = self._settled(run_id, process.returncode)
        self._say(f"Run {run_id} ({run.job_name}) ended: {status.value}.")

    def _take(self, run_id: str, attempt: int, message: str) -> DagsterRun | None:
        run = take(self._instance, self._settings, run_id, self._owner.name, attempt, message)
        if run is None:
            self._close(run_id)
        return run

    def _start(self, run: DagsterRun, attempt: int) -> subprocess.Popen[bytes]:
        assert run.job_code_origin is not None
        kind = ResumeRunArgs if attempt else ExecuteRunArgs
        *_, command, given = kind(run.job_code_origin, run.run_id, self._instance.get_ref()).get_command_args()
        return subprocess.Popen(
            [sys.executable, "-m", _PROCESS, str(os.getpid()), command, given],
            env=self._settings.child_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the worker
        )

    def _wait(self, process: subprocess.Popen[bytes], run_id: str) -> None:
        """Wait for the end of the process; interrupt it when the run is to be cancelled, is ended by somebody else, or
        the worker gets a second signal."""
        deadline: float | None = None
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
                return
            if deadline is None:
                if self._interrupted or self._to_interrupt(run_id):
                    process.terminate()
                    deadline = time.monotonic() + INTERRUPT_SECONDS
            elif time.monotonic() > deadline:
                process.kill()

    def _to_interrupt(self, run_id: str) -> bool:
        try:
            run = self._instance.get_run_by_id(run_id)
        except database_errors() as error:  # the run itself tells when it cannot go on
            _log.warning("Whether run %s is to be interrupted could not be looked at: %s", run_id, error)
            return False
        return run is None or run.is_finished or run.status is DagsterRunStatus.CANCELING

    def _settled(self, run_id: str, code: int) -> DagsterRunStatus:
        """As `_settle`, as soon as Dagster's history can be used: until then the run's place stays taken. A worker
        whose runs are interrupted does not wait; such a run is ended when its heartbeat is no longer heard."""
        return self._when_answered(f"The end of run {run_id} could not be recorded", lambda: self._settle(run_id, code))

    def _when_answered(self, failed: str, ask: Callable[[], T]) -> T:
        """What the function returns when the databases answer. Raises what it raises when runs are interrupted."""
        while True:
            try:
                return ask()
            except database_errors() as error:
                if self._interrupted:
                    raise
                _log.warning("%s yet: %s", failed, error)
            time.sleep(LOOK_SECONDS)

    def _settle(self, run_id: str, code: int) -> DagsterRunStatus:
        """See that a run whose process has ended is ended; its status."""
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            return DagsterRunStatus.FAILURE
        if run.status is DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run)
        elif not run.is_finished:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            end_lost_run(self._instance, run, f"on {self._owner.name}, by {how}")
        ended = self._instance.get_run_by_id(run_id)
        return ended.status if ended is not None else DagsterRunStatus.FAILURE

    def _close(self, run_id: str) -> None:
        """End a run that was cancelled while it waited; nobody else does before its time is up."""
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            self._say(f"Run {run_id} is in no history that is known here: see that the settings of all machines agree.")
        elif run.status is DagsterRunStatus.CANCELING and not is_worked_on(self._settings, run):
            self._instance.report_run_canceled(run)

    def _send_lost_again(self) -> None:
        errors: tuple[type[Exception], ...] = (TradingAssetsError, *database_errors())
        while not self._done.wait(LOST_SECONDS / 2):
            try:
                for run_id in lost_runs(self._instance, self._settings, self._queue):
                    try:
                        self._queue.send(run_id)
                    except ServiceFailed:
                        release(self._settings.state_url, _claim_of(run_id))
                        raise
                    self._say(f"Run {run_id} was lost from the queue, and is in it again.")
            except errors as error:
                _log.warning("The runs that wait could not be looked at: %s", error)


def _claim_of(run_id: str) -> str:
    return f"queue {run_id}"


def lost_runs(instance: DagsterInstance, settings: Settings, queue: RunQueue) -> Iterator[str]:
    """The runs that wait, that no worker has taken, and that are not in the queue: Redis has lost them, it did not
    answer, the daemon was killed before it sent them, or a worker with their message died. Each is claimed for one
    caller right before it is yielded. Raises `ServiceFailed`."""
    queued = queue.waiting_runs()
    before = time.time() - LOST_SECONDS
    records = instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
    for record in records:
        run = record.dagster_run
        if (
            record.update_timestamp.timestamp() < before
            and run.run_id not in queued
            and (run.tags.get(QUEUE_TAG) == run.run_id or owner_of(run) is None)
            and not is_worked_on(settings, run)
            and claim(settings.state_url, _claim_of(run.run_id))
        ):
            yield run.run_id
