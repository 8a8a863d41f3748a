"""`BrokerClient`: the guide's direct requests. Each drives the collecting step of its asset: read what the lake has,
request the rest through journal, pacing and breaker, store it, and answer from the lake.

Here belongs the order of these steps and what the caller gets. What to request is said by `collecting.steps`.
"""

from __future__ import annotations

import threading
import uuid
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from trading_assets import arguments
from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.client.failures import error_of, failed
from trading_assets.client.named_contracts import Contracts, NamedContracts, named_contracts
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.progress import Progress, Silent, listening
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.common import known_underlyings
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.errors import InvalidRequest
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.repositories import ContractRepository, EquityBarRepository, OptionBarRepository
from trading_assets.repositories.contracts import newest_contract
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.schemas import CONTRACTS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.settings import Settings

_NO_OPTION_BARS = ("1 secs",)
"""Sizes of which option bars cannot be requested: twelve requests a contract and session."""


def connect_broker(
    base_path: Path | str | None = None, *, settings: Settings | None = None, progress: Progress | None = None
) -> BrokerClient:
    """The client for direct requests into the data folder `base_path` (default: the settings').

    It connects when the first request must be sent, and keeps that connection until `close`, the end of its `with`
    block or the end of the process. Raises `NotALake` for a path that cannot be a data folder.
    """
    given = settings or Settings()
    if base_path is not None:
        folder = arguments.new_lake_folder(base_path, "base_path")
        given = given.model_copy(update={"data_dir_setting": folder})
    return BrokerClient(given, progress)


def _new_run() -> str:
    """The id of the run as which a call is recorded, in the journal and with Dagster."""
    return str(uuid.uuid4())


class BrokerClient(AbstractContextManager["BrokerClient"]):
    """Requests to the broker for one data folder, answered from the lake where it has the answer.

    A call costs the fewest requests that what is missing allows, none where nothing is missing. Answers are stored as
    the assets store them: rows with their `request_id`, coverage, and materialized partitions of a run
    `direct_request`. Frames have the columns of the dataset as its repository returns them; to save such a frame again
    changes nothing. As after a backfill, the archive then keeps the series whole from the first session that was
    requested.

    A failed request raises once all others of the call are stored: `UnknownContract`, `NotPermitted`, `RequestTimedOut`
    or another `RequestFailed`, whose `frame` is what the call could answer. Missing prerequisites raise
    `PrerequisiteError` and cost no request. `BreakerOpen`, `BrokerUnavailable` and other `BrokerError` end a call as a
    whole; what came until then is in the journal and not requested again. Calls from several threads take turns.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        with listening(progress or Silent()):
            self._archive = Archive(settings)
        self._lock = threading.Lock()
        # Not at the end of the process: the threads that closing needs have ended by then, and all that is shared is
        # free for others once its owner is gone.
        weakref.finalize(self, self._archive.close).atexit = False

    def get_equity_bars(
        self, symbol: str, start: Day, end: Day, bar_size: str = DAILY, *, refresh: bool = False
    ) -> pd.DataFrame:
        """Bars of a stock, ETF or index in the sessions from `start` to `end` (both included; those closed by
        now), as `EquityBarRepository.load_symbol_data` returns them: prices in dollars, times in UTC.

        One request a missing span; one more for the contract of a symbol that the lake does not know. `refresh` asks
        again for what is stored. Raises `InvalidRequest`, and as the class says.
        """
        name, size = arguments.one_symbol(symbol), arguments.bar_size(bar_size)
        sessions = self._closed(start, end)
        with self._lock:
            archive = self._archive
            run_id = _new_run()
            reports = self._resolve([name], run_id)
            if not failed(reports):
                collected = collect_equity_bars(
                    archive,
                    archive.universe.resolve([name]),
                    sessions,
                    contracts=archive.view(CONTRACTS),
                    bar_sizes=[size],
                    refresh=refresh,
                    run_id=run_id,
                )
                reports.append(self._store(collected, run_id))
        repository = EquityBarRepository(store=archive.store)
        return self._answer(reports, lambda: repository.load_symbol_data(name, sessions[0], sessions[-1], size))

    def get_option_bars(
        self, contracts: Contracts, start: Day, end: Day, bar_size: str = DAILY, *, refresh: bool = False
    ) -> pd.DataFrame:
        """Bars of option contracts in the sessions from `start` to `end` (both included; those closed by
        now), as `OptionBarRepository.load` returns them: prices in dollars, times in UTC.

        `contracts` are those of a chain frame, contract ids or local symbols, selected by the archive or not; a chain
        in the lake must list them. One request a contract and missing span, contracts that expire first before the
        others. `1 day` bars are aggregated from `8 hours` bars. Bars of contracts that expired before they were
        collected are lost: a warning says of how many. `refresh` asks again for what is stored. Raises
        `InvalidRequest`, and as the class says.
        """
        size = arguments.bar_size(bar_size)
        if size in _NO_OPTION_BARS:
            raise InvalidRequest(f"Option bars of {size!r} are not collected: choose longer ones, for example '1 min'.")
        asked = OPTION_BAR_SIZE if size == DAILY else size
        sessions = self._closed(start, end)
        wanted = named_contracts(self.settings.data_dir, contracts)
        with self._lock:
            archive, run_id = self._archive, _new_run()
            collected = collect_option_bars(
                archive,
                archive.universe.resolve(wanted.symbols),
                sessions,
                contracts=archive.view(CONTRACTS),
                chains=archive.view(OPTION_CHAINS),
                bar_sizes=[asked],
                con_ids=wanted.con_ids,
                refresh=refresh,
                run_id=run_id,
            )
            reports = [self._store(collected, run_id)]
        self._warn_of_lost(wanted, asked, sessions)
        repository = OptionBarRepository(store=archive.store)
        return self._answer(
            reports,
            lambda: repository.load(
                con_id=wanted.con_ids, start_date=sessions[0], end_date=sessions[-1], bar_size=size
            ),
        )

    def get_contract_descriptions(self, symbols: Symbols = None, *, refresh: bool = False) -> pd.DataFrame:
        """The contract details of stocks, ETFs and indices, one row a symbol, as `ContractRepository.latest_of` returns
        them; None: of all active symbols.

        One request a symbol without details, or with details verified `Settings.contract_verify_days` days ago, all
        sent together; none for the others. `refresh` asks for all of them. Raises `InvalidRequest`, and as the class
        says.
        """
        names = arguments.some_symbols(symbols)
        with self._lock:
            names = names if names is not None else self._archive.universe.active()
            if not names:
                raise InvalidRequest("symbols is None and the universe is empty: name at least one symbol.")
            reports = [self._collect_contracts(names, _new_run(), refresh=refresh)]
        repository = ContractRepository(store=self._archive.store)
        return self._answer(reports, lambda: repository.latest_of(names))

    def get_contract_description(self, symbol: str, *, refresh: bool = False) -> dict[str, Any]:
        """The contract details of one symbol by column, as `ContractRepository.latest` returns them. For several
        symbols `get_contract_descriptions` sends its requests together. Raises as that does."""
        name = arguments.one_symbol(symbol)
        self.get_contract_descriptions([name], refresh=refresh)
        found = newest_contract(self._archive.store, name)
        assert found is not None
        return found

    @property
    def connected(self) -> bool:
        """Whether a request has been sent: False as long as the lake answered everything."""
        return self._archive.connected

    def close(self) -> None:
        """End the connection. A later call makes a new one."""
        with self._lock:
            self._archive.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _closed(self, start: Day, end: Day) -> list[date]:
        """The sessions between two days that are closed by now. Raises `InvalidRequest` where there is none."""
        sessions = arguments.session_range(start, end, ("start", "end"))
        last = self._archive.calendar.last_closed(self._archive.now)
        closed = [session for session in sessions if session <= last]
        if not closed:
            raise InvalidRequest(
                f"Session {sessions[0]} is not closed yet, so its bars are not finished; the last closed session is"
                f" {last}."
            )
        return closed

    def _resolve(self, names: Sequence[str], run_id: str) -> list[CollectionReport]:
        """Collect the contract details of those symbols that have none: nothing else can be requested without."""
        known = known_underlyings(self._archive, self._archive.view(CONTRACTS), names)
        unknown = [name for name in names if name not in known]
        return [self._collect_contracts(unknown, run_id)] if unknown else []

    def _collect_contracts(self, names: Sequence[str], run_id: str, *, refresh: bool = False) -> CollectionReport:
        archive = self._archive
        session = archive.calendar.current(archive.now)
        entries = archive.universe.resolve(names)
        return self._store(collect_contracts(archive, entries, session, refresh=refresh, run_id=run_id), run_id)

    def _store(self, collected: Collected, run_id: str) -> CollectionReport:
        """Put a collection into the lake, and record with Dagster what it brought."""
        counts = self._archive.write(collected)
        if collected.table.num_rows or collected.coverage.num_rows or collected.report.recovered:
            # late: a call that the lake answers needs no Dagster
            from trading_assets.client.direct_run import record_run

            record_run(self._archive, collected, counts, run_id)
        self._archive.progress.finish(collected.report)
        return collected.report

    def _answer(self, reports: Sequence[CollectionReport], load: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """What the lake has of the call. Raises for what failed, with that as the error's `frame`."""
        problems = failed(reports)
        if not problems:
            return load()
        raise error_of(problems, load() if arguments.holds_lake(self.settings.data_dir) else None)

    def _warn_of_lost(self, wanted: NamedContracts, bar_size: str, sessions: Sequence[date]) -> None:
        rows = self._archive.lake.wanted(OPTION_BARS, bar_size, wanted.symbols, sessions, wanted.con_ids)
        lost = [row for row in rows.to_pylist() if row["condition"] == Condition.EXPIRED_LOST]
        if lost:
            contracts = len({row["con_id"] for row in lost})
            warnings.warn(
                f"{len(lost)} session(s) of {contracts} contract(s) are lost: they expired before their bars were"
                " collected, and the broker keeps no history of expired options.",
                stacklevel=3,
            )
