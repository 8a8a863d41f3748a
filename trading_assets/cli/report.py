"""The command `report`: the state of the archive as one HTML file, or as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.cli.output import console, say, say_as_it_is, table_of
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.monitoring.report import Report


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
        found = collect(settings)
        if console.is_terminal:
            _show(found)
        else:
            console.print(as_text(found), markup=False, soft_wrap=True, end="")
    else:
        say_as_it_is(f"{write_report(settings, out)}")
    return 0


def _show(found: Report) -> None:
    """The text of the report in a terminal of any width."""
    for sentence in found.head():
        say(sentence)
    for section in found.sections:
        say(f"\n{section.title}", style="bold")
        if section.note:
            say(section.note)
        if section.rows:
            console.print(table_of(section.rows, section.columns))
