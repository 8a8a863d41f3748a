"""Makes the lake `plain`: a small lake as the platform wrote it before lakes had an id and a layout version (commit
49b16e4).

Run with that version of the package, not with the present one, from any folder:

    git worktree add ../before 49b16e4
    PYTHONPATH=../before python trading_assets_tests/lakes/make_plain.py trading_assets_tests/lakes/plain

Two symbols of the generated market over two evenings: contracts, chains, equity bars of two sizes, option bars,
coverage, revisions of a bar and of a quote, and the state database with journal and universe.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state

SYMBOLS = ("AAPL", "SPY")
EVENINGS = ("2023-12-29T16:30-05:00", "2024-01-02T16:30-05:00")
"""The last session of a year and the first of the next: two files of the datasets with one file a year."""

SIZES = ("1 day", "1 hour")
RULES = SelectionRules(max_days_to_expiry=5, strikes_around_spot=1)


def collect(settings: Settings) -> None:
    """One evening: the four collections, written."""
    with Archive(settings) as archive:
        entries = archive.universe.add(SYMBOLS, now=archive.now)
        current, closed = archive.calendar.current(archive.now), archive.calendar.last_closed(archive.now)
        sessions = archive.calendar.sessions(closed - timedelta(days=7), closed)
        contracts, chains = (archive.view(dataset) for dataset in (CONTRACTS, OPTION_CHAINS))
        for step in (
            lambda: collect_contracts(archive, entries, current),
            lambda: collect_option_chains(archive, entries, current, contracts=contracts, rules=RULES),
            lambda: collect_equity_bars(archive, entries, sessions, contracts=contracts, bar_sizes=SIZES),
            lambda: collect_option_bars(
                archive, entries, sessions, contracts=contracts, chains=chains, bar_sizes=("8 hours",)
            ),
        ):
            archive.write(step())


def restate(settings: Settings) -> None:
    """Later values of one bar and of one quote: the earlier ones become revisions."""
    with Archive(settings) as archive:
        for dataset, column in ((EQUITY_BARS, "volume"), (OPTION_CHAINS, "bid_size")):
            row = archive.store.read(dataset, where=pc.is_valid(pc.field(column))).slice(0, 1)
            later = pa.array([datetime(2024, 1, 3, tzinfo=UTC)], row.schema.field("collected_at").type)
            for name, value in ((column, pc.add(row[column], 100.0)), ("collected_at", later)):
                row = row.set_column(row.schema.get_field_index(name), row.schema.field(name), value)
            archive.store.upsert(dataset, row)


def main(folder: Path) -> None:
    """Make the lake in `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    for evening in EVENINGS:
        now = datetime.fromisoformat(evening)
        with Simulator(GeneratedMarket(), now=now, limits=False) as simulator:
            settings = Settings(
                data_dir=folder, ib_port=simulator.port, now=now, enforce_pacing=False, equity_bar_sizes=SIZES
            )  # type: ignore[call-arg]
            collect(settings)
    restate(settings)
    connect_state(settings.state_url).dispose()
    shutil.rmtree(folder / ".locks")
    with sqlite3.connect(folder / "state.db") as database:
        database.execute("delete from owners")
        database.commit()
        # Small pages: the fixture is in the repository, and most tables are empty.
        for statement in ("pragma journal_mode = delete", "pragma page_size = 1024", "vacuum"):
            database.execute(statement)
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
