"""What opens lakes of the older layout in processes of its own, for the tests of its migration. Run as a module:

    python -m trading_assets_tests.repositories.opener DIR

says how many rows each dataset has, as the user `nobody`, who may not write there; started by root.
"""

from __future__ import annotations

import json
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import DATASETS
from trading_assets_tests.killing.forks import answer

NOBODY = 65534


def rows(folder: Path) -> dict[str, int]:
    """Rows of each view."""
    return {name: int(query(folder, f"select count(*) as n from {name}")["n"][0].as_py()) for name in DATASETS}


def count(talk: Connection) -> None:
    """Wait for a folder, then say how many rows each dataset has."""
    answer(talk, rows(talk.recv()))


if __name__ == "__main__":
    rows(Path(sys.argv[1], "not", "there"))  # imports what is imported late: nobody may not read root's Python
    os.setuid(NOBODY)
    sys.stdout.write(json.dumps(rows(Path(sys.argv[1]))) + "\n")
