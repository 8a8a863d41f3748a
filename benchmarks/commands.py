"""Benchmark of whole commands: CPU seconds of `update` with nothing to ask and of `status`, beside those of `import
dagster`.

The demand is 3 CPU seconds for the update beyond the import and 1.2 for `status`; the ratio of each demand to what was
used is printed, above 1 is well. Run: `python -m benchmarks.commands` on an idle machine.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket

UPDATE_DEMANDED, STATUS_DEMANDED = 3.0, 1.2
RUNS = 5
NOW = "2024-06-03T16:30-04:00"
COMMAND = [sys.executable, "-m", "trading_assets.cli"]
SETUP = ["setup", "AAPL", "--lookback-days", "10", "--strikes", "2", "--max-days-to-expiry", "8"]


def cpu_seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """CPU seconds, user and system, of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(command: Sequence[str], environment: dict[str, str]) -> float:
    cpu_seconds(command, environment)  # writes the bytecode
    return statistics.median(cpu_seconds(command, environment) for _ in range(RUNS))


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulator(GeneratedMarket(seed=42), now=datetime.fromisoformat(NOW), limits=False) as tws,
    ):
        ours = {
            "TRADING_ASSETS_DATA_DIR": str(Path(folder) / "lake"),
            "TRADING_ASSETS_IB_PORT": str(tws.port),
            "TRADING_ASSETS_NOW": NOW,
        }
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")
        } | ours
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        cpu_seconds([*COMMAND, *SETUP], environment)
        dagster = median([sys.executable, "-c", "import dagster"], environment)
        tws.reset_counters()
        update = median([*COMMAND, "update"], environment) - dagster
        assert not tws.counters.log, "an update that has something to ask was measured"
        status = median([*COMMAND, "status"], environment)
    print(f"import dagster {dagster:.2f} CPU s (medians of {RUNS} processes)")
    print(
        f"update that asks nothing {update:.2f} CPU s beyond it, demanded {UPDATE_DEMANDED}; ratio"
        f" {UPDATE_DEMANDED / update:.2f}"
    )
    print(f"status {status:.2f} CPU s, demanded {STATUS_DEMANDED}; ratio {STATUS_DEMANDED / status:.2f}")
    return 0 if update <= UPDATE_DEMANDED and status <= STATUS_DEMANDED else 1


if __name__ == "__main__":
    sys.exit(main())
