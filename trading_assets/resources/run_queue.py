"""The queue through which runs reach the workers: Celery over Redis, one queue a lake.

A message carries the id of a run and nothing else: what the run is, Dagster's database says. A message may come twice
or be lost (Redis is no journal); who takes a run is decided in the state database (`resources.run_workers`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trading_assets.errors import ExtraMissing, ServiceFailed
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_transaction
from trading_assets.state.pin import pinned_lake

if TYPE_CHECKING:
    from celery import Celery

TASK = "trading_assets.run"
"""The one task: execute a run."""

REDELIVERED_AFTER = 900
"""Seconds after which Redis gives a message out again whose worker has not said that its run ended. A worker that gets
one of a run that somebody works on drops it; one of a run whose worker died before it began starts it."""

ANSWER_SECONDS = 5.0
"""Seconds that Redis has to answer."""

_ATTEMPTS = 3

_RUN = "trading_assets_run"
"""The header of a message that names its run."""


class RunQueue:
    """The runs of one lake that wait for a worker. Connects to nothing before it is used."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ExtraMissing`, and what `connect_state` raises."""
        try:
            from celery import Celery
        except ModuleNotFoundError as error:
            raise ExtraMissing("TRADING_ASSETS_LAUNCHER=celery", "Celery", "celery") from error
        with read_transaction(connect_state(settings.state_url)) as connection:
            self.name = f"trading-assets-{pinned_lake(connection)}"
        self.app: Celery = Celery("trading_assets", broker=settings.celery_broker, set_as_current=False)
        self.app.conf.update(
            accept_content=["json"],
            broker_connection_max_retries=None,  # a worker waits for Redis for ever
            broker_connection_retry_on_startup=True,
            broker_transport_options={
                "visibility_timeout": REDELIVERED_AFTER,
                "socket_connect_timeout": ANSWER_SECONDS,
                "socket_timeout": 6 * ANSWER_SECONDS,
                "socket_keepalive": True,
            },
            task_acks_late=True,  # a worker takes no more messages than it has runs
            task_create_missing_queues=True,
            task_default_queue=self.name,
            task_ignore_result=True,
            task_serializer="json",
            worker_cancel_long_running_tasks_on_connection_loss=False,
            worker_enable_remote_control=False,
            worker_hijack_root_logger=False,
            worker_prefetch_multiplier=1,
            worker_send_task_events=False,
        )

    def send(self, run_id: str, attempt: int = 0) -> None:
        """Put a run into the queue; `attempt` counts how often it was resumed. Raises `ServiceFailed`."""
        with self._connection() as connection:
            self.app.send_task(
                TASK,
                args=[run_id, attempt],
                headers={_RUN: run_id},
                queue=self.name,
                connection=connection,
                retry=False,
            )

    def waiting(self) -> int:
        """How many messages no worker has taken. Raises `ServiceFailed`."""
        with self._connection() as connection, connection.channel() as channel:
            return int(channel.client.llen(self.name))

    def waiting_runs(self) -> set[str]:
        """The ids of the runs whose message no worker has taken. Raises `ServiceFailed`."""
        with self._connection() as connection, connection.channel() as channel:
            messages = channel.client.lrange(self.name, 0, -1)
        return {run_id for message in messages if (run_id := _run_of(message)) is not None}

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection that answers. Every error of Redis within it becomes `ServiceFailed`."""
        from celery.exceptions import OperationalError
        from redis.exceptions import RedisError

        with self.app.connection_for_write() as connection:
            url = connection.as_uri()  # without the password
            try:
                connection.ensure_connection(max_retries=_ATTEMPTS, interval_start=0.2, interval_step=0.2)
            except OperationalError as error:
                raise ServiceFailed(
                    f"The Redis server {url} (TRADING_ASSETS_CELERY_BROKER) does not answer: see that it runs and that"
                    f" the address and password are right. ({_first_line(error)})"
                ) from error
            try:
                yield connection
            except (OperationalError, RedisError, OSError) as error:
                raise ServiceFailed(
                    f"The Redis server {url} (TRADING_ASSETS_CELERY_BROKER) refused or lost what was sent to it: see"
                    f" its log and its memory. ({_first_line(error)})"
                ) from error


def _run_of(message: bytes) -> str | None:
    """The run of a message as Redis has it; None for one of an earlier version or of somebody else."""
    try:
        said = json.loads(message)
    except ValueError:
        return None
    headers = said.get("headers") if isinstance(said, dict) else None
    run_id = headers.get(_RUN) if isinstance(headers, dict) else None
    return run_id if isinstance(run_id, str) else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
