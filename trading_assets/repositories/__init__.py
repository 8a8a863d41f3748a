"""The lake: dataset schemas, the Parquet store, repositories, the DuckDB catalog and coverage.

The names are imported when they are first used: a query needs neither pandas nor the repositories.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.repositories.catalog import connect, cursor, query, write_catalog
    from trading_assets.repositories.contracts import ContractRepository
    from trading_assets.repositories.coverage import CoverageRepository
    from trading_assets.repositories.equity_bars import EquityBarRepository
    from trading_assets.repositories.files import LakeBusy
    from trading_assets.repositories.identity import IdentityMismatch, LakeIdentity, LayoutMismatch
    from trading_assets.repositories.option_bars import OptionBarRepository
    from trading_assets.repositories.option_chains import ChainSnapshot, OptionChainSnapshotRepository, choose_snapshot
    from trading_assets.repositories.select_only import NotOneSelect
    from trading_assets.repositories.store import ParquetStore, UpsertCounts
    from trading_assets.repositories.validation import InvalidFrame, to_arrow

_MODULES = {
    "ChainSnapshot": "option_chains",
    "ContractRepository": "contracts",
    "CoverageRepository": "coverage",
    "EquityBarRepository": "equity_bars",
    "IdentityMismatch": "identity",
    "InvalidFrame": "validation",
    "LakeBusy": "files",
    "LakeIdentity": "identity",
    "LayoutMismatch": "identity",
    "NotOneSelect": "select_only",
    "OptionBarRepository": "option_bars",
    "OptionChainSnapshotRepository": "option_chains",
    "ParquetStore": "store",
    "UpsertCounts": "store",
    "choose_snapshot": "option_chains",
    "connect": "catalog",
    "cursor": "catalog",
    "query": "catalog",
    "to_arrow": "validation",
    "write_catalog": "catalog",
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
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
