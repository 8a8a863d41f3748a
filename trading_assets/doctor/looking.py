"""The archive of a data folder, opened without a trace: its state database is not opened as usual.

Opening it would add tables that it lacks, and make SQLite's two files beside it. What the conditions of the lake need
of it (the universe, and which lake it belongs to) is read, and put into a database of its own outside the data folder.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from trading_assets.backup.databases import reading
from trading_assets.collecting.archive import Archive
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.settings import Settings
from trading_assets.state import connect_state, write_transaction
from trading_assets.state.pin import lake
from trading_assets.universe import universe_table


@contextmanager
def looking(settings: Settings) -> Iterator[Archive]:
    """An archive to ask for conditions, and for nothing else. The lake and its state database must be whole."""
    held = LakeIdentity(settings.data_dir).held()
    assert held is not None
    with reading(str(settings.state_url), untouched=True) as state:
        known = sa.inspect(state).has_table(universe_table.name)
        universe = [dict(row) for row in state.execute(sa.select(universe_table)).mappings()] if known else []
    with tempfile.TemporaryDirectory() as folder:
        beside = settings.model_copy(update={"database_url": f"sqlite:///{Path(folder, 'state.db')}"})
        engine = connect_state(str(beside.state_url))
        try:
            with write_transaction(engine) as connection:
                pin = {"lake_id": held.lake_id, "identity": held.identity, "periods": json.dumps(dict(held.periods))}
                connection.execute(lake.insert().values(one=1, ids_above=0, restore_due=False, **pin))
                if universe:
                    connection.execute(universe_table.insert(), universe)
            with Archive(beside) as archive:
                yield archive
        finally:
            engine.dispose()
