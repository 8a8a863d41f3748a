"""Your own archive of US equity and option data, collected from Interactive Brokers as Dagster assets.

    import trading_assets as ta

    ta.connect("data").sql("select session, close from equity_bars where symbol = 'AAPL'").df()
    ta.EquityBarRepository("data/equity_bars").load_symbol_data("AAPL")
    ta.DataPipelineOrchestrator().daily_update()

The names of `__all__` are imported when they are first used: reading needs no Dagster. Errors are in
`trading_assets.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets import errors
    from trading_assets.assets.partitions import session_partitions
    from trading_assets.broker.breaker_store import breaker_store
    from trading_assets.client import connect_broker
    from trading_assets.component import Archive
    from trading_assets.definitions import build_defs
    from trading_assets.jobs import DataPipelineOrchestrator, DataValidation
    from trading_assets.monitoring.quality import DataQualityMonitor
    from trading_assets.repositories import (
        ContractRepository,
        CoverageRepository,
        EquityBarRepository,
        OptionBarRepository,
        OptionChainSnapshotRepository,
        OptionGreeksRepository,
        connect,
        query,
    )
    from trading_assets.repositories.export import export
    from trading_assets.repositories.lake import Lake
    from trading_assets.resources.archive import ArchiveResource
    from trading_assets.resources.io_manager import ParquetIOManager
    from trading_assets.settings import Settings
    from trading_assets.streaming import LiveDataManager
    from trading_assets.trading import PositionManager
    from trading_assets.universe import Universe
    from trading_assets.validation import Rule, Severity, validate

__version__ = "0.1.0"

_MODULES = {
    "Archive": "component",
    "ArchiveResource": "resources.archive",
    "ContractRepository": "repositories",
    "CoverageRepository": "repositories",
    "DataPipelineOrchestrator": "jobs",
    "DataQualityMonitor": "monitoring.quality",
    "DataValidation": "jobs",
    "EquityBarRepository": "repositories",
    "Lake": "repositories.lake",
    "LiveDataManager": "streaming",
    "OptionBarRepository": "repositories",
    "OptionChainSnapshotRepository": "repositories",
    "OptionGreeksRepository": "repositories",
    "ParquetIOManager": "resources.io_manager",
    "PositionManager": "trading",
    "Rule": "validation",
    "Settings": "settings",
    "Severity": "validation",
    "Universe": "universe",
    "breaker_store": "broker.breaker_store",
    "build_defs": "definitions",
    "connect": "repositories",
    "export": "repositories.export",
    "connect_broker": "client",
    "query": "repositories",
    "session_partitions": "assets.partitions",
    "validate": "validation",
}

__all__ = [
    "Archive",
    "ArchiveResource",
    "ContractRepository",
    "CoverageRepository",
    "DataPipelineOrchestrator",
    "DataQualityMonitor",
    "DataValidation",
    "EquityBarRepository",
    "Lake",
    "LiveDataManager",
    "OptionBarRepository",
    "OptionChainSnapshotRepository",
    "OptionGreeksRepository",
    "ParquetIOManager",
    "PositionManager",
    "Rule",
    "Settings",
    "Severity",
    "Universe",
    "breaker_store",
    "build_defs",
    "connect",
    "connect_broker",
    "errors",
    "export",
    "query",
    "session_partitions",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("trading_assets.errors")
    if name not in _MODULES:
        raise AttributeError(f"module 'trading_assets' has no attribute {name!r}; it offers {', '.join(__all__)}.")
    return getattr(import_module(f"trading_assets.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
