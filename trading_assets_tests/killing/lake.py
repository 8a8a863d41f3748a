"""A small lake that was collected from a simulated TWS: four years of a few sessions, options, revisions, coverage, a
journal, a Dagster history. Not a test."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.homes import furnish
from trading_assets_tests.killing.looks import COLLECTED

OLD = [date(2021, 6, 1), date(2022, 3, 1), date(2022, 3, 2), date(2023, 12, 28), date(2023, 12, 29)]


def fill(folder: Path, simulator: Simulator) -> Settings:
    """Collect it; the settings of the lake."""
    settings = settings_of(folder, simulator, quote_quiet_time=0.1)
    furnish(folder)
    Universe(settings.state_url).add([SYMBOL, COLLECTED], now=settings.clock())
    assert by_the_steps(settings, [SYMBOL])["success"]
    with Archive(settings) as archive:
        entries = archive.universe.resolve([SYMBOL, COLLECTED])
        archive.write(collect_contracts(archive, entries, archive.calendar.current(archive.now)))
        of_one, view = entries[:1], archive.view(CONTRACTS)
        for session in OLD:  # one by one: a span of years would be asked and stored whole
            archive.write(collect_equity_bars(archive, of_one, [session], contracts=view, bar_sizes=("1 day",)))
    restate(folder, 1)
    connect_state(settings.state_url).dispose()  # SQLite writes what it has beside its file into it: it is copied
    assert not list(folder.glob("state.db-*"))
    return settings


def restate(folder: Path, seconds: int) -> None:
    """Give the old bars a volume that is known so much later: what they were is among the revisions."""
    store = ParquetStore(folder)
    rows = store.read(EQUITY_BARS)
    old = rows.filter(pc.less(rows["session"], pa.scalar(date(2024, 1, 1))))
    changed = old.set_column(old.schema.get_field_index("volume"), "volume", pc.add(old["volume"], 1.0))
    later = pc.add(old["collected_at"], pa.scalar(timedelta(seconds=seconds)))
    store.upsert(EQUITY_BARS, changed.set_column(old.schema.get_field_index("collected_at"), "collected_at", later))
