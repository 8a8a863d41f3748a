"""Benchmark of the broker side: option histories through client, pacing, journal and decode, over a real TCP
connection.

    python benchmarks/history_throughput.py [--histories 2000] [--unpaced 4000] [--json]

Two measurements in one run, each as a ratio to what is demanded:

1. With the limits on and 1 s latency: seconds for `--histories` option histories against what the limits allow, the
  larger of `N / 50` (messages a second) and `latency x N / 50` (open requests). Demanded: at most 1.10, and not one
  violation.
2. Without limits and latency: requests of 25 bars a second. Demanded: at least 1,000.

The simulator runs in a process of its own, so that only our side is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._flat_market import BARS, EXPIRY, NOW, SESSION, flat_tws, option
from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import BarsRequest
from trading_assets.instrument import Instrument
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

LATENCY = 1.0
BROKER_LIMIT = 50
"""Messages a second, and open historical requests."""


def histories(count: int) -> list[BarsRequest]:
    """Requests for the 8-hour bars of that many options."""
    call = Instrument("FLAT", "OPT", last_trade=f"{EXPIRY:%Y%m%d}", right="C", multiplier="100", trading_class="FLAT")
    first = calendar().previous(SESSION, BARS - 1)
    return [
        BarsRequest(
            replace(call, con_id=i, strike=float(i)),
            SESSION,
            bar_size="8 hours",
            first_session=first,
            end=NOW,
            duration=f"{BARS} D",
        )
        for i in range(1, count + 1)
    ]


def measure(count: int, *, paced: bool, latency: float) -> dict[str, Any]:
    """Seconds for that many histories and the simulator's counters."""
    with flat_tws(option, latency, limits=paced) as tws, tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = {"data_dir": Path(folder), "ib_port": tws.port, "now": NOW, "enforce_pacing": paced}
        settings = Settings(**values)
        journal = Journal(settings.state_url)
        requests = histories(count)
        with Broker(settings, journal) as broker:
            began, worked = time.perf_counter(), time.process_time()
            results = broker.run(requests, planned_at=datetime.now(UTC))
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
        journal.close()
        assert all(len(result.payload["bars"]) == BARS for result in results), "a history came back short"
        seen = tws.stop()
    counts = {"violations": len(seen.violations), "asked": seen.requests, "open_max": seen.open_max}
    return {"requests": count, "seconds": seconds, "cpu_seconds": cpu_seconds, **counts, "errors": seen.errors}


def main() -> int:
    """Run both measurements; 0 when both meet what is demanded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--unpaced", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    free = measure(arguments.unpaced, paced=False, latency=0.0)
    rate = free["requests"] / free["seconds"]
    paced = measure(arguments.histories, paced=True, latency=LATENCY)
    allowed = max(arguments.histories / BROKER_LIMIT, LATENCY * arguments.histories / BROKER_LIMIT)
    report = {
        "paced": {**paced, "allowed_seconds": allowed, "ratio": paced["seconds"] / allowed, "demanded_ratio": 1.10},
        "unpaced": {**free, "requests_a_second": rate, "ratio": rate / 1000.0, "demanded_ratio": 1.0},
    }
    if arguments.json:
        print(json.dumps(report))
    else:
        print(f"paced:   {paced['requests']} histories in {paced['seconds']:.1f} s; the limits allow {allowed:.1f} s")
        print(f"         ratio {paced['seconds'] / allowed:.3f} (at most 1.10)")
        print(f"         violations {paced['violations']} (0), open at once {paced['open_max'].get('history')} (50)")
        print(f"unpaced: {rate:.0f} requests of {BARS} bars a second: {rate / 1000:.2f} x of the 1,000 demanded")
    well = paced["seconds"] <= 1.10 * allowed and not paced["violations"] and rate >= 1000.0
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
