"""Which tests share a worker: those of a group (`xdist_group`), and those of a file whose fixtures are made once a module.

pytest-xdist 3.8 writes the group into the node id, where pytest 9.2 no longer reads it: every set-up lake was made in both workers.
Here the group is read from the test's file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parent.parent

_GROUP = re.compile(r'mark\.xdist_group\("(\w+)"\)')

_SHARED_FIXTURES = 'scope="module"'

_FOLDERS_WITH_SHARED_FIXTURES = ("trading_assets_tests/cli/",)
"""Folders whose `conftest.py` makes fixtures once a module."""


class SharedSetups(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out tests one by one, those that share what they look at together and before the others."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return group_of(file) or nodeid


@cache
def group_of(file: str) -> str | None:
    """The name under which the tests of a file are kept together; None where each goes its own way."""
    path = _ROOT / file
    text = path.read_text("utf-8") if path.is_file() else ""
    if (named := _GROUP.search(text)) is not None:
        return named[1]
    return file if _SHARED_FIXTURES in text or file.startswith(_FOLDERS_WITH_SHARED_FIXTURES) else None
