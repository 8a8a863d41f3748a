"""The command `export`: rows of a dataset into a file or folder of a format that other programs read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from trading_assets.cli.output import console
from trading_assets.settings import Settings

_FORMAT_HELP = "parquet, csv or feather, where the ending does not say; nautilus or lean: bars in a folder."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    dataset: Annotated[str, typer.Argument(help="contracts, option_chains, equity_bars, option_bars or coverage.")],
    out: Annotated[Path, typer.Argument(help="File to write, whose ending names the format, or folder to fill.")],
    symbol: Annotated[list[str] | None, typer.Option(help="Symbol; give it again for more. None: all.")] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")] = None,
    bar_size: Annotated[str | None, typer.Option(help="Bars of this size only, for example '1 day'.")] = None,
    format: Annotated[str | None, typer.Option(help=_FORMAT_HELP)] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="The rows as known at this instant (2024-06-03T16:00-04:00), or `first`: as first collected."
        ),
    ] = None,
) -> int:
    """Write rows of a dataset into a Parquet, CSV or Feather file, or bars into a folder for nautilus_trader or Lean.
    Asks no broker and changes nothing in the lake."""
    from trading_assets.arguments import day_range
    from trading_assets.repositories.export import FOLDERS, FORMATS
    from trading_assets.repositories.export import export as write
    from trading_assets.repositories.schemas import DATASETS

    if dataset not in DATASETS:
        raise typer.BadParameter(f"{dataset!r} is no dataset: {', '.join(DATASETS)}.")
    chosen = format or out.suffix.removeprefix(".")
    if chosen not in FORMATS and format not in FOLDERS:
        raise typer.BadParameter(
            f"{chosen!r} is no format: end the file's name in .parquet, .csv or .feather, or give --format"
            f" {' or '.join(FOLDERS)} for a folder."
        )
    begin, end = day_range(first, last, ("--from", "--to"))
    rows = write(
        Settings().data_dir,
        DATASETS[dataset],
        out,
        format=chosen,  # type: ignore[arg-type]
        symbols=symbol or None,
        first=begin,
        last=end,
        bar_size=bar_size,
        as_of=as_of,
    )
    console.print(f"{rows:,} rows of {dataset} in {out}.", markup=False, soft_wrap=True)
    for reason, count in rows.left_out.items():
        console.print(f"Left out: {count:,} ({reason}).", markup=False, soft_wrap=True)
    if rows.zero_volumes:
        console.print(f"With volume 0: {rows.zero_volumes:,} (an index has none).", markup=False, soft_wrap=True)
    return 0
