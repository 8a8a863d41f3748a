"""The command `archive`: packages of old periods. What deletes is a dry run unless `--apply` is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trading_assets.cli.output import as_json, console, say, table_of
from trading_assets.cli.values import Json
from trading_assets.settings import Settings

COLUMNS = ["package", "created_at", "lake", "first", "last", "files", "rows", "mb", "mounted"]
Package = Annotated[str, typer.Argument(metavar="PATH", help="Folder or URL of a package, or of several.")]

archive_app = typer.Typer(
    help="Archive packages: whole old periods, portable, verified, readable from the lake.", no_args_is_help=True
)


@archive_app.command("create")
def create(
    months_back: Annotated[
        int | None,
        typer.Option(min=1, max=1200, help="Periods that ended longer ago; default: setting archive_months."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Folder or URL; default: the first of TRADING_ASSETS_ARCHIVES, else the data folder's."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the periods and write nothing.")] = False,
    as_document: Json = False,
) -> int:
    """Copy old periods into a new package and read it back. Nothing leaves the lake."""
    from trading_assets.jobs.maintenance.archives import archive_old_data

    settings = Settings()
    report = archive_old_data(
        settings.archive_months if months_back is None else months_back, to, dry_run=dry_run, settings=settings
    )
    if as_document:
        as_json(report.as_dict())
        return 0
    say(report.sentence())
    if dry_run:
        for period in report.periods:
            say(period)
    return 0


@archive_app.command("verify")
def verify(path: Package, as_document: Json = False) -> int:
    """Prove that packages are whole, from the packages alone; exit code 1 when one is not."""
    from trading_assets.jobs.maintenance.archives import verify_archive

    found = verify_archive(path)
    _tell(found, as_document)
    return 0 if all(each.whole for each in found) else 1


@archive_app.command("list")
def list_packages(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Folders or URLs; none: TRADING_ASSETS_ARCHIVES.", show_default=False)
    ] = None,
    as_document: Json = False,
) -> int:
    """The packages at some places: when made, of which lake, what they hold, and whether the lake reads from them."""
    from trading_assets.archive_packages.listing import listed

    settings = Settings()
    rows = listed(settings.data_dir, paths or [str(folder) for folder in settings.archives])
    if as_document:
        as_json(rows)
    elif rows:
        console.print(table_of(rows, COLUMNS))
    else:
        say("There is no package. trading-assets archive create makes one.")
    return 0


@archive_app.command("restore")
def restore(
    path: Package,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify the packages and write nothing.")] = False,
    as_document: Json = False,
) -> int:
    """Put packages back into the lake they are of, or into an empty data folder."""
    from trading_assets.archive_packages.restore import restore as run
    from trading_assets.jobs.maintenance.archives import packages_at

    folder = Settings().data_dir
    done = [run(folder, package, dry_run=dry_run) for package in packages_at(path)]
    _tell(done, as_document)
    return 0


@archive_app.command("remove")
def remove(
    path: Package,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be done.")] = False,
    as_document: Json = False,
) -> int:
    """Take the periods of packages out of the lake, which reads them from there afterwards. A dry run without
    --apply."""
    from trading_assets.archive_packages.places import Place
    from trading_assets.archive_packages.removal import remove as run
    from trading_assets.jobs.maintenance.archives import check_mounted, packages_at

    settings, place = Settings(), Place(path)
    check_mounted(settings, place)
    done = [run(settings.data_dir, package, dry_run=not apply) for package in packages_at(path)]
    _tell(done, as_document)
    return 1 if apply and any(each.kept for each in done) else 0


@archive_app.command("mount")
def mount() -> int:
    """Find the packages that the lake reads from in TRADING_ASSETS_ARCHIVES, after they were moved."""
    from trading_assets.jobs.maintenance.archives import mount_archives

    moved = mount_archives(settings=Settings())
    say(
        f"Mounted: {', '.join(package[:8] for package in moved)}."
        if moved
        else "No package of this lake has moved into TRADING_ASSETS_ARCHIVES: nothing to do."
    )
    return 0


def _tell(packages: Sequence[Any], as_document: bool) -> None:
    """What was found of each package, or done with it."""
    if as_document:
        as_json([each.as_dict() for each in packages])
    else:
        for each in packages:
            say(each.sentence())
