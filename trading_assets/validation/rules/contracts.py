"""Rules of `contracts`: every active symbol is resolved, once, to an instrument we know how to ask for, and lately."""

from __future__ import annotations

from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

EXCHANGES = (
    *(
        "SMART",
        "CBOE",
        "NASDAQ",
        "RUSSELL",
        "NYSE",
        "ARCA",
        "AMEX",
        "BATS",
        "IEX",
        "ISLAND",
        "PSE",
        "CME",
        "PHLX",
        "ISE",
        "CHX",
        "NYSENAT",
    ),
    *("LTSE", "BYX", "BEX", "PSX", "EDGEA", "DRCTEDGE", "MEMX", "PEARL", "IBKRATS", "OVERNIGHT", "TPLUS0", "NYSEFLOOR"),
)
"""Routes of US stocks, ETFs and indices: SMART, the exchanges of indices (`universe.INDEX_EXCHANGES`), and the venues
the broker names as valid exchanges of US stocks."""

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
                from active_symbols a cross join present p left join all_contracts c on c.symbol = a.symbol
                group by all""",
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
        rows=(
            "select symbol, session, count(*) as contracts, list(con_id order by con_id)[:5] as con_ids from contracts"
            " group by symbol, session"
        ),
        holds="contracts = 1",
        shows=("contracts", "con_ids"),
        blocks=True,
        mended=(
            "The platform writes one row a symbol and session; a second one is in a file that something else wrote, and"
            " goes with it."
        ),
    ),
    Rule(
        "known_exchange_and_currency",
        "contracts",
        Severity.ERROR,
        why=(
            "A contract of another exchange or currency is another instrument: its chain and bars would be of that one."
        ),
        remedy=(
            "Run trading-assets universe add SYMBOL --exchange SMART (of an index its own exchange), then"
            " trading-assets update SYMBOL."
        ),
        holds=f"con_id > 0 and exchange in ({_EXCHANGES}) and currency = 'USD'",
        shows=("con_id", "sec_type", "exchange", "currency"),
        blocks=True,
        mended=(
            "The route is the one the universe names, other currencies are never taken: said anew, the next update asks"
            " and stores it anew."
        ),
    ),
    Rule(
        "contract_verified",
        "contracts",
        Severity.WARN,
        why=(
            "Contract details change (renamings, delistings); details that nobody confirmed for a week may be of the"
            " past."
        ),
        remedy="Run trading-assets update SYMBOL: it asks for the contract again.",
        rows="""select c.symbol, p.current_session as session, max(c.verified_at) as verified_at,
                       any_value(p.now) as now,
                       any_value(p.contract_verify_days) as days
                from all_contracts c join active_symbols using (symbol) cross join present p
                group by c.symbol, p.current_session""",
        holds="verified_at >= now - to_days(days)",
        shows=("verified_at",),
        of_now=True,
    ),
)
