"""A TWS that speaks the real wire protocol: server, limits, faults, markets.

`Simulator` is the handle; markets are in `generated` and `recorded`, the seam between both in `market`. See
`docs/simulator.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading_assets.simulator.calls import SimulatedAccount, SimulatedPosition
    from trading_assets.simulator.faults import Faults, FaultScriptError
    from trading_assets.simulator.limits import Limits
    from trading_assets.simulator.simulator import Simulator, serve

_HOMES = {
    "Simulator": "simulator",
    "serve": "simulator",
    "Faults": "faults",
    "FaultScriptError": "faults",
    "Limits": "limits",
    "SimulatedAccount": "calls",
    "SimulatedPosition": "calls",
}

__all__ = ["FaultScriptError", "Faults", "Limits", "SimulatedAccount", "SimulatedPosition", "Simulator", "serve"]


def __getattr__(name: str) -> Any:
    """Import lazily: a market alone needs no server."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
