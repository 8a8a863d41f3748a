"""Every rule of the platform, one module a dataset."""

from trading_assets.validation.rule import Rule
from trading_assets.validation.rules import contracts, equity_bars, option_bars, option_chains, option_greeks

RULES: tuple[Rule, ...] = (
    *contracts.RULES,
    *option_chains.RULES,
    *equity_bars.RULES,
    *option_bars.RULES,
    *option_greeks.RULES,
)
"""All rules, in dependency order of their datasets; names are unique."""

__all__ = ["RULES"]
