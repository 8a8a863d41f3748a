"""Benchmark of a scrape of `/metrics`: 500 symbols with a year of coverage, and a journal of a million requests.

Prometheus gives a scrape ten seconds. The first one reads all; the later ones find the lake read within the last
minute, and of the journal what is new. The ratio is ten seconds to a reading of the lake. Run:
`python -m benchmarks.metrics`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from benchmarks.sensors import NOW, build
from trading_assets.monitoring.prometheus.exposition import Exposition
from trading_assets.monitoring.prometheus.lake_metrics import LakeMetrics
from trading_assets.monitoring.prometheus.state_metrics import JournalMetrics, StateMetrics
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.universe import Universe

SCRAPE_SECONDS = 10.0

JOURNAL = """
    insert into requests (key, kind, dataset, symbol, con_id, session, record, pacing_class, weight,
        contract_tick_key, owner, run_id, state, attempt, outcome, rows, claimed_at, sent_at, finished_at, duration,
        applied_at, answer_bytes)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < :rows)
    select 'key ' || i, case i % 3 when 0 then 'quote' when 1 then 'bars' else 'listing' end, 'option_bars',
        'S' || i % 500, i, '2024-12-31', '{"kind": "bars", "contract": {"con_id": ' || i || '}, "text": "' ||
        hex(zeroblob(120)) || '"}', 'history', 1, 'S' || i % 500, 'someone', 'run', 'done', 1,
        case i % 20 when 0 then 'empty' else 'complete' end, 3, 1e9 + i, 1e9 + i + 0.5, 1e9 + i + 1, 0.5, 1e9 + i + 2,
        900 from n"""


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """How long it takes, and the processor time of all threads."""
    began, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - used


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=252)
    parser.add_argument("--optioned", type=int, default=400)
    parser.add_argument("--requests", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(**{"data_dir": Path(folder) / "lake", "now": NOW})  # type: ignore[arg-type]
        symbols = [f"S{number:04}" for number in range(given.symbols)]
        last = calendar().current(NOW)
        sessions = calendar().sessions(calendar().previous(last, given.sessions - 1), last)
        Universe(settings.state_url).add(symbols)
        rows = build(settings, symbols, sessions, given.optioned)
        with connect_state(settings.state_url).begin() as connection:
            connection.execute(sa.text(JOURNAL), {"rows": given.requests})
        say(
            f"{given.symbols} symbols, {len(sessions)} sessions, {rows:,} rows of coverage, {given.requests:,} requests"
        )
        readings: dict[str, Callable[[], object]] = {
            "state": StateMetrics(settings).read,
            "journal": JournalMetrics(settings).read,
            "lake": LakeMetrics(settings).read,
            "scrape": Exposition(settings, wait=60).text,
        }
        later = {}
        for name, read in readings.items():
            first = seconds(read)
            later[name] = min(seconds(read) for _ in range(3))
            say(
                f"{name:<8} first {first[0]:.2f} s ({first[1]:.2f} s of processor time), later"
                f" {later[name][0]:.3f} s ({later[name][1]:.3f} s)"
            )
        say(f"ratio {SCRAPE_SECONDS / later['lake'][0]:.1f} (ten seconds to a reading of the lake)")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
