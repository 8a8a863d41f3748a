"""Parts of live data that cannot be read: they keep their session from being merged."""

from __future__ import annotations

from collections.abc import Iterator

from trading_assets.backup.restore import restore_file
from trading_assets.doctor.findings import Finding, Source, set_aside
from trading_assets.errors import ForbiddenFile, UnreadableFile
from trading_assets.repositories.files import check_file, locked
from trading_assets.repositories.live.merging import merged_parts, period_file
from trading_assets.repositories.live.places import SEALING_LOCK, Place, parts
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.schemas import Dataset
from trading_assets.settings import Settings


def find_live_part_faults(settings: Settings, source: Source | None = None, *, pages: bool = True) -> Iterator[Finding]:
    """A finding for each damaged part. Segments are not looked at: their ends are read as far as they are whole."""
    for dataset in LIVE_DATASETS:
        for place in parts(settings.data_dir, dataset):
            try:
                check_file(place.part, dataset, pages=pages)
            except UnreadableFile:
                yield _damaged(settings, dataset, place, source)
            except (ForbiddenFile, FileNotFoundError):  # forbidden to us, or merged meanwhile
                continue


def _damaged(settings: Settings, dataset: Dataset, place: Place, source: Source | None) -> Finding:
    name = place.part.relative_to(settings.data_dir).as_posix()
    kept = source.newest(name) if source is not None else None
    merged = place.name in merged_parts(settings.data_dir / period_file(dataset, place.day))
    lost = (
        "Nothing: its rows are merged already."
        if merged
        else (
            f"The rows of {dataset.name} of some minutes of session {place.session}; the session is not merged while it"
            " is there."
        )
    )
    does = f"puts the file of snapshot {kept[0].id} in its place" if kept is not None else "sets it aside"

    def mend() -> str:
        with locked(settings.data_dir, SEALING_LOCK):
            aside = set_aside(settings.data_dir, place.part, in_use=kept is not None)
            if kept is not None and source is not None:
                restore_file(source.repository, kept[1], place.part)
                return f"Replaced by the file of snapshot {kept[0].id}; the damaged one is in {aside}."
        return f"Set aside: {aside}."

    return Finding("damaged_file", name, lost, f"trading-assets doctor --fix {does}.", mend)
