"""Rules of `contracts`: every active symbol is resolved, once, to an instrument we know how to ask for, and lately."""

from __future__ import annotations

from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

EXCHANGES = ("SMART", "CBOE", "NASDAQ", "RUSSELL", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "ISLAND", "PSE", "CME")
"""Exchanges that US stocks, ETFs and indices are routed to (`universe.INDEX_EXCHANGES`; the broker's listing exchanges of US stocks)."""

_EXCHANGES = ", ".join(f"'{name}'" for name in EXCHANGES)

RULES = (
    named("contract_named", "contracts"),
    Rule(
        "contract_present",
        "contracts",
        Severity.ERROR,
        why="Without contract details nothing else of the symbol can be asked for.",
        remedy="Run trading-assets setup SYMBOL, or remove the symbol from the universe.",
        rows="""select a.symbol, p.current_session as session, count(c.con_id) as contracts
                from active_symbols a cross join present p left join all_contracts c on c.symbol = a.symbol group by all""",
        holds="contracts > 0",
        shows=("contracts",),
        of_now=True,
    ),
    Rule(
        "one_contract_a_symbol",
        "contracts",
        Severity.ERROR,
        why="Two contracts under one symbol mix two instruments.",
        remedy="Find the wrong row by its request_id, remove it, and collect contracts again.",
        rows="select symbol, session, count(*) as contracts, list(con_id order by con_id)[:5] as con_ids from contracts group by symbol, session",
        holds="contracts = 1",
        shows=("contracts", "con_ids"),
        blocks=True,
    ),
    Rule(
        "known_exchange_and_currency",
        "contracts",
        Severity.ERROR,
        why="A contract of another exchange or currency is another instrument: its chain and bars would be of that one.",
        remedy="Add the symbol again with --sec-type and --exchange, then collect contracts again.",
        holds=f"con_id > 0 and exchange in ({_EXCHANGES}) and currency = 'USD'",
        shows=("con_id", "sec_type", "exchange", "currency"),
        blocks=True,
    ),
    Rule(
        "contract_verified",
        "contracts",
        Severity.WARN,
        why="Contract details change (renamings, delistings); details that nobody confirmed for a week may be of the past.",
        remedy="Run trading-assets update SYMBOL: it asks for the contract again.",
        rows="""select c.symbol, p.current_session as session, max(c.verified_at) as verified_at, any_value(p.now) as now,
                       any_value(p.contract_verify_days) as days
                from all_contracts c join active_symbols using (symbol) cross join present p group by c.symbol, p.current_session""",
        holds="verified_at >= now - to_days(days)",
        shows=("verified_at",),
        of_now=True,
    ),
)
