"""The sensor that puts symbols of a component's attributes into the universe.

What is declared is added once: a symbol that was removed from the universe by hand stays removed.
"""

from collections.abc import Sequence

import dagster as dg

from trading_assets.automation.sensors import LOOK_SECONDS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.universe import Universe


def declared_symbols_sensor(symbols: Sequence[str]) -> dg.SensorDefinition:
    """A sensor that adds the symbols that the universe has never had; `new_symbols` then sets them up."""

    @dg.sensor(
        name="declared_symbols",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Adds the symbols of defs.yaml to the universe: {', '.join(symbols)}. One that was removed by hand stays"
            " removed."
        ),
    )
    def declared_symbols(archive: ArchiveResource) -> dg.SkipReason:
        settings = archive.settings()
        universe = Universe(settings.state_url)
        known = {entry.symbol for entry in universe.entries(active_only=False)}
        new = [symbol for symbol in symbols if symbol not in known]
        if not new:
            return dg.SkipReason("The universe knows every symbol of defs.yaml.")
        universe.add(new, now=settings.clock())
        return dg.SkipReason(f"Added to the universe: {', '.join(new)}. The sensor new_symbols sets them up.")

    return declared_symbols
