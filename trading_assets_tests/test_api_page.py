"""docs/api.md names what is public, all of it and nothing else."""

from __future__ import annotations

import ast
import difflib
from importlib import import_module

import pytest

from trading_assets_tests.api_page import MODULES, PAGE, page
from trading_assets_tests.conftest import REPOSITORY

INTERNAL = {
    "cli",
    "collecting.examine",
    "distribution",
    "jobs.maintenance",
    "monitoring.report",
    "streaming.store",
    "validation.rules",
    "component",
}
"""Packages and modules whose `__all__` is for the platform itself, or repeated above it."""


def with_all() -> set[str]:
    """Packages, and modules of the top, that have an `__all__`."""
    top = REPOSITORY / "trading_assets"
    found = set()
    for file in [*top.rglob("__init__.py"), *top.glob("*.py")]:
        body = ast.parse(file.read_text("utf-8")).body
        if "__all__" in [getattr(node.targets[0], "id", "") for node in body if isinstance(node, ast.Assign)]:
            parts = file.relative_to(REPOSITORY).with_suffix("").parts
            found.add(".".join(part for part in parts if part != "__init__"))
    return found


def test_the_page_is_that_of_the_package() -> None:
    difference = "\n".join(difflib.unified_diff(PAGE.read_text("utf-8").splitlines(), page().splitlines(), lineterm=""))
    assert not difference, f"Run `python -m trading_assets_tests.api_page`.\n{difference}"


def test_every_public_module_is_on_the_page() -> None:
    assert with_all() == {*MODULES, *(f"trading_assets.{name}" for name in INTERNAL)}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_names_each_of_its_public_names_once(name: str) -> None:
    module = import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)


def test_every_name_says_what_it_is() -> None:
    silent = [line for line in PAGE.read_text("utf-8").splitlines() if line.endswith("|  |")]
    assert silent == []
