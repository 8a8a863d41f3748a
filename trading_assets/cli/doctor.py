"""The command `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.cli.output import as_json, console, print_named, say
from trading_assets.cli.values import Json
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.doctor import Finding


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without a request to the broker.")
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option("--from", help="Folder of backups from which lost files are put back.", show_default=False),
    ] = None,
    as_document: Json = False,
) -> int:
    """Find what is lost or damaged in the data folder, and say what mends it; without --fix nothing is written.

    Exit code 1 when something is wrong, or with --fix when something is left.
    """
    from trading_assets.doctor import DoctorReport, examine, mend

    settings = Settings()
    if fix:
        report = mend(settings, backup=backup)
    else:
        found = examine(settings, backup=backup)
        report = DoctorReport(found, found)
    if as_document:
        as_json(report.as_dict())
    else:
        if fix:
            _print([finding for finding in report.findings if finding.done], "mended")
        _print(report.left, "left" if fix else "found")
        if not report.findings and not report.left:
            console.print("Nothing is wrong with the data folder.")
    return 1 if report.left else 0


def _print(findings: Sequence[Finding], word: str) -> None:
    for finding in findings:
        say(f"{word} {finding.kind} {finding.subject}", style="yellow")
        named = {"  lost:": finding.lost}
        named |= {"  done:": finding.done} if word == "mended" else {"  mend:": finding.remedy}
        print_named(named, len("  lost:"))
