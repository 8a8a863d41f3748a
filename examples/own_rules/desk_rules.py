"""Validation rules of our desk: each is a row's condition in SQL, with its severity, why it matters and what to do."""

from trading_assets import Rule, Severity

RULES = (
    Rule(
        name="desk_spread_is_tradable",
        dataset="option_chains",
        severity=Severity.WARN,
        why="We do not price from quotes whose spread is wider than half of their mid price.",
        remedy="Leave the contract out of the study, or narrow the selection.",
        rows="select * from option_chains where selected and bid > 0 and ask > 0",
        holds="ask - bid <= 0.5 * (ask + bid) / 2",
        shows=("local_symbol", "bid", "ask"),
    ),
    Rule(
        name="desk_price_limit",
        dataset="equity_bars",
        severity=Severity.ERROR,
        why="We keep no symbol above 1,000,000 dollars a share; such a close is a mistake of units.",
        remedy="Look at the bar, then run `trading-assets update SYMBOL --refresh`.",
        holds="close < 1000000",
        shows=("bar_size", "close"),
    ),
)
