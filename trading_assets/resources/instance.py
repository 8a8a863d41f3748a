"""The Dagster instance of a data folder: where its runs, events and logs are kept.

`dagster.yaml` at the top of the project says the settings once; here they are put under `<data folder>/dagster`,
so that everything a lake needs is under its data folder (see `resources.history_folder`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.permissions import own_folder
from trading_assets.repositories.files import locked
from trading_assets.resources.dagster_private import InstanceRef, serialize_value
from trading_assets.resources.history_folder import HOME_LOCK, choose, history_folder
from trading_assets.resources.instance_settings import FILE, dagster_yaml, instance_settings, unusable
from trading_assets.settings import Settings

_NO_CAPTURE = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}

_REASON = 300
"""Characters that are shown of what Dagster says of a file."""


class LakeInstance(dg.DagsterInstance):
    """Dagster's instance, whose runs leave the logging of their process alone.

    Dagster calls `logging.config.dictConfig` at the beginning of each run, also where no log handler is configured.
    That closes every handler of the process, those of the caller too, and waits for their locks while it holds the lock
    of the module `logging`. A run in another thread that stores an event holds the lock of a handler, and SQLAlchemy
    asks for a logger: both wait for ever.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Nothing of its own in `dagster.yaml`."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own."""
        return InstanceRef.config_defaults(base_dir)

    @property
    def run_monitoring_start_timeout_seconds(self) -> int:
        """Seconds a launched run may take to begin: as `dagster.yaml` says, and as the launcher needs."""
        return max(super().run_monitoring_start_timeout_seconds, getattr(self.run_launcher, "start_timeout", 0))

    def get_yaml_python_handlers(self) -> Sequence[logging.Handler]:
        """The log handlers of `dagster.yaml`, usually none."""
        return super().get_yaml_python_handlers() if self.get_python_log_dagster_handler_config() else []


def dagster_home(settings: Settings) -> Path:
    """The folder to set as `DAGSTER_HOME`; it, its `dagster.yaml` and its databases are made when missing or
    outdated."""
    with dagster_instance(settings):
        return history_folder(settings)


def instance_reference(settings: Settings) -> str:
    """The instance of the data folder as text, for Dagster's option `--instance-ref`: which process reads the settings
    does not matter then."""
    with dagster_instance(settings) as instance:
        return str(serialize_value(instance.get_ref()))


def dagster_instance(settings: Settings, *, captures: bool = True) -> dg.DagsterInstance:
    """The instance of the data folder. Use it as a context manager. Raises `LakeBusy` when another process does not
    finish making it, `UnreadableFile` for a `dagster.yaml` of somebody else that cannot be used, and what opening a
    history on a server raises (`resources.history_storage`).

    Without `captures` its runs do not copy what their steps print into files of their own, which takes four processes a
    run: a command line shows it on the terminal.
    """
    with locked(settings.data_dir, HOME_LOCK):
        home = history_folder(settings)
        own_folder(home)
        choose(settings)
        # Dagster takes the path of the file for a pattern: of `a[1]` it would read nothing, of `a*` the settings of
        # another lake as well.
        settings_of_file = {**instance_settings(home), **({} if captures else _NO_CAPTURE)}
        try:
            reference = InstanceRef.from_dir(str(home), overrides=settings_of_file)
        except dg.DagsterInvalidConfigError as error:
            raise unusable(home / FILE, " ".join(str(error).split())[:_REASON]) from error
        return dg.DagsterInstance.from_ref(reference)


__all__ = ["LakeInstance", "dagster_home", "dagster_instance", "dagster_yaml", "instance_reference"]
