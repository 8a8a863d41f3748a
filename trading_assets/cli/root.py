"""Options before the command (`trading-assets --data-dir FOLDER status`), and the groups in which `--help` lists the
commands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from trading_assets import __version__
from trading_assets.cli.output import note_to, quietly
from trading_assets.settings import data_folder, unknown_variables

GROUPS = {
    "Begin": ("demo", "up", "worker", "simulate"),
    "Collect": ("plan", "setup", "update", "backfill", "distribute", "universe", "quarantine", "review"),
    "Read": ("query", "export", "lineage"),
    "Watch": ("status", "coverage", "validate", "quality", "report", "alerts"),
    "Live": ("live", "positions"),
    "Keep": ("maintain", "backup", "restore", "archive", "doctor", "rebuild-identity", "diagnose"),
}
"""The commands by what they are for, in the order of a first use."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trading-assets {__version__}")
        raise typer.Exit


def options(
    context: typer.Context,
    shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="The data folder of this command; otherwise TRADING_ASSETS_DATA_DIR or the settings file.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results and errors only: no progress, no notes.")
    ] = False,
) -> None:
    """Your own archive of US equity and option data, collected from Interactive Brokers as Dagster assets."""
    if data_dir is not None:
        context.with_resource(data_folder(data_dir))
    if quiet:
        context.with_resource(quietly())
    for sentence in unknown_variables():
        note_to(sentence)


def own_command() -> str:
    """How this command is called from the shell in which it runs: by its name where that is on the PATH."""
    name = "trading-assets"
    called = Path(sys.argv[0])
    if shutil.which(name) or called.name != name:
        return name
    beside = Path.cwd()
    return quote(str(called.relative_to(beside) if called.is_relative_to(beside) else called))


def group(app: typer.Typer) -> None:
    """List the commands of `app` under their groups, in the order of the groups. Raises `KeyError` for a command that
    is in none."""
    place = {name: (title, number) for number, (title, name) in enumerate(_names())}
    entries: list[Any] = [*app.registered_commands, *app.registered_groups]
    for entry in entries:
        entry.rich_help_panel = place[_name(entry)][0]
    app.registered_commands.sort(key=lambda entry: place[_name(entry)][1])
    app.registered_groups.sort(key=lambda entry: place[_name(entry)][1])


def _names() -> list[tuple[str, str]]:
    return [(title, name) for title, names in GROUPS.items() for name in names]


def _name(entry: Any) -> str:
    """The name under which a command or a group of commands is called."""
    named = getattr(entry, "name", None)
    return named if isinstance(named, str) else entry.callback.__name__.replace("_", "-")
