"""The archive as a Dagster resource: it configures and hands out the plain domain object, nothing more."""

from collections.abc import Mapping
from typing import Any, ClassVar

import dagster as dg
from pydantic import Field, PrivateAttr

from trading_assets.collecting.archive import Archive
from trading_assets.resources.abandoned import PROCESS_TAG, process_mark
from trading_assets.settings import SECRETS, Settings


class ArchiveResource(dg.ConfigurableResource):
    """The archive of the settings in force when a run begins; one broker connection a run at most, made when needed.

    Nothing is read, opened or connected before the first step asks for `open()`.
    """

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by name that win over the environment (see `trading_assets.settings`)."
    )
    _archive: Archive | None = PrivateAttr(default=None)
    _secrets: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def holding(cls, secrets: Mapping[str, Any]) -> type["ArchiveResource"]:
        """A class of this resource whose settings have these values, too.

        What a resource is configured with is kept in the snapshot of every job and shown in the UI; what its class holds is neither.
        """
        return type(cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, "_secrets": dict(secrets)})

    def settings(self) -> Settings:
        """The settings in force now. Raises `ValueError` for a setting that carries passwords among the overrides."""
        shown = sorted(SECRETS & self.overrides.keys())
        if shown:
            raise ValueError(
                f"{shown[0]} carries passwords, and Dagster keeps and shows what a run is configured with: "
                f"set TRADING_ASSETS_{shown[0].upper()} or the settings file instead."
            )
        return Settings(**self.overrides, **self._secrets)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when a run begins: the run says which process works on it, so that another one can tell when it died.

        A repeated run carries the mark of the process that failed until then.
        """
        run, mark = context.run, process_mark()
        if run is not None and context.instance is not None and run.tags.get(PROCESS_TAG) != mark:
            context.instance.add_run_tags(run.run_id, {PROCESS_TAG: mark})

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
