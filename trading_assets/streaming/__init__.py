"""Live market data: streams of quotes and five-second bars, recorded with what was not seen and why.

    from trading_assets.streaming import LiveDataManager

The name is imported when it is first used: the recorder needs nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.streaming.manager import LiveDataManager

__all__ = ["LiveDataManager"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("trading_assets.streaming.manager"), name)
