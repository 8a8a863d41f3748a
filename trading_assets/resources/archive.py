"""The archive as a Dagster resource: it configures and hands out the plain domain object, nothing more."""

from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from trading_assets.collecting.archive import Archive
from trading_assets.settings import Settings


class ArchiveResource(dg.ConfigurableResource):
    """The archive of the settings in force when a run begins; one broker connection a run at most, made when needed.

    Nothing is read, opened or connected before the first step asks for `open()`.
    """

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by name that win over the environment (see `trading_assets.settings`)."
    )
    _archive: Archive | None = PrivateAttr(default=None)

    def open(self) -> Archive:
        """The archive, opened on first use and kept for the run."""
        if self._archive is None:
            self._archive = Archive(Settings(**self.overrides))
        return self._archive

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when the run ends, however it ends."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
