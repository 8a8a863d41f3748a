"""A collecting process for tests with several of them: runs requests for option bars through a broker and tells what it
got."""

from __future__ import annotations

from datetime import UTC, date, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import BarsRequest, ContractDetailsRequest
from trading_assets.broker.retries import Waits
from trading_assets.instrument import Instrument
from trading_assets.reliability import RetryConfig
from trading_assets.settings import Settings

SESSION = date(2024, 6, 3)
NOW = datetime(2024, 6, 3, 18, 0, tzinfo=UTC)
OPTIONS = [
    Instrument("AAA", "OPT", con_id=con_id, last_trade="20240621" if con_id < 112 else "20240719")
    for con_id in range(106, 118)
]
"""The tiny market's options that are not expired (said here again: importing the market takes a new process
seconds)."""

SOON = RetryConfig(wait_initial=0.05, wait_max=0.2)
QUICK = Waits(pacing=SOON, later=SOON, user=SOON)

BAR_SIZES = ("8 hours", "4 hours", "3 hours", "2 hours", "1 hour", "30 mins", "20 mins", "15 mins")


def questions(count: int) -> list[BarsRequest]:
    """That many different requests, at most 96."""
    pairs = [(option, size) for size in BAR_SIZES for option in OPTIONS]
    return [
        BarsRequest(option, SESSION, bar_size=size, first_session=SESSION, end=NOW, duration="1 D")
        for option, size in pairs[:count]
    ]


def settings_of(data_dir: Path, port: int, **changes: Any) -> Settings:
    """Settings of a collecting process."""
    return Settings(
        **{
            "data_dir": data_dir,
            "ib_port": port,
            "now": NOW,
            "history_timeout": 20.0,
            "reconnect_timeout": 10.0,
            **changes,
        }
    )


def collect(
    data_dir: Path, port: int, first: int, last: int, start: Barrier, database_url: str | None, pipe: Connection
) -> None:
    """Connect, wait for the others, then run questions `first` to `last`; sends `(payloads by key, sent, reused)`
    through the pipe."""
    settings = settings_of(data_dir, port, database_url=database_url)
    journal = Journal(settings.state_url)
    with Broker(settings, journal, waits=QUICK) as broker:
        broker.run([ContractDetailsRequest(Instrument(f"NONE{first}"), SESSION)], planned_at=datetime.now(UTC))
        sent, reused = broker.sent, broker.reused
        start.wait(300)
        results = broker.run(questions(last)[first:], planned_at=datetime.now(UTC))
        pipe.send(({r.request.key: r.payload for r in results}, broker.sent - sent, broker.reused - reused))
    journal.close()


def collect_until_killed(data_dir: Path, port: int, count: int, pipe: Connection) -> None:
    """Run questions and tell the number of results in the journal after each; somebody kills this process."""
    journal = Journal(settings_of(data_dir, port).state_url)
    with Broker(settings_of(data_dir, port), journal, waits=QUICK, progress=lambda done, *_: pipe.send(done)) as broker:
        broker.run(questions(count), planned_at=datetime.now(UTC))


def open_journal(data_dir: Path, start: Barrier, pipe: Connection) -> None:
    """Create the state database together with other processes, and claim something."""
    start.wait(300)
    journal = Journal(f"sqlite:///{data_dir / 'state.db'}")
    claims = journal.claim(questions(5), datetime.now(UTC))
    pipe.send([claim.state.value for claim in claims])
    start.wait(300)
    journal.close()
