"""Whether a contract or an underlying fits the words of a question."""

from __future__ import annotations

from trading_assets.simulator.generated.instruments import Underlying
from trading_assets.simulator.market import ContractQuery, ListedContract


def fits(contract: ListedContract, query: ContractQuery) -> bool:
    """Whether a contract fits the words of a query, unset ones and the exchange SMART match all."""
    return (
        query.symbol in ("", contract.symbol)
        and query.sec_type in ("", contract.sec_type)
        and (query.right[:1] in ("", contract.right) or query.right in ("0", "?"))
        and (not query.strike or abs(query.strike - contract.strike) < 1e-6)
        and (
            not query.last_trade
            or query.last_trade == contract.last_trade
            or query.last_trade == f"{contract.expiry:%Y%m}"
        )
        and query.multiplier in ("", contract.multiplier)
        and query.local_symbol in ("", contract.local_symbol)
        and query.trading_class in ("", contract.trading_class)
        and (
            query.exchange in ("", "SMART", contract.exchange, contract.primary_exchange)
            or query.exchange in contract.valid_exchanges.split(",")
        )
        and query.primary_exchange in ("", contract.primary_exchange, contract.exchange)
    )


def named(found: Underlying, wanted: str) -> bool:
    """Whether the name of an underlying begins with words in capitals."""
    return found.contract.long_name.upper().startswith(wanted)
