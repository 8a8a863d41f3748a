"""Benchmark of the live store alone: five million updates of a day are written, followed, sealed and merged.

The writer is fed 5,000 updates a second, then as fast as it takes them. Run: `python -m benchmarks.live_store`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.live.merging import merge_session
from trading_assets.repositories.live.places import parts
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.streaming.store import LiveTail, LiveWriter, latest_quotes
from trading_assets.streaming.updates import QuoteUpdate

SESSION = date(2015, 12, 24)
OPEN = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)
CONTRACTS = 100
RATE = 5_000
"""Updates a second of the paced part."""

SECONDS = 10
AT_ONCE = 10_000
"""Updates handed over at once in the other part."""


def update(number: int) -> QuoteUpdate:
    """One update of a contract; prices move by cents."""
    price = 1 + number % 997 / 100
    return QuoteUpdate(
        SESSION, 1000 + number % CONTRACTS, OPEN + timedelta(microseconds=200 * number), number, "SPX", price,
        price + 0.05, None, 10.0, float(number % 40), None, float(number), None, 0, 1, 0.2, 0.5, 0.01, 0.1, -0.2,
        price, 2000.0, OPEN, f"stream-{number % CONTRACTS}", 5.0,
    )  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=5_000_000)
    total = parser.parse_args().updates
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        LakeIdentity(root).pin("simulated/benchmark")
        writer, given = LiveWriter(root), iter(map(update, range(total)))
        _paced(root, writer, given)
        began, cpu, batch = time.monotonic(), time.process_time(), list(islice(given, AT_ONCE))
        while batch:
            writer.append(batch)
            writer.flush()
            batch = list(islice(given, AT_ONCE))
        rate = (total - RATE * SECONDS) / (time.monotonic() - began)
        print(f"at once: {rate:,.0f} updates/s, {time.process_time() - cpu:.1f} s of CPU with making them and sealing")
        began = time.perf_counter()
        found = len(latest_quotes(root))
        print(f"newest quotes of {found} contracts late in the day: {(time.perf_counter() - began) * 1e3:.0f} ms")
        writer.close()
        sealed = len(parts(root, LIVE_QUOTES))
        began, cpu = time.monotonic(), time.process_time()
        merged = merge_session(root, LIVE_QUOTES, SESSION)
        assert merged.rows == total, f"{merged.rows} of {total} updates are stored"
        size = (root / merged.file).stat().st_size / total
        print(
            f"merge of {sealed} parts, {total:,} rows: {time.monotonic() - began:.1f} s,"
            f" {time.process_time() - cpu:.1f} s of CPU, {size:.0f} bytes a row;"
            f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most so far"
        )


def _paced(root: Path, writer: LiveWriter, given: map[QuoteUpdate]) -> None:
    batches = [list(islice(given, RATE // 100)) for _ in range(SECONDS * 100)]
    seen, lags = 0, []
    with LiveTail(root) as tail:
        cpu, began = time.process_time(), time.monotonic()
        for number, batch in enumerate(batches, start=1):
            writer.append(batch)
            time.sleep(max(0.0, began + number / 100 - time.monotonic()))
            found = len(tail.poll())
            seen += found
            lags.append((number * len(batch) - seen) / RATE)
        cpu = time.process_time() - cpu
        writer.flush()
        seen += len(tail.poll())
    assert seen == RATE * SECONDS, f"a follower saw {seen} of {RATE * SECONDS} updates"
    late = sorted(lags)[int(0.99 * len(lags))]
    print(
        f"{RATE:,} updates/s: writer and follower {cpu / SECONDS:.1%} of a core; 99 % seen within {late * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
