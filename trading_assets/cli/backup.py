"""The commands `backup`, which also lists, verifies and removes snapshots, and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trading_assets.arguments import KEPT_SNAPSHOTS
from trading_assets.cli.output import as_json, console, errors_to, note_to, say, table_of
from trading_assets.cli.values import Json
from trading_assets.settings import Settings


def backup(
    path: Annotated[Path, typer.Argument(help="Folder of the backups, best on another disk; made where missing.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Take none: read all backups there and compare their checksums.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Take none: show the snapshots there.")] = False,
    snapshot: Annotated[
        str | None, typer.Option(help="With --verify: this snapshot alone.", show_default=False)
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            help="Take none: say which snapshots would go when the newest so many are kept.",
            show_default=False,
            **KEPT_SNAPSHOTS.option,
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="With --keep: remove them, and what no other snapshot needs.")
    ] = False,
    as_document: Json = False,
) -> int:
    """Back up lake, state database and Dagster's history while they are in use; only what changed is copied."""
    if verify + show + (keep is not None) > 1:
        raise typer.BadParameter("give one of --verify, --list and --keep.")
    if snapshot is not None and not verify:
        raise typer.BadParameter("--snapshot names the snapshot that --verify reads.")
    if delete and keep is None:
        raise typer.BadParameter("--delete belongs to --keep, which says how many snapshots stay.")
    if show:
        return _list(path, as_document)
    if keep is not None:
        return _prune(path, keep, delete, as_document)
    return _verify(path, snapshot, as_document) if verify else _take(path, as_document)


def _take(path: Path, as_document: bool) -> int:
    from trading_assets.backup import backup as take

    settings = Settings()
    report = take(path, settings)
    found = report.snapshot
    if as_document:
        as_json(report.as_dict())
    else:
        say(
            f"Snapshot {found.id}: {len(found.files)} files, {found.rows:,} rows, {found.size:,} bytes;"
            f" {report.copied} files copied, {report.unchanged} unchanged, {report.added:,} bytes added. Rows and"
            " checksums of all columns are those of the lake (--json shows them)."
        )
        if not found.state:
            note_to("There was no state database to back up: run trading-assets doctor.")
        if settings.dagster_database_url is not None:
            note_to(
                "Dagster's history is on a server, and no part of the snapshot: back its schema up with pg_dump"
                " --schema=dagster. Without a dump, trading-assets doctor --fix records the partitions after a restore."
            )
        elif not found.dagster:
            note_to(
                "There was no Dagster history in the data folder: one that is kept elsewhere (a server, another"
                " DAGSTER_HOME) is not part of the backup."
            )
        for sentence in report.damaged:
            errors_to(sentence)
    return 1 if report.damaged else 0


def _list(path: Path, as_document: bool) -> int:
    from trading_assets.backup import snapshots

    rows = [found.as_dict() for found in snapshots(path)]
    if as_document:
        as_json(rows)
    else:
        console.print(
            table_of(
                [{**row, "lake": row["lake_id"][:8], "damaged": len(row["damaged"])} for row in rows],
                ["snapshot", "lake", "identity", "files", "rows", "bytes", "state", "dagster", "damaged"],
            )
        )
    return 0


def _prune(path: Path, keep: int, delete: bool, as_document: bool) -> int:
    from trading_assets.backup import prune

    report = prune(path, keep, dry_run=not delete)
    if as_document:
        as_json(report.as_dict())
    else:
        say(report.sentence())
        if report.dry_run and (report.removed or report.objects):
            note_to("Nothing was removed: add --delete.")
    return 0


def _verify(path: Path, snapshot: str | None, as_document: bool) -> int:
    from trading_assets.backup import verify as read

    found = read(path, snapshot)
    if as_document:
        as_json(found.as_dict())
    else:
        for sentence in found.problems:
            errors_to(sentence)
        whole = "not whole" if found.problems else "whole"
        console.print(f"{len(found.snapshots)} snapshot(s), {found.objects} objects read: {whole}.")
    return 1 if found.problems else 0


def restore(
    path: Annotated[Path, typer.Argument(help="Folder of the backups.")],
    snapshot: Annotated[
        str | None,
        typer.Option(help="Id from trading-assets backup PATH --list; default: the newest.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify, and say what would be restored.")] = False,
    as_document: Json = False,
) -> int:
    """Put a backup back into the data folder of the settings, which must be empty or not there."""
    from trading_assets.backup import restore as put_back

    report = put_back(path, Settings(), snapshot=snapshot, dry_run=dry_run)
    if as_document:
        as_json(report.as_dict())
        return 0
    found = report.snapshot
    verb = "Would restore" if dry_run else "Restored"
    say(
        f"{verb} snapshot {found.id} of lake {found.lake_id[:8]} ({found.identity}) into {report.data_dir}:"
        f" {len(found.files)} files, {found.rows:,} rows, {found.size:,} bytes."
        f"{'' if dry_run else ' Rows and checksums of all columns are those of the snapshot.'}"
    )
    if report.state:
        say(f"State database: {report.state}.")
    for entry in found.files:
        if entry.damaged:
            errors_to(f"{entry.path} was damaged when the snapshot was taken.")
    return 0
