"""The lake: dataset schemas, the Parquet store, repositories, the DuckDB catalog and coverage."""

from trading_assets.repositories.catalog import connect, cursor, query, write_catalog
from trading_assets.repositories.contracts import ContractRepository
from trading_assets.repositories.coverage import CoverageRepository, SettledSessions
from trading_assets.repositories.equity_bars import EquityBarRepository
from trading_assets.repositories.files import LakeBusy
from trading_assets.repositories.identity import IdentityMismatch, LakeIdentity, LayoutMismatch
from trading_assets.repositories.option_bars import OptionBarRepository
from trading_assets.repositories.option_chains import ChainSnapshot, OptionChainSnapshotRepository, choose_snapshot
from trading_assets.repositories.store import ParquetStore, UpsertCounts
from trading_assets.repositories.validation import InvalidFrame, to_arrow

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
    "OptionBarRepository",
    "OptionChainSnapshotRepository",
    "ParquetStore",
    "SettledSessions",
    "UpsertCounts",
    "choose_snapshot",
    "connect",
    "cursor",
    "query",
    "to_arrow",
    "write_catalog",
]
