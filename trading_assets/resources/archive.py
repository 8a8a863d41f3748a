"""The archive as a Dagster resource: it configures and hands out the plain domain object, nothing more."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any, ClassVar

import dagster as dg
from pydantic import PrivateAttr, ValidationError

from trading_assets.collecting.archive import Archive
from trading_assets.remedies import Medium, speaking
from trading_assets.resources import run_owners
from trading_assets.resources.abandoned import PROCESS_TAG, process_mark
from trading_assets.resources.run_config import check_run_config
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings, wrong_value


class ArchiveResource(dg.ConfigurableResource):
    """The archive of the settings in force when a run begins; one broker connection a run at most, made when needed.

    It has no config: a run started in the UI cannot work on another data folder, broker or database than the
    platform's, nor send messages elsewhere. Nothing is opened or connected before the first step asks for `open()`.
    """

    _archive: Archive | None = PrivateAttr(default=None)
    _works_on: str | None = PrivateAttr(default=None)
    _warned: ClassVar[deque[str]] = deque(maxlen=10)
    _overrides: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def holding(cls, overrides: Mapping[str, Any]) -> type["ArchiveResource"]:
        """A class of this resource with settings by name that win over the environment (see `trading_assets.settings`).

        What a resource is configured with is kept in the snapshot of every job, shown in the UI, and replaced by run
        config; what its class holds is not.
        """
        return type(
            cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, "_overrides": dict(overrides)}
        )

    def settings(self) -> Settings:
        """The settings in force now."""
        return Settings(**self._overrides)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when a run begins: the run says which process works on it, so that another one can tell
        when it died.

        A repeated run carries the mark of the process that failed until then. A history that is kept elsewhere is
        warned of. Raises `dg.Failure` for a run config with a wrong value of any of its assets, before the first of
        them begins, and for one that refers to the environment: a value that is wrong is shown with the error, and may
        be a password of another program.
        """
        run = context.run
        if run is None:
            return
        named = next(_environment_references(run.run_config, ()), None)
        if named is not None:
            raise dg.Failure(
                f"The run config takes {named} from the environment, which is not allowed: write the value itself.",
                allow_retries=False,
            )
        try:
            check_run_config(run.run_config, self._selection())
        except ValueError as error:
            with speaking(Medium.COMMAND):
                why = wrong_value(error) if isinstance(error, ValidationError) else str(error)
            raise dg.Failure(f"The run config is wrong, nothing was done. {why}", allow_retries=False) from error
        if context.instance is None:
            return
        tags = {PROCESS_TAG: process_mark()}
        with suppress(ValueError):  # wrong settings are reported by the first step that opens the archive
            tags |= (owner := run_owners.begin(self.settings(), run.run_id))
            self._works_on = run.run_id if owner else None
        if new := {name: value for name, value in tags.items() if run.tags.get(name) != value}:
            context.instance.add_run_tags(run.run_id, new)
        if context.log is not None and context.instance.is_persistent:
            # late: Dagster's storages take a fifth of a second in every process
            from trading_assets.resources.history_folder import elsewhere

            with suppress(ValueError):
                sentence = elsewhere(context.instance, self.settings())
                # Dagster makes the resource for each of its users
                if sentence is not None and run.run_id not in self._warned:
                    self._warned.append(run.run_id)
                    context.log.warning(sentence)

    def _selection(self) -> SelectionRules:
        """The rules of the settings; those by default while the settings are wrong, which the first step says."""
        try:
            return self.settings().selection
        except ValueError:
            return SelectionRules()

    def open(self) -> Archive:
        """The archive, opened on first use and kept for the run."""
        if self._archive is None:
            self._archive = Archive(self.settings())
        return self._archive

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls this when the run ends, however it ends."""
        with ExitStack() as ending:  # each, also where one fails
            if self._works_on is not None:
                ending.callback(run_owners.leave, self._works_on)
            if self._archive is not None:
                ending.callback(self._archive.close)
            self._archive = self._works_on = None


def _environment_references(node: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Where a run config says `{"env": NAME}`, which Dagster replaces by the value of that environment variable."""
    if isinstance(node, Mapping):
        if set(node) == {"env"}:
            yield ".".join(path)
        for name, value in node.items():
            yield from _environment_references(value, (*path, str(name)))
    elif isinstance(node, list | tuple):
        for position, value in enumerate(node):
            yield from _environment_references(value, (*path, str(position)))
