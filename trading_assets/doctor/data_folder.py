"""The data folder as a whole: a catalog of another place or version, and a second machine that writes into it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb

from trading_assets.doctor.findings import Finding
from trading_assets.monitoring.lake_folder import second_machine
from trading_assets.repositories.catalog import write_catalog
from trading_assets.repositories.dataset_sql import view_sql
from trading_assets.repositories.files import CATALOG_FILE
from trading_assets.repositories.foreign_files import not_downloaded
from trading_assets.repositories.schemas import DATASETS
from trading_assets.settings import Settings


def find_folder_faults(settings: Settings) -> list[Finding]:
    """The faults that are those of no single file of data."""
    found = []
    if machines := second_machine(settings):
        lost = "What one machine wrote while the other did: the later copy of a file took the place of the other."
        found.append(Finding("second_machine", settings.data_dir.name, lost, machines))
    for path in not_downloaded(settings.data_dir):
        name = path.relative_to(settings.data_dir).as_posix()
        lost = "Nothing yet: iCloud has moved it to its servers. It is not read, and nothing is written in its place."
        remedy = "Download it in the Finder (Download Now), and keep the data folder out of iCloud."
        found.append(Finding("not_downloaded", name, lost, remedy))
    if _is_outdated(settings.data_dir):
        found.append(
            Finding(
                "outdated_catalog",
                CATALOG_FILE,
                "Nothing: it holds views alone. They name other files than the lake has.",
                f"trading-assets doctor --fix writes {CATALOG_FILE} again.",
                lambda: f"Written: {write_catalog(settings.data_dir).name}.",
            )
        )
    return found


def _is_outdated(data_dir: Path) -> bool:
    """Whether there is a catalog whose views are not those that would be written now."""
    path = data_dir / CATALOG_FILE
    if not path.is_file():
        return False
    with suppress(duckdb.Error, OSError), duckdb.connect(str(path), read_only=True) as present:
        views = dict(present.execute("select view_name, sql from duckdb_views() where not internal").fetchall())
        with duckdb.connect() as fresh:
            for dataset in DATASETS.values():
                fresh.execute(view_sql(data_dir, dataset))
            wanted = fresh.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
        return any(_plain(views.get(name, "")) != _plain(sql) for name, sql in wanted)
    return True


def _plain(sql: str) -> str:
    """A statement without what DuckDB changes in it when it writes a view into a file."""
    return "".join(sql.split()).lower()
