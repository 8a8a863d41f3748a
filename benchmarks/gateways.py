"""Benchmark of several gateways: a backfill of 400 requests through one gateway and through two, in one run.

    python benchmarks/gateways.py [--requests 400] [--latency 0.3] [--rate 24] [--rounds 3] [--json]

Each request is for the daily bars of a symbol of its own, over connections that are up, as in a run that has collected
the contracts before. Every simulated TWS runs in a process of its own and enforces the broker's limits (50 messages a
second, 50 open historical requests). Demanded: the throughput through two gateways is at least 1.8 times that through
one, without a violation. More than `400 / larger share` is not possible: the symbols are divided by hash, and the
gateway with more of them is the last to end. The latency of the last answer counts in both.

Each gateway is given half of the broker's message rate, so that its limits decide and not the processors, which three
processes share; `--rate 48` is the platform's default.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._flat_market import BARS, NOW, SESSION, flat_tws, stock
from trading_assets.broker.gateways import Gateways
from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import BarsRequest
from trading_assets.broker.routing import by_gateway
from trading_assets.instrument import Instrument
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

NAMES = ("first", "second")
DEMANDED = 1.8


def backfill(count: int, first: int = 1) -> list[BarsRequest]:
    """Requests for the daily bars of that many symbols, from number `first` on."""
    asked = BarsRequest(
        Instrument("S000"),
        SESSION,
        bar_size="1 day",
        first_session=calendar().previous(SESSION, BARS - 1),
        end=NOW,
        duration="1 Y",
    )
    return [replace(asked, instrument=Instrument(f"S{n:03d}", con_id=n)) for n in range(first, first + count)]


def measure(count: int, names: tuple[str, ...], latency: float, rate: float) -> dict[str, Any]:
    """Seconds of the backfill through gateways of these names, and what they have seen."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(flat_tws(stock, latency)) for name in names}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        values: dict[str, Any] = {
            "data_dir": folder,
            "now": NOW,
            "messages_per_second": rate,
            "gateways": [{"name": name, "port": tws.port} for name, tws in running.items()],
        }
        settings = Settings(**values)
        journal = Journal(settings.state_url)
        stack.callback(journal.close)
        gateways = stack.enter_context(Gateways(settings, journal))
        others = by_gateway(backfill(50, count + 1), names)
        gateways.run([others[name][0] for name in names], planned_at=journal.now())
        began, worked = time.perf_counter(), time.process_time()
        results = gateways.run(backfill(count), planned_at=journal.now())
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
        assert all(len(result.payload["bars"]) == BARS for result in results), "a history came back short"
        stopped = {name: tws.stop() for name, tws in running.items()}
        seen = {
            name: {"asked": counters.requests.get("historical_data", 0), "violations": len(counters.violations)}
            for name, counters in stopped.items()
        }
    assert sum(one["asked"] for one in seen.values()) == count + len(names), "a request was sent twice or not at all"
    return {"requests": count, "seconds": seconds, "cpu_seconds": cpu_seconds, "gateways": seen}


def main() -> int:
    """Measure both; 0 when two gateways give what is demanded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--latency", type=float, default=0.3, help="Seconds each answer takes.")
    parser.add_argument("--rate", type=float, default=24.0, help="Messages a second of each gateway.")
    parser.add_argument("--rounds", type=int, default=3, help="The fastest of so many counts, for one and for two.")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    runs = [
        [measure(arguments.requests, names, arguments.latency, arguments.rate) for names in (NAMES[:1], NAMES)]
        for _ in range(arguments.rounds)
    ]
    one, two = (min(measured, key=lambda run: run["seconds"]) for measured in zip(*runs, strict=True))
    ratio = one["seconds"] / two["seconds"]
    larger = max(map(len, by_gateway(backfill(arguments.requests), NAMES).values()))
    violations = sum(seen["violations"] for both in runs for run in both for seen in run["gateways"].values())
    if arguments.json:
        print(json.dumps({"one": one, "two": two, "ratio": ratio, "demanded_ratio": DEMANDED}))
    else:
        print(f"one gateway:  {one['requests']} requests in {one['seconds']:.1f} s, {one['cpu_seconds']:.1f} s of CPU")
        shares = ", ".join(f"{name} {seen['asked']}" for name, seen in two["gateways"].items())
        seconds = f"{two['seconds']:.1f} s, {two['cpu_seconds']:.1f} s of CPU"
        print(f"two gateways: {two['requests']} requests in {seconds} ({shares})")
        print(f"ratio {ratio:.2f} (at least {DEMANDED}; at most {arguments.requests / larger:.2f})")
        print(f"violations {violations} (0)")
    return 0 if ratio >= DEMANDED and not violations else 1


if __name__ == "__main__":
    sys.exit(main())
