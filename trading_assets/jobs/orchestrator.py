"""`DataPipelineOrchestrator`: set up a symbol, update all symbols, in dependency order, through the platform's jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trading_assets.arguments import (
    LOOKBACK_DAYS,
    lake_folder,
    one_symbol,
    session_range,
    some_symbols,
)
from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.assets.config import CONFIGS
from trading_assets.collecting.accepted_units import accept_units
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.identity import resolve
from trading_assets.collecting.progress import Progress, progress_of
from trading_assets.contract_changes import Decision
from trading_assets.errors import DataIntegrityError, InvalidRequest, PrerequisiteError
from trading_assets.jobs.data_validation import DataValidation
from trading_assets.jobs.given import settings_for
from trading_assets.jobs.runner import RunReport, run_job
from trading_assets.monitoring.agenda import BARS, SNAPSHOTS, UPDATE_LOOKBACK_DAYS
from trading_assets.monitoring.status import platform_status
from trading_assets.remedies import worded
from trading_assets.repositories.catalog import query
from trading_assets.resources.run_config import SETUP_JOB, UPDATE_JOB
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock, wrong_value
from trading_assets.universe import Universe


class JobType(StrEnum):
    """The steps of a pipeline, in the only order they can run."""

    CONTRACTS = "contracts"
    OPTION_CHAINS = "option_chains"
    EQUITY_BARS = "equity_bars"
    OPTION_BARS = "option_bars"


Options = Mapping[str, Mapping[str, Any]] | None
"""Run config by asset (`trading_assets.assets.config`); None: as in the settings."""

REFRESH: Mapping[str, Mapping[str, Any]] = {str(kind): {"refresh": True} for kind in JobType}
"""Options of an operation that asks the broker again even for what is in the lake."""


@dataclass(frozen=True)
class JobResult:
    """How one step ended for one symbol: its own rows, and its own questions that went to the broker.

    `note` says what is no failure, for example that the symbol is not in the universe.
    """

    job_type: JobType
    success: bool
    symbol: str
    error_message: str = ""
    rows: int = 0
    requests_sent: int = 0
    note: str = ""


@dataclass
class Operation:
    """The runs of one operation, in order. Stops at the first run that fails."""

    runs: list[RunReport] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether every run succeeded and nothing wanted is missing."""
        return bool(self.runs) and all(run.complete for run in self.runs)

    def job_results(self, symbol: str) -> list[JobResult]:
        """The steps of one symbol, in dependency order; a step that never ran is a failure and says so."""
        reports = {report.dataset: report for run in self.runs for report in run.reports}
        errors = [run.error for run in self.runs if run.error]
        results = []
        for kind in JobType:
            report = reports.get(str(kind))
            if report is None:
                results.append(JobResult(kind, False, symbol, errors[0] if errors else "The step did not run."))
                continue
            problems = [problem for problem in report.problems if problem.symbol == symbol]
            message = worded("; ".join(dict.fromkeys(problem.sentence for problem in problems[:5])))
            note = worded(" ".join(note for note in report.notes if note.startswith(f"{symbol} ")))
            rows, asked = report.rows_by_symbol.get(symbol, 0), report.asked_by_symbol[symbol]
            results.append(JobResult(kind, not problems, symbol, message, rows, asked, note))
        return results

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record with totals."""
        reports = [report for run in self.runs for report in run.reports]
        return {
            "success": self.success,
            "requests": {
                name: sum(getattr(report, name) for report in reports)
                for name in ("planned", "sent", "reused", "saved")
            },
            "rows": sum(report.rows for report in reports),
            "problems": [problem.as_row() for report in reports for problem in report.problems],
            "errors": [run.error for run in self.runs if run.error],
            "runs": [run.as_dict() for run in self.runs],
        }


class DataPipelineOrchestrator:
    """Runs the platform's jobs in dependency order on one data folder.

    `base_path` is the data folder (default: the settings'). `enable_lineage` is kept for the guide's sake: Dagster
    records the lineage of every run, always, with False too.

    `progress`: one line for each step goes to standard error in a terminal and in a notebook, elsewhere nothing. True:
    always; False: never; a function such as `print` or `logger.info`: it is called with each line; an object with the
    methods of `collecting.progress.Progress`: which are called for every answer.

    Its methods may be called from several threads at once, and inside of a running event loop, which waits meanwhile.
    A call leaves the caller's logging, warnings filters and signal handlers as they were.
    """

    def __init__(
        self,
        base_path: Path | str | None = None,
        enable_lineage: bool = True,
        *,
        settings: Settings | None = None,
        progress: Progress | Callable[[str], object] | bool | None = None,
    ) -> None:
        self._folder = base_path
        self.settings = settings_for(base_path, settings)
        self.enable_lineage = enable_lineage
        self._progress = progress

    def setup_new_symbol(
        self,
        symbol: str,
        lookback_days: int | None = None,
        *,
        exchange: str | None = None,
        primary_exchange: str | None = None,
    ) -> list[JobResult]:
        """Collect a new symbol from nothing; one result a step, in order. `exchange` and `primary_exchange` as in
        `Universe.add`."""
        name, days = one_symbol(symbol), self._days(lookback_days)
        if exchange is not None or primary_exchange is not None:
            universe = Universe(self.settings.state_url)
            universe.add([name], exchange=exchange, primary_exchange=primary_exchange, now=self.settings.clock())
        return self.setup([name], days).job_results(name)

    def resolve(self, symbol: str, decision: Decision | str) -> str:
        """Decide whose data a changed contract is: `same` continues the series, `new` closes it and begins a new one. A
        sentence of what was done.

        Raises `ValueError` when there is nothing to decide, or not yet.
        """
        with Archive(self.settings) as archive:
            return resolve(archive, symbol, decision)

    def accept_units(
        self, symbols: Symbols = None, first: Day | None = None, last: Day | None = None, *, unit: str | None = None
    ) -> str:
        """Accept answers that are held for review as being in another unit (`collecting.accepted_units.accept_units`).
        A sentence of what follows.

        Raises `InvalidRequest` when none is held, or for a unit that is none of theirs.
        """
        with Archive(self.settings) as archive:
            return accept_units(archive, symbols, first, last, unit=unit)

    def daily_update(self, symbols: Symbols = None) -> dict[str, list[JobResult]]:
        """The day's increment of the given symbols (None: all active ones; a text is one symbol); results by symbol.

        The note of a symbol outside the universe says so. Raises `InvalidRequest` before anything is collected.
        """
        names = some_symbols(symbols)
        operation = self.update(names)
        return {name: operation.job_results(name) for name in names or Universe(self.settings.state_url).active()}

    def setup(
        self,
        symbols: str | Iterable[str],
        lookback_days: int | None = None,
        options: Options = None,
    ) -> Operation:
        """Set several symbols up in one pass: their history of `lookback_days` calendar days (None:
        `Settings.setup_lookback_days`)."""
        names = some_symbols(symbols)
        if names is None:
            raise InvalidRequest("symbols is None: name the symbols to set up, for example ['AAPL', 'SPX'].")
        extra: dict[str, dict[str, Any]] = {"contracts": {"add_to_universe": True}}
        return self._operate(
            SETUP_JOB, names, self._days(lookback_days), _merged(extra, _checked(options, self.settings.selection))
        )

    def update(self, symbols: Symbols = None, options: Options = None) -> Operation:
        """The increment since the last update, however long ago that was; what is covered costs nothing."""
        names, given = some_symbols(symbols) or [], _checked(options, self.settings.selection)
        days = min(max(UPDATE_LOOKBACK_DAYS, self._days_behind(names)), int(LOOKBACK_DAYS.most))
        return self._operate(UPDATE_JOB, names, days, _merged({}, given))

    def generate_status_report(self) -> dict[str, Any]:
        """The state of the archive as `trading-assets status --json` prints it, and `circuit_breaker_status`: closed,
        open or half_open. It only reads. Raises `NotALake` where `base_path` holds no lake."""
        if self._folder is not None:
            lake_folder(self._folder, "base_path")
        found = platform_status(self.settings).as_dict()
        wrong = [worded(sentence) for sentence in found["wrong"]]
        return {**found, "wrong": wrong, "circuit_breaker_status": str(found["breaker"]["phase"])}

    def _days(self, lookback_days: int | None) -> int:
        """The days of history of a set-up. Raises `InvalidRequest`."""
        if lookback_days is None:
            return self.settings.setup_lookback_days
        return LOOKBACK_DAYS.whole(lookback_days, "lookback_days")

    def _days_behind(self, names: Sequence[str]) -> int:
        """Calendar days since the oldest of the symbols' last stored equity bars; 0 without any."""
        wanted = names or Universe(self.settings.state_url).active()
        sql = (
            "select min(last) as oldest from (select max(session) as last from equity_bars where symbol in (select"
            " unnest(?)) group by symbol)"
        )
        oldest = query(self.settings.data_dir, sql, [list(wanted)])["oldest"][0].as_py()
        return (calendar().current(self.settings.clock()) - oldest).days + 1 if oldest else 0

    def backfill(
        self,
        symbols: Symbols,
        first: Day,
        last: Day,
        options: Options = None,
    ) -> Operation:
        """Bars of the sessions from `first` to `last`, in one run.

        Raises `InvalidRequest` when no session lies between them, or the last one has not begun.
        """
        names, given = some_symbols(symbols) or [], _checked(options, self.settings.selection)
        sessions, current = session_range(first, last), calendar().current(self.settings.clock())
        if sessions[-1] > current:
            raise InvalidRequest(
                f"Session {sessions[-1]} has not begun; the current session is {current}. Choose sessions up to"
                f" {current}."
            )
        config = _merged({name: {"symbols": names} for name in BARS}, given)
        ends = [sessions[0]] if len(sessions) == 1 else [sessions[0], sessions[-1]]
        return Operation([run_job(self.settings, "backfill_bars", ends, config, progress=progress_of(self._progress))])

    def _operate(self, job: str, names: list[str], lookback_days: int, options: dict[str, dict[str, Any]]) -> Operation:
        """Snapshots of the current session and bars up to the last closed one: one run when these are the same session,
        else two."""
        now = self.settings.clock()
        current, closed = calendar().current(now), calendar().last_closed(now)
        if current > calendar().current(system_clock()):
            raise InvalidRequest(
                f"TRADING_ASSETS_NOW is {now:%Y-%m-%d %H:%M} UTC: session {current} has not begun yet on this machine's"
                " clock."
            )
        base: dict[str, dict[str, Any]] = {name: {"symbols": names} for name in (*SNAPSHOTS, *BARS)}
        config = _merged(base, options)
        for name in BARS:
            config[name].setdefault("lookback_days", lookback_days)
        if current == closed:
            return Operation([run_job(self.settings, job, [current], config, progress=progress_of(self._progress))])
        operation = Operation()
        for part, session in ((SNAPSHOTS, current), (BARS, closed)):
            chosen = {name: config[name] for name in part}
            run = run_job(
                self.settings,
                "snapshot" if part is SNAPSHOTS else "backfill_bars",
                [session],
                chosen,
                progress=progress_of(self._progress),
            )
            operation.runs.append(run)
            if not run.success:
                break
        return operation


def _checked(options: Options, selection: SelectionRules) -> dict[str, dict[str, Any]]:
    """Run config by asset, every value allowed, in its own form. Raises `InvalidRequest`."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in (options or {}).items():
        if name not in CONFIGS:
            raise InvalidRequest(f"There is no asset {name!r} to configure: give options of {', '.join(CONFIGS)}.")
        if not isinstance(values, Mapping) or not values.keys() <= CONFIGS[name].model_fields.keys():
            raise InvalidRequest(
                f"The options of {name} are {values!r}: give a table of {', '.join(CONFIGS[name].model_fields)}."
            )
        try:
            config = CONFIGS[name](**values)
            selection.changed(values.get("selection", {}))
        except ValidationError as error:
            raise InvalidRequest(f"{name}: {wrong_value(error)}") from error
        found[name] = {field: values[field] if field == "selection" else getattr(config, field) for field in values}
    return found


def _merged(base: Mapping[str, Mapping[str, Any]], more: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Config by asset; values of `more` win."""
    return {name: {**base.get(name, {}), **more.get(name, {})} for name in {*base, *more}}


__all__ = [
    "REFRESH",
    "DataIntegrityError",
    "DataPipelineOrchestrator",
    "DataValidation",
    "JobResult",
    "JobType",
    "Operation",
    "PrerequisiteError",
]
