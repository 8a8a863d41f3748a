"""The property test of bad answers at length: 2,000 changed answers (or as many as the first argument says), seeds
beyond those of the suite.

Whatever one answer becomes, it harms no other symbol, is quarantined or stored as it is, and the next good answer makes
it good.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from trading_assets_tests.quarantine.examples import MUTATED, example
from trading_assets_tests.quarantine.replay import record

FIRST_SEED = 1_000
"""The suite has those below."""


def main() -> None:
    """Try them all; the first that does not hold is raised with its seed."""
    answers = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    seeds = range(FIRST_SEED, FIRST_SEED + -(-answers // MUTATED))
    with tempfile.TemporaryDirectory() as folder:
        recording = record(Path(folder))
        begin = time.perf_counter()
        quarantined = sum(example(recording, seed, Path(folder)) for seed in seeds)
    seconds = time.perf_counter() - begin
    print(
        f"{len(seeds) * MUTATED:,} changed answers: {quarantined:,} quarantined, no other symbol harmed, all good again"
        f" ({seconds:.0f} s)"
    )


if __name__ == "__main__":
    main()
