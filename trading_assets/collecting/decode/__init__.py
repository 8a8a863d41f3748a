"""Decoding: answers of the broker as rows of the lake. Pure: results and tables in, tables out.

The same code decodes an answer just received and one found in the journal weeks later. Here belongs what an answer
means; what to ask belongs to `planning`, when and in which order to `collecting`, how rows are stored to
`repositories`.

Instants. `collected_at` of a row is the instant at which its answer came (`Result.finished_at`). In a replay that is
the pinned one: the examination of the answers (`collecting.quarantine`) sees to it, for the journal runs on the
machine's clock.
"""

# ruff: noqa: F401 (the steps have these names from here)
from trading_assets.collecting.decode.bars import AGGREGATED_BAR_SIZE, aggregate_sessions, bar_rows
from trading_assets.collecting.decode.chains import (
    PARTIAL,
    carry_listing,
    lacking_sentence,
    lacks,
    listing_rows,
    option_parameters,
    with_dividends,
    with_offered_class,
    with_quotes,
    with_selection,
    without_worse,
)
from trading_assets.collecting.decode.contracts import carry_contracts, contract_rows, spot_price
from trading_assets.collecting.decode.coverage_rows import bar_coverage, lost_coverage
from trading_assets.collecting.decode.restated import Restatement, restated
from trading_assets.collecting.decode.retries import Refusal, Retries
from trading_assets.collecting.decode.snapshot_coverage import snapshot_coverage
