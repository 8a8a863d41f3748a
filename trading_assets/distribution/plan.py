"""How work is split: which symbols and sessions, and how much of them one part has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from trading_assets.arguments import SESSIONS, day_range, session_range, some_symbols, stored_symbols
from trading_assets.arguments import bar_sizes as checked_bar_sizes
from trading_assets.arguments.days import Day
from trading_assets.arguments.numbers import SYMBOLS
from trading_assets.arguments.symbols import Symbols
from trading_assets.broker.routing import gateway_of
from trading_assets.distribution.part_runs import NAMED
from trading_assets.distribution.parts import SymbolGroup, Work, session_periods, symbol_groups
from trading_assets.distribution.records import Distribution, Period
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.agenda import BARS
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import COVERAGE, OPTION_BARS, OPTION_GREEKS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation import DATASETS

SYMBOLS_PER_PART = {Work.GREEKS: 50, Work.VALIDATION: 100, Work.BACKFILL: 50}
"""Most symbols of a part, unless given. Greeks of 50 symbols with 50 contracts in a month are 115,000 rows: about a
minute of a processor (0.56 ms a row) and 0.9 GB of memory (0.4 GB and 4 KB a row), both measured."""

SESSIONS_PER_PART: dict[Work, int | None] = {Work.GREEKS: 23, Work.VALIDATION: None, Work.BACKFILL: None}
"""Most sessions of a part, unless given; None: all. No month, a file of `option_greeks`, has more than 23. A backfill
sends one request a symbol and missing span: a second period would be a second request."""


def plan_distribution(
    settings: Settings,
    work: Work,
    symbols: Symbols = None,
    first: Day | None = None,
    last: Day | None = None,
    *,
    symbols_per_part: int | None = None,
    sessions_per_part: int | None = None,
    options: dict[str, Any] | None = None,
) -> Distribution:
    """The parts of the work over the sessions `first` to `last` (None: the last closed session; of a validation: no
    bound). Nothing is recorded.

    `symbols`: None means the active ones of the universe, of a validation the whole lake. `options` are those of every
    part (`distribution.part_runs`). Raises `InvalidRequest`.
    """
    most = SYMBOLS_PER_PART[work] if symbols_per_part is None else SYMBOLS.whole(symbols_per_part, "symbols_per_part")
    if work is Work.VALIDATION:
        groups, periods = _of_validation(settings, symbols, most, first, last, sessions_per_part)
        options = {**(options or {}), NAMED: symbols is not None}
    else:
        groups = symbol_groups(_names(settings, symbols), most, _routing(settings, work))
        periods = _periods(settings, work, first, last, sessions_per_part)
    return Distribution(work, tuple(groups), tuple(periods), options or {}, settings.clock())


def part_options(work: Work, bar_sizes: Sequence[str] | None, refresh: bool) -> dict[str, Any]:
    """Options of every part. Raises `InvalidRequest` for those that the work does not have."""
    if work is not Work.BACKFILL and bar_sizes is not None:
        raise InvalidRequest(f"bar_sizes are those of a backfill, not of {work}.")
    if work is Work.VALIDATION and refresh:
        raise InvalidRequest("refresh is for greeks and backfills; a validation is always made anew.")
    given = {"refresh": True} if refresh else {}
    if work is not Work.BACKFILL:
        return given
    options: dict[str, Any] = {name: dict(given) for name in BARS}
    if bar_sizes is not None:
        options["equity_bars"]["bar_sizes"] = checked_bar_sizes(bar_sizes)
    return options


def _names(settings: Settings, symbols: Symbols) -> Collection[str]:
    names = some_symbols(symbols) or Universe(settings.state_url).active()
    if not names:
        raise InvalidRequest(
            "The universe is empty: set up a symbol first (trading-assets setup AAPL) or name symbols."
        )
    return names


def _routing(settings: Settings, work: Work) -> Any:
    """Of a backfill through several gateways: which of them a symbol is asked through."""
    names = [gateway.name for gateway in settings.gateways]
    return partial(gateway_of, gateways=names) if work is Work.BACKFILL and len(names) > 1 else None


def _periods(settings: Settings, work: Work, first: Day | None, last: Day | None, given: int | None) -> list[Period]:
    if first is None:
        raise InvalidRequest(f"first is None: name the first session of the {work}, for example '2025-01-02'.")
    xnys, now = calendar(), settings.clock()
    sessions, current = session_range(first, xnys.last_closed(now) if last is None else last), xnys.current(now)
    if sessions[-1] > current:
        raise InvalidRequest(
            f"Session {sessions[-1]} has not begun; the current session is {current}. Choose sessions up to {current}."
        )
    most = SESSIONS_PER_PART[work] if given is None else SESSIONS.whole(given, "sessions_per_part")
    dataset = OPTION_GREEKS if work is Work.GREEKS else OPTION_BARS
    return list(session_periods(sessions, most, ParquetStore(settings.data_dir).period(dataset).of))


def _of_validation(
    settings: Settings, symbols: Symbols, most: int, first: Day | None, last: Day | None, given: int | None
) -> tuple[list[SymbolGroup], list[Period]]:
    """Groups of symbols, and one for the lake as a whole, where it is all validated; one period. Each part of named
    symbols validates them by all rules, as `validate` does that names them.

    Rules compare a bar with those before it and a contract with all its bars: cut into periods they would find
    something else.
    """
    if given is not None:
        raise InvalidRequest(
            "A validation is split by symbols alone: its rules compare sessions with those before them. Leave"
            " sessions_per_part out."
        )
    names, bounds = stored_symbols(symbols, "symbols"), day_range(first, last, ("first", "last"))
    if names is not None:
        return symbol_groups(names, most), [bounds]
    return [SymbolGroup(()), *symbol_groups(_stored(settings), most)], [bounds]


def _stored(settings: Settings) -> set[str]:
    """The symbols that rows of the lake have, whoever wrote them, and the active ones."""
    names = (*DATASETS, COVERAGE.name)
    tables = " union ".join(f'select symbol from "{name}" where symbol is not null' for name in names)
    return {*query(settings.data_dir, tables)["symbol"].to_pylist(), *Universe(settings.state_url).active()}
