"""A lake for the examples, and their modules as a user's own."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trading_assets import extensions
from trading_assets.repositories.layout import migrate
from trading_assets.settings import Settings
from trading_assets.validation import known_rules
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of

EXAMPLES = REPOSITORY / "examples"

Example = Callable[[str], ModuleType]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a small lake that was collected from the simulator; they are those of the environment, too."""
    folder = copy_of(PLAIN, tmp_path / "lake")
    migrate(folder)
    chosen = Settings(data_dir=folder, now=PLAIN_NOW)  # type: ignore[call-arg]
    for name, value in chosen.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return chosen


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """A module of the examples by its place, for instance `own_assets/frames`; imported anew in each test."""
    before = set(sys.modules)

    def load(place: str) -> ModuleType:
        folder, _, name = place.rpartition("/")
        monkeypatch.syspath_prepend(EXAMPLES / folder)
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(EXAMPLES):
            del sys.modules[name]


def installed(project: Path, folder: Path) -> Path:
    """The metadata that installing a project would write, below `folder`: its entry points are known where `folder` and
    the project are on the path."""
    words = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    place = folder / f"{words['name'].replace('-', '_')}-{words['version']}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {words['name']}\nVersion: {words['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in words["entry-points"].items()
    ]
    (place / "entry_points.txt").write_text("\n".join(groups))
    return folder


@pytest.fixture
def extended(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Installs a project with entry points for this test."""

    def install(project: Path) -> None:
        monkeypatch.syspath_prepend(project)
        monkeypatch.syspath_prepend(installed(project, tmp_path / "site"))
        forget()

    yield install
    monkeypatch.undo()
    forget()


def forget() -> None:
    """What this process knows of other packages is looked up anew."""
    extensions.registered.cache_clear()
    known_rules.cache_clear()
