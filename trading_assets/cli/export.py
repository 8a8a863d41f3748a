"""The command `export`: rows of a dataset into a file or folder of a format that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trading_assets.arguments import STORED, any_of
from trading_assets.cli.output import say
from trading_assets.cli.values import AsOf, BarSize, First, Last, a_stored_symbol, check_range
from trading_assets.settings import Settings

_FORMAT_HELP = "parquet, csv or feather, where the ending does not say; nautilus or lean: bars in a folder."


def export(
    dataset: Annotated[str, typer.Argument(help=f"{any_of(STORED)}.")],
    out: Annotated[Path, typer.Argument(help="File to write, whose ending names the format, or folder to fill.")],
    symbol: Annotated[
        list[str] | None, typer.Option(help="Symbol; give it again for more. None: all.", callback=a_stored_symbol)
    ] = None,
    first: First = None,
    last: Last = None,
    bar_size: BarSize = None,
    format: Annotated[str | None, typer.Option(help=_FORMAT_HELP)] = None,
    as_of: AsOf = None,
) -> int:
    """Write rows of a dataset into a Parquet, CSV or Feather file, or bars into a folder for nautilus_trader or Lean.
    Asks no broker and changes nothing in the lake."""
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
    check_range(first, last)
    rows = write(
        Settings().data_dir,
        DATASETS[dataset],
        out,
        format=chosen,  # type: ignore[arg-type]
        symbols=symbol or None,
        first=first,
        last=last,
        bar_size=bar_size,
        as_of=as_of,
    )
    say(f"{rows:,} rows of {dataset} in {out}.")
    for reason, count in rows.left_out.items():
        say(f"Left out: {count:,} ({reason}).")
    if rows.zero_volumes:
        say(f"With volume 0: {rows.zero_volumes:,} (an index has none).")
    return 0
