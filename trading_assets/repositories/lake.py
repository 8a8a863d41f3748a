"""The lake at one instant: one place that answers what is stored, what is wanted, what is missing and what may be asked
for.

    lake = Lake.of(settings)
    lake.conditions(["AAPL"], datasets=["equity_bars"], first=date(2025, 11, 3))
    lake.query("select * from equity_bars where symbol = 'AAPL'")

Made once for a command, a run or the tick of a sensor, from the settings. What a condition means stands in
`repositories.conditions`; recording belongs to `repositories.coverage`, making requests out of what is missing to
`planning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pyarrow as pa

from trading_assets import arguments
from trading_assets.arguments.days import Day
from trading_assets.errors import InvalidRequest
from trading_assets.repositories import conditions as truth
from trading_assets.repositories.answers import remembered
from trading_assets.repositories.catalog import query
from trading_assets.repositories.conditions_sql import EXPIRED_CONTRACTS
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_BARS, SETTLED_SQL, Dataset
from trading_assets.repositories.views import DatasetView
from trading_assets.sessions import SessionCalendar, calendar
from trading_assets.settings import Settings

COLLECTION_GRACE = timedelta(hours=1)
"""How long after the scheduled collection of a session's bars they may be on their way before they count as missing."""


class Bounds(TypedDict, total=False):
    """Which conditions are looked at: `datasets` (None: all four), `first` and `last` session (both included; None:
    any)."""

    datasets: Sequence[str] | None
    first: Day | None
    last: Day | None


@dataclass(frozen=True)
class Lake:
    """The lake in `data_dir` at the instant `now` (with a time zone), with the settings that decide what is wanted of
    it.

    `equity_bar_sizes` are collected of underlyings; contract details answer for the sessions of `contract_verify_days`
    days; the bars of a session are collected `bars_delay` after its close.
    """

    data_dir: Path
    calendar: SessionCalendar
    now: datetime
    equity_bar_sizes: tuple[str, ...]
    contract_verify_days: int
    bars_delay: timedelta

    @classmethod
    def of(cls, settings: Settings, now: datetime | None = None) -> Lake:
        """The lake of the settings, at `now` or at the instant of their clock."""
        delay = timedelta(minutes=settings.bars_delay_minutes)
        return cls(
            settings.data_dir,
            calendar(),
            now or settings.clock(),
            settings.equity_bar_sizes,
            settings.contract_verify_days,
            delay,
        )

    @property
    def bars_due(self) -> date:
        """The last session whose bars must be in the lake by now: its collection was due `COLLECTION_GRACE` ago.

        Raises `NotASession` where the clock is outside the calendar.
        """
        self.calendar.current(self.now)  # a clock outside the calendar is named as it is
        return self.calendar.last_closed(self.now - self.bars_delay - COLLECTION_GRACE)

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of one SELECT over the datasets. Raises as `repositories.query`."""
        return query(self.data_dir, sql, parameters)

    def view(self, dataset: Dataset) -> DatasetView:
        """The stored rows of a dataset, read when asked for."""
        return DatasetView(self.data_dir, dataset)

    def conditions(self, symbols: str | Sequence[str], **bounds: Unpack[Bounds]) -> pa.Table:
        """One row for each dataset, bar size, symbol and wanted session (`conditions.CONDITION_SCHEMA`)."""
        return truth.symbol_conditions(*self._given(symbols), **self._scope(bounds))

    def count_conditions(self, symbols: str | Sequence[str], **bounds: Unpack[Bounds]) -> pa.Table:
        """The same, counted by dataset, bar size, symbol and condition (`conditions.count_conditions`)."""
        return truth.count_conditions(*self._given(symbols), **self._scope(bounds))

    def over_conditions(
        self,
        symbols: str | Sequence[str],
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        **bounds: Unpack[Bounds],
    ) -> pa.Table:
        """The rows of a SELECT over the relation `conditions`, for counts of many symbols and years
        (`conditions.query_conditions`)."""
        return truth.query_conditions(*self._given(symbols), sql, parameters, **self._scope(bounds))

    def wanted(
        self,
        dataset: Dataset,
        bar_size: str,
        symbols: str | Sequence[str],
        sessions: Sequence[date],
        con_ids: Sequence[int] | None = None,
    ) -> pa.Table:
        """One row for each underlying or contract and session of `sessions` whose bars are wanted
        (`conditions.WANTED_SCHEMA`); with `con_ids` for these contracts, selected or not.

        `askable` says what may be requested now, `lost` what no longer can be.
        """
        size = arguments.bar_size(bar_size)
        return truth.wanted_bars(*self._given(symbols), dataset.name, size, sessions, con_ids)

    def expired_contracts(self, symbols: Sequence[str], first: date | None = None) -> pa.Table:
        """One row for each expired contract whose bars were wanted (since `first`), and what became of its sessions.

        Columns symbol, con_id, session (the last wanted one), sessions (those from the first chain that selects the
        contract on), and of them unknown (nothing was recorded) and lost (neither bars nor the answer that there was no
        trade).
        """
        scope = self._scope({"datasets": [OPTION_BARS.name], "first": first})
        # not checked: the symbols may be those of rows that another program wrote
        return truth.query_conditions(self.data_dir, self.calendar, self.now, symbols, EXPIRED_CONTRACTS, None, **scope)

    def with_equity_bars(self, symbols: str | Sequence[str]) -> set[str]:
        """Those of the symbols that have equity bars, or the answer that there are none: bars of their options may be
        asked for."""
        sql = "select distinct symbol from {} where symbol in (select unnest(?::varchar[])) and {}"
        answered = f"dataset = 'equity_bars' and con_id = 0 and condition in ({SETTLED_SQL})"
        found: set[str] = set()
        for dataset, where in ((EQUITY_BARS, "true"), (COVERAGE, answered)):
            if rest := [symbol for symbol in _named(symbols) if symbol not in found]:
                rows = remembered(self.data_dir, dataset, sql.format(dataset.name, where), [rest])
                found.update(rows["symbol"].to_pylist())
        return found

    def _given(self, symbols: str | Sequence[str]) -> tuple[Path, SessionCalendar, datetime, Sequence[str]]:
        return self.data_dir, self.calendar, self.now, _named(symbols)

    def _scope(self, bounds: Bounds) -> truth.Scope:
        first, last = arguments.day_range(bounds.get("first"), bounds.get("last"), ("first", "last"))
        datasets = arguments.datasets(bounds.get("datasets"))
        return {
            "datasets": datasets,
            "first": first,
            "last": last,
            "equity_bar_sizes": self.equity_bar_sizes,
            "verify_days": self.contract_verify_days,
        }


def _named(symbols: str | Sequence[str]) -> list[str]:
    """The symbols as rows have them; of an empty list (a universe without symbols) nothing is asked."""
    if isinstance(symbols, Sized) and not isinstance(symbols, str) and not len(symbols):
        return []
    found = arguments.stored_symbols(symbols, "symbols")
    if found is None:
        raise InvalidRequest("symbols is None: name the symbols, for example Universe.active().")
    return found
