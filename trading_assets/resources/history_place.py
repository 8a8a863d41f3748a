"""Which server the history of a data folder was kept on last, as the folder itself says.

Without this note a process whose settings name no server would begin a second history in SQLite files, without a word.
"""

from __future__ import annotations

import json
from pathlib import Path

from trading_assets.errors import HistoryUnavailable
from trading_assets.repositories.files import replacing

PLACE_FILE = "history_database.json"
"""File in the history's folder; it names the server without user and password."""


def keep_place(home: Path, said: str) -> None:
    """Write down in the history's folder which database holds the history."""
    if noted_place(home) != said:
        with replacing(home / PLACE_FILE) as beside:
            beside.write_text(json.dumps({"database": said}) + "\n", "utf-8")


def noted_place(home: Path) -> str | None:
    """The database that held the history of a folder last; None where that was in SQLite files."""
    try:
        return str(json.loads((home / PLACE_FILE).read_text("utf-8"))["database"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return f"a database that {PLACE_FILE}, which is damaged, does not name"


def refuse_second(home: Path) -> None:
    """Raise `HistoryUnavailable` where the history of a folder is on a server; for settings that name none."""
    if (there := noted_place(home)) is not None:
        raise HistoryUnavailable(
            f"Dagster's history of {home.parent} is in {there}, and TRADING_ASSETS_DAGSTER_DATABASE_URL is not set: set"
            f" it. To begin a new history in SQLite files instead, delete {home / PLACE_FILE}."
        )
