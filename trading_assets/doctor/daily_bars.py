"""Daily bars of options that are gone, while the bars of 8 hours that they are made of are there: made again without
the broker.

The coverage speaks of the bars of 8 hours, so what is gone of their sums no condition says.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.decode.bars import AGGREGATED_BAR_SIZE, aggregate_sessions
from trading_assets.doctor.coverage import recorded_conditions
from trading_assets.doctor.files import readable_files
from trading_assets.doctor.findings import Finding
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.files import read_file
from trading_assets.repositories.schemas import OPTION_BARS, Condition
from trading_assets.repositories.store import ParquetStore
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

KEY = ["symbol", "con_id", "session"]


def find_daily_bar_faults(settings: Settings) -> list[Finding]:
    """One finding for each symbol with contracts whose daily bars lack. Nothing is written."""
    lacking = _lacking(settings)
    counts = lacking.group_by("symbol").aggregate([("session", "count"), ("session", "min"), ("session", "max")])
    return [_finding(settings, row) for row in counts.sort_by("symbol").to_pylist()]


def _lacking(settings: Settings) -> pa.Table:
    """The keys of stored bars of 8 hours without their daily bar; sessions of which a part is in quarantine have
    none."""
    keys = pa.schema([OPTION_BARS.schema.field(name) for name in KEY])
    stored = [
        read_file(path, OPTION_BARS, [*KEY, "bar_size"]) for path in readable_files(settings.data_dir, OPTION_BARS)
    ]
    found = {
        size: pa.concat_tables(
            [keys.empty_table(), *(rows.filter(pc.equal(rows["bar_size"], size)).select(KEY) for rows in stored)],
            promote_options="permissive",
        )
        for size in (OPTION_BAR_SIZE, AGGREGATED_BAR_SIZE)
    }
    recorded = recorded_conditions(settings)
    partial = recorded.filter(
        pc.and_(
            pc.and_(pc.equal(recorded["dataset"], OPTION_BARS.name), pc.equal(recorded["bar_size"], OPTION_BAR_SIZE)),
            pc.equal(recorded["condition"], str(Condition.PARTIAL)),
        )
    )
    lacking = found[OPTION_BAR_SIZE].group_by(KEY).aggregate([])
    for without in (found[AGGREGATED_BAR_SIZE], partial.select(KEY)):
        lacking = lacking.join(without, KEY, join_type="left anti")
    return lacking


def _finding(settings: Settings, group: dict[str, object]) -> Finding:
    symbol, count = str(group["symbol"]), int(str(group["session_count"]))
    between = f"{group['session_min']} to {group['session_max']}"

    def mend() -> str:
        lacking = _lacking(settings)
        lacking = lacking.filter(pc.equal(lacking["symbol"], symbol))
        parts = [OPTION_BARS.schema.empty_table()]
        for path in readable_files(settings.data_dir, OPTION_BARS):
            rows = read_file(path, OPTION_BARS)
            rows = rows.filter(pc.equal(rows["bar_size"], OPTION_BAR_SIZE))
            parts.append(rows.join(lacking, KEY, join_type="left semi").select(OPTION_BARS.schema.names))
        bars = pa.concat_tables([part.cast(OPTION_BARS.schema) for part in parts])
        made = ParquetStore(settings.data_dir).upsert(OPTION_BARS, aggregate_sessions(bars, calendar()))
        return f"{counted(made.inserted, 'daily bar')} made from the bars of 8 hours."

    return Finding(
        "daily_bars_missing",
        f"{OPTION_BARS.name} {AGGREGATED_BAR_SIZE} {symbol}",
        f"{counted(count, 'daily bar')} of contracts ({between}); the bars of 8 hours that they are made of are there.",
        "trading-assets doctor --fix makes them again; nothing is requested.",
        mend,
    )
