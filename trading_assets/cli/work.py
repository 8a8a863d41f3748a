"""The command `worker`: executes runs that wait in the queue, on this machine."""

from __future__ import annotations

import logging
import os
from typing import Annotated

import typer

from trading_assets.cli.output import Failed, say
from trading_assets.errors import TradingAssetsError
from trading_assets.settings import LauncherKind, Settings


def worker(
    runs: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Runs at once; default: the number of processors.", show_default=False),
    ] = None,
) -> int:
    """Execute runs that wait in the queue, on this machine, until it is stopped."""
    settings = Settings()
    if settings.launcher is not LauncherKind.CELERY:
        raise Failed(
            "Runs do not wait for workers: TRADING_ASSETS_LAUNCHER is"
            f" {settings.launcher}. Set it to celery, here and where trading-assets up runs."
        )
    logging.getLogger("trading_assets").setLevel(logging.WARNING)
    from trading_assets.serving.worker import Worker  # late: Dagster takes seconds

    try:
        return Worker(settings, runs or os.cpu_count() or 1, say).run()
    except TradingAssetsError as error:
        raise Failed(str(error)) from error
