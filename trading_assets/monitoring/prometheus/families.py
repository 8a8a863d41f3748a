"""Every metric that the platform exposes: its name, what it says, and its labels.

Names follow https://prometheus.io/docs/practices/naming: the unit last, `_total` for what only grows. Instants are Unix
timestamps, so that a query computes the age (`scalar(trading_assets_clock_timestamp_seconds) - ...`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "trading_assets_"

TOTAL = "_total"

Sample = tuple[tuple[str, ...], float]
"""Values of the labels in their order, and the value."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; `name` without the prefix."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def of(self, samples: Iterable[Sample]) -> Metric:
        """The metric with these samples, in their order."""
        kind = CounterMetricFamily if self.name.endswith(TOTAL) else GaugeMetricFamily
        family = kind(PREFIX + self.name.removesuffix(TOTAL), self.help, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family

    def value(self, value: float) -> Metric:
        """The metric with one value, without labels."""
        return self.of([((), value)])


SOURCE_UP = Family("source_up", "Whether a source of these metrics could be read (1) or not (0).", ("source",))
SOURCE_AGE = Family("source_age_seconds", "Seconds since the values of a source were read.", ("source",))
SOURCE_READ = Family("source_read_seconds", "Seconds that the last reading of a source took.", ("source",))

REQUESTS = Family("requests_total", "Requests that have ended, by the journal.", ("kind", "outcome"))
SENT = Family("requests_sent_total", "Requests sent to the broker, repeats included.", ("kind",))
ANSWERING = Family(
    "request_answer_seconds_total", "Seconds from the last send of ended requests to their end.", ("kind",)
)
WAITING = Family(
    "request_waiting_seconds_total",
    "Seconds from the claim of ended requests to their last send: their turn within the pacing limits.",
    ("kind",),
)
OPEN = Family("journal_open_requests", "Requests that are claimed or sent and have not ended.")
UNAPPLIED = Family("journal_unapplied_answers", "Answers in the journal that are not in the lake yet.")
QUARANTINED = Family("quarantined_answers", "Answers in quarantine that no later answer has replaced.")
PACING_USED = Family("pacing_used", "What of an allowance of the broker is used now.", ("allowance",))
PACING_LIMIT = Family("pacing_limit", "The limit of an allowance of the broker.", ("allowance",))
PACING_QUEUE = Family("pacing_waiting_processes", "Processes that wait for leave to request small bars.")
PACING_WAIT = Family("pacing_longest_wait_seconds", "Seconds that the first of these processes has waited.")
BREAKER = Family("breaker_state", "1 for the state the circuit breaker is in, 0 for the others.", ("state",))
BREAKER_FAILURES = Family("breaker_failures", "Failures of the broker in a row.")
BREAKER_UNTIL = Family(
    "breaker_open_until_timestamp_seconds", "When the breaker allows the next trial call; absent while it is closed."
)
ALERTS = Family("alerts_open", "Open alerts.", ("type", "severity"))
STREAMS = Family("streams", "Live streams by state.", ("state",))
STREAM_LAG = Family("stream_lag_seconds", "Seconds that the oldest update of the recorder waits to be written.")
STREAM_GAPS = Family("stream_gaps", "Gaps of the live streams since each of them began, added up.")
RECORDER = Family("recorder_running", "Whether the live recorder runs (1) or not (0).")
RECORDER_SILENCE = Family(
    "recorder_silence_seconds", "Seconds since the recorder said how its streams are; absent while none runs."
)
SYMBOLS = Family("symbols_active", "Active symbols of the universe.")

CLOCK = Family("clock_timestamp_seconds", "The platform's clock: that of the system, or where it is pinned.")
COVERAGE = Family(
    "coverage_sessions", "Symbol-sessions of the last 30 sessions by condition.", ("dataset", "condition")
)
COMPLETE = Family(
    "coverage_complete_ratio", "Share of these symbol-sessions in which nothing is missing, 0 to 1.", ("dataset",)
)
MISSING = Family("coverage_missing_sessions", "Symbol-sessions of these in which something is missing.", ("dataset",))
NEWEST_SESSION = Family(
    "newest_session_timestamp_seconds", "When the newest session with rows in the lake opened.", ("dataset",)
)
NEWEST_ROW = Family("newest_row_timestamp_seconds", "When the newest row in the lake was collected.", ("dataset",))
BYTES = Family("dataset_bytes", "Bytes of the files of a dataset.", ("dataset",))
DISK_FREE = Family("disk_free_bytes", "Bytes that are free on the disk of the data folder.")
DISK_SIZE = Family("disk_size_bytes", "Bytes of the disk of the data folder.")

RUN_SUCCESS = Family(
    "last_run_success", "Whether the last run of a job that ended was a success (1) or not (0).", ("dagster_job",)
)
RUN_END = Family("last_run_end_timestamp_seconds", "When the last run of a job ended.", ("dagster_job",))
RUNS = Family("runs", "Runs of Dagster that are queued or running.", ("state",))

FAMILIES = tuple(each for each in list(globals().values()) if isinstance(each, Family))
"""All of them."""
