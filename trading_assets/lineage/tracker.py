"""`LineageTracker`: the places that lineage is read from, opened for one data folder. It keeps no record of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import dagster as dg

from trading_assets.arguments import lake_folder
from trading_assets.lineage.graph import AssetGraph
from trading_assets.lineage.history import DagsterHistory
from trading_assets.lineage.requests import RequestLog
from trading_assets.repositories.lake import Lake
from trading_assets.settings import Settings


class LineageTracker(AbstractContextManager["LineageTracker"]):
    """Reads the lake, the journal and Dagster's record of a data folder (default: the settings').

    `instance` is a Dagster instance that keeps its history elsewhere, for example on PostgreSQL; by default it is that
    of the data folder. Nothing is written, and nothing that is missing is made: `missing` says what is. Raises
    `NotALake` for a folder without a lake. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        settings: Settings | None = None,
        instance: dg.DagsterInstance | None = None,
    ) -> None:
        given = settings or Settings()
        update = {"data_dir_setting": None if data_dir is None else lake_folder(data_dir)}
        self.settings = given if data_dir is None else given.model_copy(update=update)
        self._instance = instance
        lake_folder(self.settings.data_dir)

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def requests(self) -> RequestLog:
        """The journal. Raises `StateMismatch` for one of another lake."""
        return RequestLog(self.settings)

    @cached_property
    def history(self) -> DagsterHistory:
        """Dagster's runs and materializations."""
        return DagsterHistory(self.settings, self._instance)

    @cached_property
    def graph(self) -> AssetGraph:
        """The assets and what they depend on."""
        return AssetGraph()

    @property
    def lake(self) -> Lake:
        """The lake at the present instant."""
        return Lake.of(self.settings)

    @property
    def missing(self) -> list[str]:
        """A sentence for each source that is not there, or only in part."""
        return [sentence for sentence in (self.requests.missing, self.history.missing) if sentence]

    def close(self) -> None:
        """Close what was opened. The tracker can be used again."""
        if "history" in self.__dict__:
            self.history.close()
            del self.__dict__["history"]
