"""The Dagster instance of a data folder: where its runs, events and logs are kept.

`dagster.yaml` at the top of the project says the settings once; here they are put under `<data folder>/dagster`,
so that everything a lake needs is under its data folder.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import dagster as dg

from trading_assets.settings import Settings

_PLACE = "data/dagster"


def dagster_yaml(base_dir: Path | str = _PLACE) -> str:
    """The text of `dagster.yaml` with that folder for storage and logs."""
    return files("trading_assets.resources").joinpath("dagster.yaml").read_text("utf-8").replace(_PLACE, str(base_dir))


def dagster_home(settings: Settings) -> Path:
    """The folder to set as `DAGSTER_HOME`; it and its `dagster.yaml` are made when missing or outdated."""
    home = settings.data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    text = dagster_yaml(home)
    if not file.exists() or file.read_text("utf-8") != text:
        beside = home / f".dagster.yaml.{id(text)}"
        beside.write_text(text, "utf-8")
        beside.replace(file)
    return home


def dagster_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of the data folder. Use it as a context manager."""
    return dg.DagsterInstance.from_config(str(dagster_home(settings)))
