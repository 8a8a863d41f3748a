"""The process beside the recorder that tells Dagster once a minute how the streams are: an observation of the asset
`live_stream` and its check `stream_healthy`.

`python -m trading_assets.serving.live_reports`, started by the recorder. It ends with its standard input, so with the
recorder, and reports once more then: nobody else would say that a recorder was killed. A slow Dagster delays these
reports and nothing else.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from dataclasses import replace

import dagster as dg
import sqlalchemy as sa

from trading_assets.assets.live_stream import current_status, evaluation, observation
from trading_assets.errors import TradingAssetsError
from trading_assets.resources.instance import dagster_instance
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

logger = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
EVERY_SECONDS = 60.0
"""The recorder has just started at the first report, and its streams are answered within seconds."""


def report(settings: Settings, instance: dg.DagsterInstance, *, ended: bool = False) -> None:
    """Record how the streams are now. Once the recorder has `ended` for a reason that nobody wanted, that is a problem,
    whether anybody else wanted its streams or not."""
    status = current_status(settings)
    if ended and status.ok and not status.recorder.running and status.recorder.reason:
        said = f"Nothing is recorded since the recorder ended. {status.recorder.reason}"
        status = replace(status, problems=(said,))
    session = calendar().current(status.at).isoformat()
    instance.report_runless_asset_event(observation(status, session))
    instance.report_runless_asset_event(evaluation(status))


def serve(settings: Settings, ended: threading.Event) -> None:
    """Report until `ended`, and once more."""
    with dagster_instance(settings, captures=False) as instance:
        ended.wait(FIRST_SECONDS)
        while not ended.is_set():
            began = time.monotonic()
            _report_or_log(settings, instance)
            ended.wait(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))
        _report_or_log(settings, instance, ended=True)


def _report_or_log(settings: Settings, instance: dg.DagsterInstance, *, ended: bool = False) -> None:
    """Report. What a busy or broken database makes fail is logged, and the next minute has another report."""
    try:
        report(settings, instance, ended=ended)
    except (sa.exc.SQLAlchemyError, dg.DagsterError, TradingAssetsError, OSError):
        logger.exception("Dagster was not told how the streams are.")


def _wait_for_recorder(ended: threading.Event) -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: it ends with the process that holds the other end
    ended.set()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the recorder decides
    ended = threading.Event()
    threading.Thread(target=_wait_for_recorder, args=(ended,), daemon=True).start()
    serve(Settings(), ended)
