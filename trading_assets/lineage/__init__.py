"""Lineage: where each value of the lake comes from, and what depends on it.

    row of the lake --request_id--> journal: request, outcome --run_id--> Dagster: run
         |                                                                    |
         +--dataset, session--> partition --materializations--> run, code version, data versions

Nothing is recorded here. All answers are read from the rows themselves, the journal (`broker.journal`), and Dagster's
asset graph and event log. `tracker` opens these three, `query` asks across them, `visualizer` draws and sums up.
"""

from trading_assets.lineage.query import LineageQueryEngine
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.lineage.visualizer import LineageVisualizer

__all__ = ["LineageQueryEngine", "LineageTracker", "LineageVisualizer"]
