"""The archive as a Dagster resource: it configures and hands out the plain domain object, nothing more."""

from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from trading_assets.collecting.archive import Archive
from trading_assets.resources.abandoned import PROCESS_TAG, process_mark
from trading_assets.settings import Settings


class ArchiveResource(dg.ConfigurableResource):
    """The archive of the settings in force when a run begins; one broker connection a run at most, made when needed.

    Nothing is read, opened or connected before the first step asks for `open()`.
    """

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by name that win over the environment (see `trading_assets.settings`)."
    )
    _archive: Archive | None = PrivateAttr(default=None)

    def settings(self) -> Settings:
        """The settings in force now."""
        return Settings(**self.overrides)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when a run begins: the run says which process works on it, so that another one can tell when it died."""
        run = context.run
        if run is not None and context.instance is not None and PROCESS_TAG not in run.tags:
            context.instance.add_run_tags(run.run_id, {PROCESS_TAG: process_mark()})

    def open(self) -> Archive:
        """The archive, opened on first use and kept for the run."""
        if self._archive is None:
            self._archive = Archive(self.settings())
        return self._archive

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when the run ends, however it ends."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
