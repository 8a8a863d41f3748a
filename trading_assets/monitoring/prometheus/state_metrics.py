"""Metrics of the state database: requests, pacing, circuit breaker, alerts, streams."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from prometheus_client.core import Metric

from trading_assets.broker.breaker_store import breaker_state
from trading_assets.monitoring.alerts import Alerts
from trading_assets.monitoring.prometheus import families as f
from trading_assets.monitoring.prometheus.journal_totals import JournalTotals, by_kind
from trading_assets.monitoring.usage import journal_counts, pacing_budget
from trading_assets.reliability import Phase
from trading_assets.settings import Settings
from trading_assets.state import database_now, read_transaction, reading_engine, tables
from trading_assets.state.owners import live_owners
from trading_assets.streaming.registry import recorder_state
from trading_assets.universe import Universe


class JournalMetrics:
    """Reads what all requests add up to, again and again; what is settled is remembered. Raises as `read_state`."""

    def __init__(self, settings: Settings) -> None:
        self._totals = JournalTotals(settings.state_url)

    def read(self) -> list[Metric]:
        """The metrics now. The first reading of a year's journal takes a minute."""
        totals = self._totals.read()
        kinds = sorted(by_kind(totals).items())
        return [
            f.REQUESTS.of((key, one.ended) for key, one in sorted(totals.items()) if one.ended),
            f.SENT.of(((kind,), one.sent) for kind, one in kinds),
            f.ANSWERING.of(((kind,), one.answering) for kind, one in kinds),
            f.WAITING.of(((kind,), one.waiting) for kind, one in kinds),
        ]


class StateMetrics:
    """Reads all others of the state database, again and again. Raises as `read_state`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def read(self) -> list[Metric]:
        """The metrics now."""
        engine = reading_engine(self._settings.state_url)
        return [
            *_open(engine),
            *self._pacing(engine),
            *self._breaker(engine),
            *_streams(engine),
            self._alerts(),
            f.SYMBOLS.value(len(Universe(self._settings.state_url).active())),
        ]

    def _pacing(self, engine: sa.Engine) -> list[Metric]:
        budget = {name: one for name, one in pacing_budget(engine, self._settings).items() if isinstance(one, dict)}
        queue = tables.pacing_queue.c
        with read_transaction(engine) as connection:
            now, alive = database_now(connection), live_owners(connection)
            rows = connection.execute(sa.select(queue.owner, queue.since)).all()
        waits = [now - row.since for row in rows if row.owner in alive]
        return [
            f.PACING_USED.of(((name,), one["used"]) for name, one in budget.items()),
            f.PACING_LIMIT.of(((name,), one["limit"]) for name, one in budget.items()),
            f.PACING_QUEUE.value(len(waits)),
            f.PACING_WAIT.value(max([0.0, *waits])),
        ]

    def _breaker(self, engine: sa.Engine) -> list[Metric]:
        state = breaker_state(engine, self._settings)
        since = {Phase.OPEN: state.opened_at, Phase.HALF_OPEN: state.trial_at}.get(state.phase)
        return [
            f.BREAKER.of(((phase.value,), phase is state.phase) for phase in Phase),
            f.BREAKER_FAILURES.value(state.failures),
            *([f.BREAKER_UNTIL.value(since + self._settings.recovery_timeout)] if since is not None else []),
        ]

    def _alerts(self) -> Metric:
        found = Counter((alert.alert_type.value, alert.severity.value) for alert in Alerts(self._settings).open())
        return f.ALERTS.of(sorted(found.items()))


def _open(engine: sa.Engine) -> list[Metric]:
    """What of the journal is not finished."""
    counts = journal_counts(engine)
    held = sa.select(sa.func.count()).where(tables.quarantine.c.closed_at.is_(None))
    with read_transaction(engine) as connection:
        quarantined = connection.execute(held).scalar_one()
    return [
        f.OPEN.value(counts["open"]),
        f.UNAPPLIED.value(counts["unapplied"]),
        f.QUARANTINED.value(quarantined),
    ]


def _streams(engine: sa.Engine) -> list[Metric]:
    with read_transaction(engine) as connection:
        recorder = recorder_state(connection)
    streams = recorder.streams if recorder.running else ()
    states = Counter(str(stream.state) for stream in streams)
    silence = [f.RECORDER_SILENCE.value(recorder.age)] if recorder.running and recorder.age is not None else []
    return [
        f.RECORDER.value(recorder.running),
        *silence,
        f.STREAMS.of(((state,), count) for state, count in sorted(states.items())),
        f.STREAM_LAG.value(max([0.0, *(stream.lag or 0.0 for stream in streams)])),
        f.STREAM_GAPS.value(sum(stream.gaps for stream in streams)),
    ]
