"""A collecting process for tests with several of them: runs requests for option bars through a broker and tells what it got."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import BarsRequest, Instrument
from trading_assets.settings import Settings
from trading_assets_tests.broker.conftest import DETAILS, LIVE_OPTIONS, QUICK, SESSION, option
from trading_assets_tests.simulator.tiny_market import NOW

BAR_SIZES = ("8 hours", "4 hours", "3 hours", "2 hours", "1 hour", "30 mins", "20 mins", "15 mins")


def questions(count: int) -> list[BarsRequest]:
    """That many different requests, at most 96."""
    pairs = [(index, size) for size in BAR_SIZES for index in LIVE_OPTIONS]
    return [BarsRequest(option(index), SESSION, bar_size=size, first_session=SESSION, end=NOW, duration="1 D") for index, size in pairs[:count]]


def settings_of(data_dir: Path, port: int, **changes: Any) -> Settings:
    """Settings of a collecting process."""
    return Settings(**{"data_dir": data_dir, "ib_port": port, "now": NOW, "history_timeout": 20.0, "reconnect_timeout": 10.0, **changes})


def collect(data_dir: Path, port: int, first: int, last: int, start: Barrier, pipe: Connection) -> None:
    """Connect, wait for the others, then run questions `first` to `last`; sends `(payloads by key, sent, reused)` through the pipe."""
    journal = Journal(settings_of(data_dir, port).state_url)
    with Broker(settings_of(data_dir, port), journal, waits=QUICK) as broker:
        broker.run([replace(DETAILS, instrument=Instrument(f"NONE{first}"))], planned_at=datetime.now(UTC))
        sent, reused = broker.sent, broker.reused
        start.wait(60)
        results = broker.run(questions(last)[first:], planned_at=datetime.now(UTC))
        pipe.send(({r.request.key: r.payload for r in results}, broker.sent - sent, broker.reused - reused))
    journal.close()


def collect_until_killed(data_dir: Path, port: int, count: int, pipe: Connection) -> None:
    """Run questions and tell the number of results in the journal after each; somebody kills this process."""
    journal = Journal(settings_of(data_dir, port).state_url)
    with Broker(settings_of(data_dir, port), journal, waits=QUICK) as broker:
        broker.run(questions(count), planned_at=datetime.now(UTC), on_result=lambda result: pipe.send(result.request.key))


def open_journal(data_dir: Path, start: Barrier, pipe: Connection) -> None:
    """Create the state database together with other processes, and claim something."""
    start.wait(60)
    journal = Journal(f"sqlite:///{data_dir / 'state.db'}")
    claims = journal.claim(questions(5), datetime.now(UTC))
    pipe.send([claim.state.value for claim in claims])
    start.wait(60)
    journal.close()
