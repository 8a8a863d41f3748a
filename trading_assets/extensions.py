"""What other packages add to the platform: validation rules and alert channels, named by entry points in their
`pyproject.toml`. Every process of the platform reads them: the command, the daemon, a run, a notebook.

    [project.entry-points."trading_assets.rules"]
    desk = "desk_rules:RULES"           # a `validation.Rule`, or several

    [project.entry-points."trading_assets.channels"]
    desk_file = "desk_channel:send"     # called as send(title, body, severity); its name is the channel's
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trading_assets.errors import ExtensionFailed

RULES = "trading_assets.rules"
"""Group of the entry points that add rules."""

CHANNELS = "trading_assets.channels"
"""Group of the entry points that add alert channels."""


@lru_cache
def registered(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name, as they are in this process; nothing is imported.

    Raises `ExtensionFailed` where two packages use one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=str):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ExtensionFailed(
                f"Two packages add {point.name!r} to {group}: {other.value} and {point.value}. Rename one of them, or"
                " uninstall its package."
            )
    return found


def loaded(point: EntryPoint) -> Any:
    """What an entry point names. Raises `ExtensionFailed` where it cannot be imported."""
    try:
        return point.load()
    except Exception as error:
        raise ExtensionFailed(
            f"{point.value}, which a package adds to {point.group} as {point.name!r}, cannot be imported"
            f" ({type(error).__name__}: {error}). Repair the package, or uninstall it."
        ) from error
