"""What a person reads and is notified of: quality, coverage, status, alerts and pictures of the data.

The guide's names are imported when they are first used: `status` needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.monitoring.quality import DataQualityMonitor, QualityReport, log_quality_metrics, send_alert

__all__ = ["DataQualityMonitor", "QualityReport", "log_quality_metrics", "send_alert"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("trading_assets.monitoring.quality"), name)
