"""Answers recorded once over the wire and given again from memory, one of them changed: hundreds of collections in the
time of a few.

The journal, the examination, the steps and the lake are the real ones; only the connection is replaced by what came
over it before.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import Request
from trading_assets.broker.writer import Ended, Sent, Writer
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories.catalog import _connections, query
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
SYMBOLS = ("AAPL", "AMZN", "GOOG", "MSFT", "NVDA")
RULES = SelectionRules(max_days_to_expiry=5, strikes_around_spot=1)
STEPS = {"c": "contracts", "h": "option_chains", "e": "equity_bars", "o": "option_bars"}
UNKNOWN = Outcome(OutcomeKind.NO_CONTRACT, 200, "No security definition has been found for the request")

VOLATILE = frozenset({"collected_at", "request_id", "verified_at", "listed_at", "quoted_at", "retry_after"})
"""Columns that say where and when, not what."""

Change = Callable[[Request, Any], Any]
"""Gives the payload to answer a request with instead of the recorded one."""


@dataclass
class Recording:
    """The answers of an undisturbed collection by request key, the lakes before each step, and the rows of the
    whole."""

    answers: dict[str, dict[str, tuple[Request, Outcome, Any]]]
    lakes: dict[str, Path]
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Replay:
    """Stands for the broker: answers from a recording, through the journal and its writer."""

    def __init__(self, journal: Journal, recording: Recording, change: Change | None) -> None:
        self._journal = journal
        self._answers = {key: answer for answers in recording.answers.values() for key, answer in answers.items()}
        self._change = change
        self.sent = self.reused = 0

    def run(self, requests: Sequence[Request], *, planned_at: datetime) -> list[Result]:
        """As `Broker.run`."""
        results: dict[int, Result] = {}
        writer = Writer(
            self._journal, lambda result: results.__setitem__(result.request_id, result), lambda _error: None
        )
        claims = self._journal.claim(requests, planned_at)
        for claim in claims:
            if claim.result is not None:
                self.reused += 1
                results[claim.request_id] = claim.result
                continue
            self.sent += 1
            _, outcome, payload = self._answers.get(claim.request.key, (claim.request, UNKNOWN, None))
            if payload is not None and self._change is not None:
                payload = self._change(claim.request, copy.deepcopy(payload))
            at = datetime.now(UTC).timestamp()
            writer.put(Sent(claim.request_id, 1, at))
            writer.put(Ended(claim.request, claim.request_id, outcome, payload, 1, at, at))
        writer.close().result()
        return [results[claim.request_id] for claim in claims]

    def close(self) -> None:
        """As `Broker.close`."""


def settings_of(data_dir: Path, **changes: Any) -> Settings:
    """Settings of a lake at `NOW`."""
    return Settings(**{"data_dir": data_dir, "now": NOW, "broker": "simulated", "ib_port": 1, **changes})


def step(archive: Archive, letter: str, *, refresh: bool = False) -> Collected:
    """Collect one dataset for `SYMBOLS`, as the assets do."""
    entries = archive.universe.entries()
    session = archive.calendar.current(archive.now)
    sessions = archive.calendar.sessions(session - timedelta(days=7), session)
    contracts, chains = archive.view(CONTRACTS), archive.view(OPTION_CHAINS)
    if letter == "c":
        return collect_contracts(archive, entries, session, refresh=refresh)
    if letter == "h":
        # the close was half an hour ago: whatever is quoted counts as old
        requote = timedelta(hours=-1) if refresh else None
        return collect_option_chains(
            archive, entries, session, contracts=contracts, rules=RULES, refresh=refresh, requote_after=requote
        )
    if letter == "e":
        return collect_equity_bars(
            archive, entries, sessions, contracts=contracts, bar_sizes=("1 day",), refresh=refresh
        )
    return collect_option_bars(
        archive, entries, sessions, contracts=contracts, chains=chains, bar_sizes=("8 hours",), refresh=refresh
    )


def record(folder: Path) -> Recording:
    """Collect `SYMBOLS` from the simulator over the wire, and keep what it answered."""
    answers: dict[str, dict[str, tuple[Request, Outcome, Any]]] = {}
    lakes: dict[str, Path] = {}
    lake = folder / "whole"
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws:
        for letter, dataset in STEPS.items():
            lakes[letter] = folder / f"before_{letter}"
            with Archive(settings_of(lake, ib_port=tws.port)) as archive:
                if letter == "c":
                    archive.universe.add(list(SYMBOLS), now=archive.now)
                collected = step(archive, letter)
                archive.journal.engine.dispose()
                if letter == "c":
                    _universe(lakes[letter])
                answers[letter] = {
                    r.request.key: (r.request, r.outcome, r.payload) for r in archive.journal.unapplied([dataset])
                }
                archive.write(collected)
            _leave(lake)
            following = list(STEPS)[list(STEPS).index(letter) + 1 :]
            if following:
                shutil.copytree(lake, folder / f"before_{following[0]}")
    return Recording(answers, lakes, contents(lake))


def _universe(lake: Path) -> None:
    with Archive(settings_of(lake)) as archive:
        archive.universe.add(list(SYMBOLS), now=archive.now)
    _leave(lake)


def _leave(lake: Path) -> None:
    """Give back what a process keeps open of a lake: its files are copied or deleted next."""
    connect_state(settings_of(lake).state_url).dispose()
    for key in [key for key in _connections if key[1] == lake.absolute()]:
        _connections.pop(key).close()


@contextmanager
def lake_before(recording: Recording, letter: str, folder: Path) -> Iterator[Path]:
    """A copy of the lake as it was before a step, deleted at the end."""
    lake = folder / "lake"
    shutil.copytree(recording.lakes[letter], lake)
    try:
        yield lake
    finally:
        _leave(lake)
        shutil.rmtree(lake)


def collect(
    lake: Path, recording: Recording, letter: str, change: Change | None = None, *, refresh: bool = False
) -> CollectionReport:
    """One step with the recorded answers, changed by `change`, written to the lake."""
    with Archive(settings_of(lake)) as archive:
        archive._broker = Replay(archive.journal, recording, change)  # type: ignore[assignment]
        collected = step(archive, letter, refresh=refresh)
        archive.write(collected)
        return collected.report


def contents(lake: Path, datasets: Sequence[str] = tuple(STEPS.values())) -> dict[str, list[dict[str, Any]]]:
    """All rows of the datasets and of their coverage, by name, without what says where and when."""
    names = [*datasets, "coverage"]
    found = {}
    for name in names:
        wanted = [column for column in DATASETS[name].schema.names if column not in VOLATILE]
        order = ", ".join(f'"{column}"' for column in DATASETS[name].key)
        columns = ", ".join(f'"{column}"' for column in wanted)
        rows = query(lake, f'select {columns} from "{name}" order by {order}').to_pylist()
        found[name] = [row for row in rows if name != "coverage" or row["dataset"] in datasets]
    return found


def of_symbol(
    rows: dict[str, list[dict[str, Any]]], symbol: str, datasets: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one symbol in some datasets, and their coverage."""
    mine = {name: [row for row in rows[name] if row["symbol"] == symbol] for name in datasets}
    return {
        **mine,
        "coverage": [row for row in rows["coverage"] if row["symbol"] == symbol and row["dataset"] in datasets],
    }
