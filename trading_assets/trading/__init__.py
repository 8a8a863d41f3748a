"""Positions: what the accounts hold, what it is worth, how it moves and what changed. Nothing here sends an order."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.trading.manager import PositionManager
    from trading_assets.trading.positions import Position
    from trading_assets.trading.valuing import PositionGreeks

_MODULES = {"Position": "positions", "PositionGreeks": "valuing", "PositionManager": "manager"}

__all__ = ["Position", "PositionGreeks", "PositionManager"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
