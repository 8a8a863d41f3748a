"""The Dagster instance of a data folder: where its runs, events and logs are kept.

`dagster.yaml` at the top of the project says the settings once; here they are put under `<data folder>/dagster`,
so that everything a lake needs is under its data folder.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import dagster as dg

from trading_assets.permissions import own_folder
from trading_assets.repositories.files import leftovers, locked, replacing
from trading_assets.resources.dagster_private import InstanceRef, safe_load_yaml, serialize_value
from trading_assets.settings import Settings

_PLACE = "data/dagster"
_LOCK = "dagster"

_NO_CAPTURE = {"compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}}

_PATH = re.compile(rf"(?<=: ){re.escape(_PLACE)}(\S*)")
"""The folder as a value in `dagster.yaml`, with the rest of its path."""


def dagster_yaml(base_dir: Path | str = _PLACE) -> str:
    """The text of `dagster.yaml` with that folder for storage and logs, its path quoted for YAML."""
    text = files("trading_assets.resources").joinpath("dagster.yaml").read_text("utf-8")
    if str(base_dir) == _PLACE:
        return text
    # A JSON text is a YAML text; of characters beyond 16 bits YAML takes the escapes of JSON for two characters.
    return _PATH.sub(lambda found: json.dumps(f"{base_dir}{found[1]}", ensure_ascii=False), text)


def dagster_home(settings: Settings) -> Path:
    """The folder to set as `DAGSTER_HOME`; it, its `dagster.yaml` and its databases are made when missing or outdated."""
    with dagster_instance(settings):
        return _home(settings)


def instance_reference(settings: Settings) -> str:
    """The instance of the data folder as text, for Dagster's option `--instance-ref`: which process reads the settings does not matter then."""
    with dagster_instance(settings) as instance:
        return str(serialize_value(instance.get_ref()))


def dagster_instance(settings: Settings, *, captures: bool = True) -> dg.DagsterInstance:
    """The instance of the data folder. Use it as a context manager. Raises `LakeBusy` when another process does not finish making it.

    Without `captures` its runs do not copy what their steps print into files of their own, which takes four processes a run: a
    command line shows it on the terminal.
    """
    with locked(settings.data_dir, _LOCK):  # Dagster's own making of its databases is not safe among processes
        home = _home(settings)
        own_folder(home)
        text = dagster_yaml(home)
        _write_settings(home / "dagster.yaml", text)
        # Dagster takes the path of the file for a pattern: of `a[1]` it would read nothing, of `a*` the settings of another lake as well.
        settings_of_file = {**safe_load_yaml(text), **({} if captures else _NO_CAPTURE)}
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=settings_of_file))


def _home(settings: Settings) -> Path:
    return settings.data_dir / "dagster"


def _write_settings(file: Path, text: str) -> None:
    for leftover in leftovers(file):
        leftover.unlink(missing_ok=True)
    if not file.exists() or file.read_text("utf-8") != text:
        with replacing(file) as beside:
            beside.write_text(text, "utf-8")
