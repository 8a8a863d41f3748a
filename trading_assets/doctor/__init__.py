"""The doctor: what is wrong with a data folder, what is lost, and mending what can be mended without the broker.

    from trading_assets.doctor import examine, mend
    for finding in examine():
        finding.kind, finding.subject, finding.lost, finding.remedy
    mend(backup="/mnt/backup/archive").left

`examine` writes nothing at all. `mend` deletes no data: files that it takes out of use are moved to `set_aside`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trading_assets.backup.manifest import Repository
from trading_assets.doctor.coverage import find_coverage_faults
from trading_assets.doctor.daily_bars import find_daily_bar_faults
from trading_assets.doctor.data_folder import find_folder_faults
from trading_assets.doctor.files import find_file_faults
from trading_assets.doctor.findings import Finding, Source
from trading_assets.doctor.history import find_history_faults
from trading_assets.doctor.state_database import find_identity_faults, find_state_faults, has_lake
from trading_assets.errors import DamagedIdentity, LayoutMismatch, TradingAssetsError
from trading_assets.plain import Plain
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.settings import Settings

_HARMLESS = frozenset({"temporary_file", "older_columns"})
"""Kinds of findings beside which the lake can be opened as usual, to compare it with Dagster's history."""


@dataclass(frozen=True, slots=True)
class DoctorReport(Plain):
    """What the doctor found and did. `left` are the findings that are still there afterwards."""

    findings: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)


def examine(settings: Settings | None = None, *, backup: Path | str | None = None) -> list[Finding]:
    """Everything that is wrong with the data folder of the settings. Reads every page of the lake; writes nothing.

    `backup` is a folder of backups from which lost files could be put back. Raises `BackupError` where it holds none.
    """
    settings = settings or Settings()
    refuse_object_store(settings.data_dir, "The doctor")
    if not has_lake(settings):
        return [
            Finding(
                "no_lake",
                str(settings.data_dir),
                "There is no lake in the data folder.",
                "Set TRADING_ASSETS_DATA_DIR to its folder, or restore a backup: trading-assets restore PATH.",
            )
        ]
    source = _source(settings, backup)
    found = [
        *find_file_faults(settings, source),
        *find_identity_faults(settings, source),
        *find_state_faults(settings, source),
    ]
    # While the lake cannot be opened there is nothing to compare the history with.
    whole = all(finding.kind in _HARMLESS for finding in found)
    return [
        *found,
        *find_coverage_faults(settings, source),
        *find_daily_bar_faults(settings),
        *find_history_faults(settings, source, compare=whole),
        *find_folder_faults(settings),
    ]


def mend(settings: Settings | None = None, *, backup: Path | str | None = None) -> DoctorReport:
    """Find and mend, files first: what depends on them is looked at after them. Nothing is requested from the broker.

    A second call finds what this one left. Raises `BackupError`, and errors of the data folder (`LakeBusy`, `OSError`).
    """
    settings = settings or Settings()
    refuse_object_store(settings.data_dir, "The doctor")
    if not has_lake(settings):
        found = examine(settings)
        return DoctorReport(found, found)
    steps: tuple[Callable[[Settings, Source | None], list[Finding]], ...] = (
        find_file_faults,
        find_identity_faults,
        find_state_faults,
        find_coverage_faults,
        lambda given, _: find_daily_bar_faults(given),
        lambda given, source: find_history_faults(given, source, compare=_is_whole(given, source)),
        lambda given, _: find_folder_faults(given),
    )
    findings: list[Finding] = []
    for find in steps:
        found = find(settings, _source(settings, backup))
        for finding in found:
            if finding.mend is not None:
                try:
                    finding.done = finding.mend()
                except TradingAssetsError as error:
                    finding.remedy = str(error)  # in the reader's words already
        findings += found
    return DoctorReport(findings, examine(settings, backup=backup))


def _is_whole(settings: Settings, source: Source | None) -> bool:
    """Whether lake and state database can be opened together."""
    found = [
        *find_file_faults(settings, source, pages=False),
        *find_identity_faults(settings, source),
        *find_state_faults(settings, source),
    ]
    return all(finding.kind in _HARMLESS for finding in found)


def _source(settings: Settings, backup: Path | str | None) -> Source | None:
    if backup is None:
        return None
    try:
        held = LakeIdentity(settings.data_dir).held()
    except (DamagedIdentity, LayoutMismatch):
        held = None
    return Source(Repository.existing(backup), held.lake_id if held is not None else "")


__all__ = ["DoctorReport", "Finding", "examine", "mend"]
