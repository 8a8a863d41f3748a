"""The Dagster instance of a data folder: where its runs, events and logs are kept.

`dagster.yaml` at the top of the project says the settings once; here they are put under `<data folder>/dagster`,
so that everything a lake needs is under its data folder (see `resources.history_folder`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from trading_assets.permissions import own_folder
from trading_assets.repositories.files import locked, remove_leftovers, replacing
from trading_assets.resources.dagster_private import InstanceRef, serialize_value
from trading_assets.resources.history_folder import HOME_LOCK, history_folder
from trading_assets.settings import Settings

_NO_CAPTURE = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}

_INSTANCE_CLASS = {"instance_class": {"module": "trading_assets.resources.instance", "class": "LakeInstance"}}

_NOT_GIVEN = "config: {}"
"""What `dagster.yaml` says of a class whose folder is that of the settings."""


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

    def get_yaml_python_handlers(self) -> Sequence[logging.Handler]:
        """The log handlers of `dagster.yaml`, usually none."""
        return super().get_yaml_python_handlers() if self.get_python_log_dagster_handler_config() else []


def dagster_yaml(base_dir: Path | None = None) -> str:
    """The text of `dagster.yaml`; with a folder, that one for storage and logs, its path quoted for YAML."""
    text = files("trading_assets.resources").joinpath("dagster.yaml").read_text("utf-8")
    if base_dir is None:
        return text
    # A JSON text is a YAML text; of characters beyond 16 bits YAML takes the escapes of JSON for two characters.
    given = json.dumps({"base_dir": str(base_dir)}, ensure_ascii=False)
    return text.replace(_NOT_GIVEN, f"config: {given}")


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
    finish making it.

    Without `captures` its runs do not copy what their steps print into files of their own, which takes four processes a
    run: a command line shows it on the terminal.
    """
    with locked(settings.data_dir, HOME_LOCK):
        home = history_folder(settings)
        own_folder(home)
        text = dagster_yaml(home)
        _write_settings(home / "dagster.yaml", text)
        # Dagster takes the path of the file for a pattern: of `a[1]` it would read nothing, of `a*` the settings of
        # another lake as well.
        settings_of_file = {**yaml.safe_load(text), **_INSTANCE_CLASS, **({} if captures else _NO_CAPTURE)}
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=settings_of_file))


def _write_settings(file: Path, text: str) -> None:
    remove_leftovers(file)
    if not file.exists() or file.read_text("utf-8") != text:
        with replacing(file) as beside:
            beside.write_text(text, "utf-8")
