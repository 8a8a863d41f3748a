"""The process of the web server: Dagster's UI behind our guard, on a socket that `up` has bound.

`python -m trading_assets.serving.webserver SOCKET WORKSPACE HOST [NAME ...]`: the inherited descriptor of the listening
socket, the workspace file, the address it is bound to, and further hosts that browsers may name.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import Any

import uvicorn
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from trading_assets.monitoring.prometheus.exposition import Exposition
from trading_assets.resources.dagster_private import WorkspaceFileTarget, WorkspaceProcessContext, configure_loggers
from trading_assets.resources.instance import dagster_instance
from trading_assets.serving.guard import Guard
from trading_assets.serving.metrics_page import MetricsPage, run_source
from trading_assets.settings import Settings

STATEMENT_TIMEOUT = 15_000
"""Milliseconds a statement on Dagster's database may take in the UI; the default of `dagster-webserver`, as the next
two."""

POOL_RECYCLE = 3_600
POOL_MAX_OVERFLOW = 20

POLL_MILLISECONDS = 2_000
"""How often an open page asks for news."""


def serve(listening: socket.socket, workspace: str, host: str, names: list[str]) -> None:
    """Serve the UI until SIGTERM or SIGINT."""
    # uvicorn raises the signal again once it has ended: by default that ends the process before Dagster's databases are
    # closed, and SQLite leaves four megabytes beside each of them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configure_loggers(log_level="INFO")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    settings = Settings()
    with dagster_instance(settings) as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT, POOL_RECYCLE, POOL_MAX_OVERFLOW)
        target = WorkspaceFileTarget(paths=[workspace])
        with WorkspaceProcessContext(
            instance, version=__version__, read_only=False, workspace_load_target=target
        ) as context:
            app: Any = create_app_from_workspace_process_context(context, "", POLL_MILLISECONDS)
            if settings.metrics:
                app = MetricsPage(app, Exposition(settings, [run_source(instance)]))
            app = Guard(app, host, names)
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3], sys.argv[4:])
