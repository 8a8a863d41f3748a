"""False alarms of each rule over all recorded data: what it examined, what it accused, and what of that was right.

Right is what the recorded market's own notes say (splits, missing days, the weekly snapshots of 2013, the holiday copy
is another lake and not here). Run: `python -m benchmarks.false_alarms [FOLDER]`; the table is in `docs/validation.md`.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Dataset
from trading_assets.settings import Settings
from trading_assets.validation import RULES, validate
from trading_assets_tests.validation.recorded_lake import RecordedLake

RIGHT = {"split_suspicion": 10, "chain_each_session": 38, "spike": 9, "listing_diff_explained": 1}
"""Accusations that are right: 10 splits of the unadjusted bars (9 are spikes as well), 2 SPX sessions and 36 weekday
sessions of the weekly chains without a snapshot, two strikes of IBM that left the listing."""

UNKNOWABLE = {
    "contract_present",
    "one_contract_a_symbol",
    "known_exchange_and_currency",
    "contract_verified",
    "chain_current",
} | {
    "prerequisites_held",
    "complete_to_last_day",
    "quoted_in_session",
    "quotes_taken_together",
}
"""Rules about the platform's own collection (contracts, coverage, instants), which recorded files do not have."""


def main() -> None:
    """Fill one lake a source, run the rules, print the table."""
    recorded = RecordedLake(Path(sys.argv[1]) if len(sys.argv) > 1 else Settings().recorded_market)
    options = recorded.option_daily()
    lakes: list[tuple[str, list[tuple[Dataset, pa.Table]]]] = [
        ("option_chains", [(OPTION_CHAINS, recorded.chains("option_chain_quotes_spx_2019"))]),
        ("option_chains", [(OPTION_CHAINS, recorded.chains("option_chain_quotes_tech_2013"))]),
        (
            "equity_bars",
            [
                (EQUITY_BARS, recorded.equity_daily()),
                (EQUITY_BARS, recorded.equity_intraday("equity_bars_hour", "1 hour")),
                (EQUITY_BARS, recorded.equity_intraday("equity_bars_minute", "1 min")),
            ],
        ),
        (
            "option_bars",
            [
                (EQUITY_BARS, recorded.equity_daily(["AAPL", "GOOG"])),
                (OPTION_CHAINS, recorded.listed(options)),
                (OPTION_BARS, options),
                (OPTION_BARS, recorded.option_intraday("option_bars_hour", "1 hour")),
                (OPTION_BARS, recorded.option_intraday("option_bars_minute", "1 min")),
            ],
        ),
    ]
    examined: dict[str, int] = {}
    accused: dict[str, int] = {}
    rules = [rule for rule in RULES if rule.name not in UNKNOWABLE]
    for dataset, tables in lakes:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                data_dir=RecordedLake.fill(Path(folder), *tables), now=datetime.fromisoformat("2021-12-31T22:00+00:00")
            )
            for result in validate(
                settings, rules=[rule for rule in rules if rule.dataset == dataset], record=False
            ).results:
                examined[result.rule.name] = examined.get(result.rule.name, 0) + result.examined
                accused[result.rule.name] = accused.get(result.rule.name, 0) + result.failed
    print("| rule | examined | accused | right | false alarms |\n| --- | ---: | ---: | ---: | ---: |")
    for name, count in examined.items():
        right = min(RIGHT.get(name, 0), accused[name])
        print(f"| `{name}` | {count:,} | {accused[name]:,} | {right:,} | {accused[name] - right:,} |")


if __name__ == "__main__":
    main()
