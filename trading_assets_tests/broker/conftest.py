"""Fixtures of the broker's tests: simulators of the tiny market, and brokers that wait less than real ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.broker.library import LIBRARY
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    OptionParametersRequest,
    QuoteRequest,
    Request,
)
from trading_assets.instrument import Instrument
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.broker.collecting import QUICK
from trading_assets_tests.simulator.tiny_market import NOW, OPTIONS, TinyMarket

SESSION = date(2024, 6, 3)
FIRST = date(2024, 5, 20)
STOCK = Instrument("AAA", con_id=1)


def option(index: int) -> Instrument:
    """One of the tiny market's options."""
    o = OPTIONS[index]
    return Instrument(
        "AAA",
        "OPT",
        con_id=o.con_id,
        last_trade=o.last_trade,
        strike=o.strike,
        right=o.right,
        multiplier="100",
        trading_class="AAA",
    )


def option_bars(index: int, bar_size: str = "8 hours") -> BarsRequest:
    """The bars of one of the options."""
    return BarsRequest(option(index), SESSION, bar_size=bar_size, first_session=FIRST, end=NOW, duration="10 D")


DETAILS = ContractDetailsRequest(Instrument("AAA"), SESSION)
PARAMETERS = OptionParametersRequest(STOCK, SESSION)
LISTING = OptionListingRequest(Instrument("AAA", "OPT", last_trade="20240621"), SESSION)
STOCK_BARS = BarsRequest(STOCK, SESSION, bar_size="1 day", first_session=FIRST, end=NOW, duration="10 D")
STOCK_QUOTE = QuoteRequest(STOCK, SESSION)
OPTION_QUOTE = QuoteRequest(option(6), SESSION, generic_ticks="100,101,106")
LIVE_OPTIONS = range(6, 18)
"""Indices of the options that are not expired at `NOW`."""

ONE_OF_EACH: list[Request] = [
    DETAILS,
    PARAMETERS,
    LISTING,
    STOCK_BARS,
    *(option_bars(i) for i in LIVE_OPTIONS),
    STOCK_QUOTE,
    OPTION_QUOTE,
]


LIBRARY_LOGGERS = (f"{LIBRARY}.client", f"{LIBRARY}.Decoder", f"{LIBRARY}.wrapper", f"{LIBRARY}.ib")
"""Loggers of the library: an error logged there is a message that it could not read."""


def wall_clock() -> datetime:
    """The present instant, UTC."""
    return datetime.now(UTC)


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Starts simulators of the tiny market; at the end none of them may have failed by itself."""
    with ExitStack() as stack:
        running: list[Simulator] = []

        def start(**settings: Any) -> Simulator:
            simulator = Simulator(TinyMarket(), **{"now": NOW, **settings})
            running.append(stack.enter_context(simulator))
            return simulator

        yield start
        failures = [failure for simulator in running for failure in simulator.counters.internal_errors]
    assert not failures


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Settings for a simulator, with short timeouts."""

    def make(simulator: Simulator, **changes: Any) -> Settings:
        values = {
            "data_dir": tmp_path / "lake",
            "ib_port": simulator.port,
            "now": NOW,
            "history_timeout": 3.0,
            "contract_timeout": 3.0,
            "quote_timeout": 2.0,
            "reconnect_timeout": 10.0,
            "connect_timeout": 3.0,
        }
        return Settings(**{**values, **changes})

    return make


@pytest.fixture
def journal_for() -> Iterator[Callable[[Settings], Journal]]:
    """Journals, closed at the end."""
    with ExitStack() as stack:

        def make(settings: Settings) -> Journal:
            journal = Journal(settings.state_url)
            stack.callback(journal.close)
            return journal

        yield make


@pytest.fixture
def broker_for(journal_for: Callable[[Settings], Journal]) -> Iterator[Callable[..., Broker]]:
    """Brokers with short waits, closed at the end."""
    with ExitStack() as stack:

        def make(settings: Settings, journal: Journal | None = None, **arguments: Any) -> Broker:
            return stack.enter_context(
                Broker(settings, journal or journal_for(settings), **{"waits": QUICK, **arguments})
            )

        yield make


@pytest.fixture(autouse=True)
def no_library_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The client library may not log an error in any test: it would be a message that it could not read."""
    yield
    errors = [
        r.getMessage() for r in caplog.get_records("call") if r.name in LIBRARY_LOGGERS and r.levelno >= logging.ERROR
    ]
    assert not errors
