"""The lake: dataset schemas, the Parquet store, repositories, the DuckDB catalog and coverage.

The names are imported when they are first used: a query needs neither pandas nor the repositories.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.errors import IdentityMismatch, InvalidFrame, LakeBusy, LayoutMismatch, NotOneSelect
    from trading_assets.repositories.contracts import ContractRepository
    from trading_assets.repositories.coverage import CoverageRepository
    from trading_assets.repositories.equity_bars import EquityBarRepository
    from trading_assets.repositories.frame_checks import to_arrow
    from trading_assets.repositories.identity import LakeIdentity
    from trading_assets.repositories.option_bars import OptionBarRepository
    from trading_assets.repositories.option_chains import ChainSnapshot, OptionChainSnapshotRepository, choose_snapshot
    from trading_assets.repositories.option_greeks import OptionGreeksRepository
    from trading_assets.repositories.public import connect, cursor, query, write_catalog
    from trading_assets.repositories.store import ParquetStore, UpsertCounts

_MODULES = {
    "ChainSnapshot": "option_chains",
    "ContractRepository": "contracts",
    "CoverageRepository": "coverage",
    "EquityBarRepository": "equity_bars",
    "IdentityMismatch": "trading_assets.errors",
    "InvalidFrame": "trading_assets.errors",
    "LakeBusy": "trading_assets.errors",
    "LakeIdentity": "identity",
    "LayoutMismatch": "trading_assets.errors",
    "NotOneSelect": "trading_assets.errors",
    "OptionBarRepository": "option_bars",
    "OptionChainSnapshotRepository": "option_chains",
    "OptionGreeksRepository": "option_greeks",
    "ParquetStore": "store",
    "UpsertCounts": "store",
    "choose_snapshot": "option_chains",
    "connect": "public",
    "cursor": "public",
    "query": "public",
    "to_arrow": "frame_checks",
    "write_catalog": "public",
}

__all__ = [
    "ChainSnapshot",
    "ContractRepository",
    "CoverageRepository",
    "EquityBarRepository",
    "IdentityMismatch",
    "InvalidFrame",
    "LakeBusy",
    "LakeIdentity",
    "LayoutMismatch",
    "NotOneSelect",
    "OptionBarRepository",
    "OptionChainSnapshotRepository",
    "OptionGreeksRepository",
    "ParquetStore",
    "UpsertCounts",
    "choose_snapshot",
    "connect",
    "cursor",
    "query",
    "to_arrow",
    "write_catalog",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES[name]
    return getattr(import_module(module if "." in module else f"{__name__}.{module}"), name)
