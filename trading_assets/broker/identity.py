"""Who is behind a connection: the broker identity that a lake is pinned to, from the account names."""

from __future__ import annotations

from trading_assets.errors import IdentityMismatch
from trading_assets.settings import BrokerKind, Settings

_SIMULATED = "SIM-"
_PAPER = ("DU", "DF")
"""Account prefixes of paper accounts: individual, and an advisor's."""


def identity_of(accounts: list[str], *, delayed: bool) -> str:
    """`simulated/<market>/<its identity>`, `paper` or `live`; with `/delayed` appended where delayed data is asked for.

    The simulator's account is `SIM-<MARKET>-<identity>`. A login with any real account is live.
    """
    simulated = next((account for account in accounts if account.startswith(_SIMULATED)), None)
    if simulated is not None:
        market, _, rest = simulated.removeprefix(_SIMULATED).partition("-")
        identity = f"simulated/{market.lower()}/{rest}"
    elif all(account.startswith(_PAPER) for account in accounts):
        identity = "paper"
    else:
        identity = "live"
    return f"{identity}/delayed" if delayed else identity


def check_settings(settings: Settings, identity: str, endpoint: str) -> None:
    """Raise `IdentityMismatch` when the settings say simulated and a real account answers at `endpoint`
    (`host:port`)."""
    if settings.broker is BrokerKind.SIMULATED and not identity.startswith("simulated/"):
        raise IdentityMismatch(
            f"The settings name the simulated broker, but a {identity} account answers at {endpoint}. Nothing was"
            " requested. Set TRADING_ASSETS_BROKER=tws to collect from it, or TRADING_ASSETS_IB_PORT to the"
            " simulator's port."
        )
