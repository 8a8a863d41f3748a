"""The command `report`: the state of the archive as one HTML file, or as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trading_assets.cli.output import console, say
from trading_assets.settings import Settings


def report(
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; default reports/SESSION.html in the data folder.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the report as text and write no file.")] = False,
) -> int:
    """Alerts, freshness, coverage, what waits for review, requests, pacing, chains and storage. Asks no broker."""
    from trading_assets.arguments import lake_folder
    from trading_assets.monitoring.report import as_text, collect, write_report

    settings = Settings()
    lake_folder(settings.data_dir)
    if text:
        console.print(as_text(collect(settings)), markup=False, soft_wrap=True, end="")
    else:
        say(f"{write_report(settings, out)}")
    return 0
