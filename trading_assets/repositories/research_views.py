"""Views for research over the datasets: `research_views.sql`. Made for each connection a user opens, so they see the
datasets as that connection does (as of an instant, for example)."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_VIEW = re.compile(r"-- (?P<description>(?:[^\n]*\n-- )*[^\n]*)\ncreate view (?P<name>\w+) as\n(?P<select>[^;]*);")


def research_views(*, temporary: bool) -> str:
    """The statements that make the views; `temporary` ones belong to one connection alone."""
    kind = "create or replace temporary view" if temporary else "create or replace view"
    return _text().replace("create view", kind)


def descriptions() -> dict[str, str]:
    """What each view holds, by name."""
    return {found["name"]: found["description"].replace("\n-- ", " ") for found in _VIEW.finditer(_text())}


@cache
def _text() -> str:
    return (files(__package__) / "research_views.sql").read_text(encoding="utf-8")
