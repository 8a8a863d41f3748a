"""The recorded market, loaded once, and desks that work with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.scenarios.desk import Desk, at
from trading_assets_tests.scenarios.sources import Sources

OpenDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def market(recorded_market: Path) -> RecordedMarket:
    """The recorded market; its files are read once for all scenarios."""
    return RecordedMarket(recorded_market)


@pytest.fixture(scope="session")
def sources(recorded_market: Path) -> Sources:
    """The same files, read without any code of the platform."""
    return Sources(recorded_market)


@pytest.fixture(scope="module")
def open_desk(market: RecordedMarket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDesk]:
    """Opens a desk at an instant on an empty folder (or on `folder`); its simulator ends with the module.

    `pacing` makes the simulator enforce the broker's limits and the platform keep within them.
    """
    with ExitStack() as stack:

        def opened(
            now: str,
            *,
            options: Mapping[str, Mapping[str, Any]] | None = None,
            folder: Path | None = None,
            pacing: bool = False,
        ) -> Desk:
            simulator = stack.enter_context(Simulator(market, now=at(now), limits=pacing))
            return Desk(folder or tmp_path_factory.mktemp("lake"), simulator, options, {"enforce_pacing": pacing})

        yield opened
