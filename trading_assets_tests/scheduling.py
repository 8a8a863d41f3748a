"""Which tests share a worker: those of a group (`xdist_group`), of a file whose fixtures are made once a module, of a
folder whose fixtures are made once a package.

pytest-xdist 3.8 writes the group into the node id, where pytest 9.2 no longer reads it: every set-up lake was made in
both workers. Here the group is read from the test's file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parent.parent

_GROUP = re.compile(r'mark\.xdist_group\("(\w+)"\)')

_ONCE_A_MODULE, _ONCE_A_PACKAGE = 'scope="module"', 'scope="package"'


class SharedSetups(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out tests one by one in the order of their collection, those that share what they look at together."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # else all groups come first, and tests that wait are left to each other

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return group_of(file) or nodeid


@cache
def group_of(file: str) -> str | None:
    """The name under which the tests of a file are kept together; None where each goes its own way."""
    path = _ROOT / file
    if not path.is_file():
        return None
    text, folders = path.read_text("utf-8"), _fixtures_of(path.parent)
    if (named := _GROUP.search(text)) is not None:
        return named[1]
    if _ONCE_A_PACKAGE in folders:
        return str(path.parent)
    return file if _ONCE_A_MODULE in text + folders else None


@cache
def _fixtures_of(folder: Path) -> str:
    conftest = folder / "conftest.py"
    return conftest.read_text("utf-8") if conftest.is_file() else ""
