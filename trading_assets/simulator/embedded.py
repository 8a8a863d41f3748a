"""A simulator inside the platform's own process, for users without a TWS: same wire, same client, one port of its
own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.simulator.market import Market


def open_market(name: str, seed: int = 42, symbols: Iterable[str] = ()) -> Market:
    """The market of a name: `generated`, or a folder of recorded data. Raises `FileNotFoundError` for a missing
    folder.

    `symbols` are those whose contract ids an archive may hold already: the generated market cannot tell the symbol from
    the id.
    """
    if name == "generated":
        from trading_assets.simulator.generated import GeneratedMarket

        market = GeneratedMarket(seed=seed)
        market.know(symbols)
        return market
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"The market {name!r} is neither `generated` nor a folder of recorded market data.")
    from trading_assets.simulator.recorded import RecordedMarket

    return RecordedMarket(folder)


class EmbeddedSimulator:
    """A simulator of the settings' market at the settings' clock, on a free port of this machine.

    With `running` a pinned clock runs from there at its usual speed: streams need one that moves. `symbols` are those
    whose contracts the archive knows.
    """

    def __init__(self, settings: Settings, *, running: bool = False, symbols: Iterable[str] = ()) -> None:
        from trading_assets.simulator import Simulator

        speed = 1.0 if running and settings.now is not None else None
        market = open_market(settings.market, settings.market_seed, symbols)
        self._simulator = Simulator(market, now=settings.now, speed=speed)

    @property
    def clock(self) -> Clock:
        """The present instant of its market, UTC."""
        return self._simulator.clock.now

    def start(self) -> int:
        """Serve; returns the port."""
        self._simulator.start()
        return int(self._simulator.port)

    def stop(self) -> None:
        """End the server and its thread."""
        self._simulator.stop()
