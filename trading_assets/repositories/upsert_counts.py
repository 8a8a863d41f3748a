"""What an upsert did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class UpsertCounts:
    """What an upsert did with the rows it was given, and which files it rewrote (relative to the data folder)."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    files: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All rows that were given."""
        return self.inserted + self.updated + self.unchanged

    def __add__(self, other: UpsertCounts) -> UpsertCounts:
        files = [*self.files, *(file for file in other.files if file not in self.files)]
        return UpsertCounts(
            self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged, files
        )
