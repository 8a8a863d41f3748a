"""Corporate actions on the generated market: splits, reverse splits, stock dividends, spin-offs, special dividends,
renames, mergers and delistings.

`actions` holds what an action is and how the broker restates history for it, `market` the generated market to which a
list of them has happened, `options` the same with its options adjusted, `mergers` also with those of stocks that are
taken over.
"""

from trading_assets.simulator.corporate_actions.actions import ActionKind, ActionsError, CorporateAction, read_actions
from trading_assets.simulator.corporate_actions.market import MarketWithActions
from trading_assets.simulator.corporate_actions.mergers import MarketWithMergers
from trading_assets.simulator.corporate_actions.options import MarketWithAdjustedOptions

__all__ = [
    "ActionKind",
    "ActionsError",
    "CorporateAction",
    "MarketWithActions",
    "MarketWithAdjustedOptions",
    "MarketWithMergers",
    "read_actions",
]
