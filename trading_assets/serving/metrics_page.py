"""`/metrics` of `trading-assets up`: the metrics of the platform and of its runs, for Prometheus.

Behind the guard as the UI is, and only where the setting `metrics` asks for it. A scrape is read in threads: the UI is
answered meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import dagster as dg
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import Metric
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from trading_assets.monitoring.prometheus import families as f
from trading_assets.monitoring.prometheus.exposition import Exposition, Source
from trading_assets.serving.guard import App, Receive, Scope, Send

PATH = "/metrics"

RUNS_LOOKED_AT = 300
"""Newest runs among which the last one of each job is looked for: two days of hourly jobs and sensors."""

RUNS_SECONDS = 15.0
"""How long what was read of the runs counts."""

_STATES: Mapping[str, tuple[dg.DagsterRunStatus, ...]] = {
    "queued": (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED),
    "running": (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
}
"""Dagster's statuses by what `status` calls them."""


class MetricsPage:
    """An ASGI application that answers `/metrics` itself and hands all else to `app`."""

    def __init__(self, app: App, exposition: Exposition) -> None:
        self._app = app
        self._exposition = exposition

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on. 503 where no source could be read at all: the body says why."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        answer: Response
        if scope["method"] in ("GET", "HEAD"):
            known, text = await run_in_threadpool(self._exposition.text)
            answer = Response(text, 200 if known else 503, media_type=CONTENT_TYPE_LATEST)
        else:
            answer = PlainTextResponse("Metrics are read with GET.", 405, {"allow": "GET, HEAD"})
        await answer(scope, receive, send)


def run_source(instance: dg.DagsterInstance) -> Source:
    """The source `dagster`: how the last run of each job ended, and how many runs wait."""
    return Source("dagster", lambda: _runs(instance), RUNS_SECONDS, 20 * RUNS_SECONDS)


def _runs(instance: dg.DagsterInstance) -> list[Metric]:
    counts: Counter[str] = Counter(dict.fromkeys(_STATES, 0))
    ended: dict[str, tuple[float, bool]] = {}
    for record in instance.get_run_records(limit=RUNS_LOOKED_AT):  # the newest first
        run = record.dagster_run
        counts.update(state for state, statuses in _STATES.items() if run.status in statuses)
        if record.end_time is not None and record.end_time > ended.get(run.job_name, (0.0, False))[0]:
            ended[run.job_name] = record.end_time, run.status is dg.DagsterRunStatus.SUCCESS
    return [
        f.RUN_SUCCESS.of(((job,), success) for job, (_, success) in sorted(ended.items())),
        f.RUN_END.of(((job,), at) for job, (at, _) in sorted(ended.items())),
        f.RUNS.of(((state,), count) for state, count in counts.items()),
    ]
