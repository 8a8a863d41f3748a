"""Whose data a symbol's rows are: the contract of each symbol's series, and series of companies that held the symbol
before.

All rows of a symbol belong to one series: that of the company that holds the symbol now, and the newest row of
`contracts` names its contract. When another company takes the symbol over, the rows of the company before move to the
symbol `closed_symbol` (`META@8314`), in every dataset: whoever reads `symbol = 'META'`, with whatever tool, gets the
present company alone, and the earlier one is read under its own symbol or by `con_id`. Everything here follows from the
rows of the lake.

What does not belong here: noticing that a contract has changed and asking the user (`collecting.identity`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.repositories.answers import remembered
from trading_assets.repositories.catalog import query
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    OPTION_GREEKS,
)
from trading_assets.repositories.store import ParquetStore

_MOVED = (COVERAGE, *LIVE_DATASETS, OPTION_GREEKS, OPTION_BARS, OPTION_CHAINS, EQUITY_BARS, CONTRACTS)
"""In this order: the rows of `contracts` say whose the others are, so they go last, and a move that was killed is
noticed."""


@dataclass(frozen=True, slots=True)
class SeriesContract:
    """The contract that a symbol's newest rows are of. Texts are empty where only bars or chains are left to identify
    it by."""

    symbol: str
    con_id: int
    session: date
    long_name: str = ""
    primary_exchange: str = ""
    currency: str = ""
    sec_ids: str | None = None


def series_contracts(data_dir: Path | str, symbols: Collection[str]) -> dict[str, SeriesContract]:
    """The contract of each symbol's series, by symbol; a symbol without rows has none.

    The newest row of `contracts` says it; where there is none (a lost file), the newest chain or bar of the underlying.
    """
    details = "select symbol, con_id, session, long_name, primary_exchange, currency, sec_ids from contracts"
    found = _newest(remembered(Path(data_dir), CONTRACTS, _NEWEST.format(details), [list(symbols)]))
    lost = set(symbols) - found.keys()
    if lost:  # only then: to look through chains and bars costs a reading of all of them
        sql = """select symbol, under_con_id as con_id, session from option_chains
                 union all by name select symbol, con_id, session from equity_bars"""
        found |= _newest(query(data_dir, _NEWEST.format(sql), [list(lost)]))
    return found


_NEWEST = """select * from ({}) where symbol in (select unnest(?::varchar[])) and con_id > 0
             qualify row_number() over (partition by symbol order by session desc, con_id) = 1"""
"""The newest of some rows of each symbol."""


def _newest(rows: pa.Table) -> dict[str, SeriesContract]:
    return {row["symbol"]: SeriesContract(**row) for row in rows.to_pylist()}


def owner_of(data_dir: Path | str, con_id: int) -> str | None:
    """The symbol whose series is of that contract by its newest details (a closed one included); None when none is."""
    sql = """select symbol from (
                 select symbol, con_id, session from contracts qualify row_number()
                     over (partition by symbol order by session desc) = 1)
             where con_id = ? order by session desc, symbol limit 1"""
    found = remembered(Path(data_dir), CONTRACTS, sql, [con_id])["symbol"].to_pylist()
    return found[0] if found else None


def move_series(store: ParquetStore, symbol: str, new_symbol: str) -> int:
    """Move all rows of a symbol to another one, in every dataset. Returns how many. Killed in between, it is simply
    called again.

    Raises `LakeBusy`.
    """
    return sum(store.relabel(dataset, symbol, new_symbol) for dataset in _MOVED)


def series(data_dir: Path | str, symbols: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Every series in the lake: `symbol` (of the company now), `series` (the symbol its rows have), `con_id`,
    `long_name`, `first` and `last` session with details, and `status`: present or closed. One row a contract, in order
    of time. `symbols` restricts to some.
    """
    sql = """
        select split_part(symbol, '@', 1) as symbol, symbol as series, con_id, arg_max(long_name, session) as long_name,
               min(session) as first, max(session) as last,
               case when contains(symbol, '@') then 'closed' else 'present' end as status
        from contracts c where $every or split_part(symbol, '@', 1) in (select unnest($symbols::varchar[]))
        group by c.symbol, con_id order by 1, first"""
    return query(data_dir, sql, {"every": symbols is None, "symbols": list(symbols or ())}).to_pylist()
