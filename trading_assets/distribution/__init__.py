"""Heavy work as many runs: which parts it has, what each of them runs, and the record of it in the state database.

Greeks over history, validation and backfills are split by groups of symbols and periods of sessions; each part is an
ordinary run of one of the platform's jobs, which any worker may take from the queue. Here: the parts (`parts`), how a
distribution is made (`plan`) and kept (`records`), the run of a part (`part_runs`). What does not belong here: asking
Dagster for the runs and what became of them (`automation.distribution`, `automation.part_states`).
"""

from trading_assets.distribution.part_runs import DISTRIBUTION_TAG, GATEWAY_TAG, WORK_TAG, part_key, part_run
from trading_assets.distribution.parts import Part, Work, symbol_groups
from trading_assets.distribution.plan import SESSIONS_PER_PART, SYMBOLS_PER_PART, part_options, plan_distribution
from trading_assets.distribution.records import Distribution, Distributions

__all__ = [
    "DISTRIBUTION_TAG",
    "GATEWAY_TAG",
    "SESSIONS_PER_PART",
    "SYMBOLS_PER_PART",
    "WORK_TAG",
    "Distribution",
    "Distributions",
    "Part",
    "Work",
    "part_key",
    "part_options",
    "part_run",
    "plan_distribution",
    "symbol_groups",
]
