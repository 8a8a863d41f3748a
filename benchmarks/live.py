"""What the live recorder takes: 100 streams and 5,000 messages a second for a minute, then five times that for ten
seconds.

    python benchmarks/live.py [--seconds 60] [--burst-seconds 10] [--hour] [--rate 5000]

Three processes, as in use: the simulated TWS here, the recorder, and a client with a callback. Each message carries a
running number of its stream, so that a lost or doubled one is seen in the lake. Demanded: stored equals sent; callback
lag p99 under 50 ms; under 40 % of one core; of the burst nothing is lost silently; memory flat (`--hour`: over as many
messages as come in an hour, in the time that the machine takes for them). Exits with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories import connect
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.updates import QuoteUpdate

SYMBOL = "AAPL"
OPTIONS = 99
"""Beside their underlying: 100 streams of quotes."""

LAG = 0.050
CORE = 0.40
GROWTH = 1.15
LONG = 300.0
"""How much the recorder's largest memory may grow from the second third of the measurement to the last, where that is
so many seconds long: a segment is held in memory while it is sealed, every 250,000 rows."""

HOUR_RATE = 20_000
"""Messages a second of `--hour`: 18 million, an hour at 5,000 a second, take a quarter of it."""

TICKS = os.sysconf("SC_CLK_TCK")


def client() -> None:
    """The client's process: lags of a callback since the last line of standard input, one JSON line each."""
    lags: list[float] = []

    def callback(update: QuoteUpdate) -> None:
        lags.append(time.time() - update.received_at.timestamp())

    with LiveDataManager() as manager:
        manager.on_quote(callback)
        status = manager.start_streaming(SYMBOL, options=OPTIONS, timeout=120)
        _say({"pid": status.recorder.pid, "states": status.states, "problems": status.problems[:3]})
        for _ in sys.stdin:
            taken, lags[:] = sorted(lags), []
            counts = manager.monitor_stream_health().callbacks[0]
            quantiles = {q: taken[min(len(taken) - 1, int(len(taken) * q))] for q in (0.5, 0.99, 1.0)} if taken else {}
            _say({"updates": len(taken), "lags": quantiles, "lost": counts.lost})


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """Resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def fill(settings: Settings) -> None:
    """A lake that knows the symbol and its options."""
    with Archive(settings) as archive:
        session = archive.calendar.current(archive.now)
        entries = archive.universe.resolve([SYMBOL])
        archive.write(collect_contracts(archive, entries, session))
        contracts, rules = archive.view(CONTRACTS), settings.selection
        archive.write(collect_option_chains(archive, entries, session, contracts=contracts, rules=rules))


def stored(folder: Path, since: int) -> dict[int, tuple[int, int]]:
    """By contract the rows with a sequence number above `since`, and how many different numbers of messages are in
    them."""
    sql = f"""with rows as (
                select con_id, seq, bid_size, ask_size, lag(bid_size) over (partition by con_id order by seq) as before
                from live_quotes)
              select con_id, count(*), count(distinct if(bid_size is distinct from before, bid_size, ask_size))
              from rows where seq > {since} group by con_id"""
    with connect(folder, live=True) as lake:
        return {con_id: (rows, numbers) for con_id, rows, numbers in lake.sql(sql).fetchall()}


def newest(folder: Path) -> int:
    """The largest sequence number in the lake."""
    with connect(folder, live=True) as lake:
        ((found,),) = lake.sql("select coalesce(max(seq), 0) from live_quotes").fetchall()
    return int(found)


def overloaded(folder: Path) -> set[int]:
    """The contracts with a gap that says that updates were dropped."""
    with connect(folder, live=True) as lake:
        rows = lake.sql("select distinct con_id from live_gaps where reason in ('overload', 'not_recorded')").fetchall()
    return {row[0] for row in rows}


class Bench:
    """The three processes, and what was missed."""

    def __init__(self, settings: Settings, tws: Simulator, follower: subprocess.Popen[str]) -> None:
        self.settings, self.tws, self.follower = settings, tws, follower
        self.failed = False
        started = self.answer()
        self.recorder = int(started["pid"])
        print(f"Streams: {started['states']} {' '.join(started['problems'])}")

    def answer(self) -> dict[str, Any]:
        """The next line of the client."""
        assert self.follower.stdout is not None
        found: dict[str, Any] = json.loads(self.follower.stdout.readline())
        return found

    def ask(self) -> dict[str, Any]:
        """The client's lags since the last time."""
        assert self.follower.stdin is not None
        self.follower.stdin.write("\n")
        self.follower.stdin.flush()
        return self.answer()

    def line(self, what: str, value: str, demand: str, *, holds: bool) -> None:
        """Print one result."""
        self.failed |= not holds
        print(f"{'ok    ' if holds else 'MISSED'} {what:<34} {value:<30} {demand}")

    def load(self, rate: float, seconds: float) -> None:
        """Send so many messages a second for that time; then wait until the recorder has written what came."""
        folder, name = self.settings.data_dir, f"{rate:,.0f}/s for {seconds:.0f} s"
        since, before = newest(folder), Counter(self.tws.counters.load_messages)
        self.ask()
        cpu, began = cpu_seconds(self.recorder), time.monotonic()
        self.tws.set_message_rate(rate)
        memories = []
        while time.monotonic() - began < seconds:
            time.sleep(seconds / 50)
            memories.append(memory(self.recorder))
        elapsed, cpu = time.monotonic() - began, cpu_seconds(self.recorder) - cpu
        lags = self.ask()
        self.tws.set_message_rate(0)
        settle(folder)
        sent = Counter(self.tws.counters.load_messages)
        sent.subtract(before)
        self.judge(name, sent, since)
        share = cpu / elapsed
        burst = rate > 5_000
        achieved = sum(sent.values()) / elapsed
        self.line(
            f"{name}: CPU",
            f"{share:.0%} of a core, {achieved:,.0f}/s sent",
            f"< {CORE:.0%}",
            holds=burst or share < CORE,
        )
        quantiles = lags["lags"]
        said = ", ".join(
            f"{label} {quantiles[q] * 1000:.0f} ms" for label, q in (("p50", "0.5"), ("p99", "0.99"), ("max", "1.0"))
        )
        holds = burst or (quantiles["0.99"] < LAG and not lags["lost"])
        self.line(f"{name}: callback lag", f"{said}, {lags['lost']} lost", f"p99 < {LAG * 1000:.0f} ms", holds=holds)
        third = len(memories) // 3
        first, last = max(memories[third : 2 * third]), max(memories[2 * third :])
        text, demand = f"{first:.0f} MB, at the end {last:.0f} MB", f"< {GROWTH:.2f} x, over an hour"
        self.line(f"{name}: memory", text, demand, holds=last < GROWTH * first or seconds < LONG)

    def judge(self, name: str, sent: Counter[int], since: int) -> None:
        """Stored equals sent, or a gap says that it does not."""
        found = stored(self.settings.data_dir, since)
        total, rows = sum(sent.values()), sum(count for count, _ in found.values())
        lacking = {con_id for con_id, count in sent.items() if found.get(con_id, (0, 0)) != (count, count)}
        told = overloaded(self.settings.data_dir)
        text = f"{rows:,} of {total:,}" + (f", gaps of {len(told)} streams" if told else "")
        self.line(f"{name}: stored", text, "all, or a gap says that not", holds=lacking <= told)


def settle(folder: Path) -> None:
    """Wait until nothing more is written."""
    last = -1
    while (now := newest(folder)) != last:
        last = now
        time.sleep(2.0)


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--burst-seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5_000.0)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        client()
        return 0
    xnys = calendar()
    session = xnys.previous(xnys.current(datetime.now(UTC)))
    now = xnys.opens_at(session) + timedelta(hours=1)
    with tempfile.TemporaryDirectory() as folder, Simulator(GeneratedMarket(seed=42), now=now, limits=False) as tws:
        many = {"live_lines": OPTIONS + 2, "market_data_lines": 200, "enforce_pacing": False, "quote_quiet_time": 0.1}
        pinned = Settings(data_dir=Path(folder) / "lake", ib_port=tws.port, now=now, **many)  # type: ignore[arg-type]
        fill(pinned)
        settings = pinned.model_copy(update={"now": None})  # lags need a clock that runs
        follower = subprocess.Popen(
            [sys.executable, __file__, "--client"],
            env=settings.child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        bench = Bench(settings, tws, follower)
        try:
            settle(settings.data_dir)
            bench.load(asked.rate, asked.seconds)
            bench.load(5 * asked.rate, asked.burst_seconds)
            if asked.hour:
                bench.load(HOUR_RATE, 3_600 * asked.rate / HOUR_RATE)
        finally:
            follower.communicate(timeout=60)
            os.kill(bench.recorder, signal.SIGTERM)
            while Path(f"/proc/{bench.recorder}").exists():
                time.sleep(0.1)
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
