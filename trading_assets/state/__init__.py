"""The state database: what is no market data and must survive. The journal, pacing, leases, the breaker, the universe,
alerts, findings.

Here: opening it (`connect_state`; to read only, `reading`), transactions, its clock, who works on it (`owners`), which
lake it belongs to (`pin`), the tables of the broker side (`tables`). Other modules add theirs to `metadata`. What they
do with them stands in those modules.
"""

from __future__ import annotations

import os

import sqlalchemy as sa

# ruff: noqa: F401 (other folders have these names from here)
from trading_assets.folders import StateUrl
from trading_assets.state.engine import (
    database_now,
    engine_of,
    ensure_tables,
    measure_clock,
    metadata,
    read_transaction,
    write_transaction,
)
from trading_assets.state.pin import pin_lake
from trading_assets.state.reading import read_state, reading_engine


def connect_state(url: str) -> sa.Engine:
    """The engine of a state database, its tables created. The same engine for the same URL in one process.

    Creates the folder of a SQLite file. Safe when several processes create the database at once. The URL of
    `Settings.state_url` names a data folder too: the database is pinned to the lake in it, and another lake is refused
    (see `state.pin`).
    """
    engine = engine_of(url, os.getpid())
    ensure_tables(engine)
    measure_clock(engine)
    if isinstance(url, StateUrl):
        pin_lake(engine, url.data_dir)
    return engine
