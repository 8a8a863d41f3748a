"""Chain snapshots: files that hold a whole chain once a day, without a time of day, each vendor in units of its own.

Here belong what instant a snapshot stands for and its greeks in the broker's units (vega per volatility point, theta
per day). A snapshot whose underlying price is the session's close was taken at the close and is shown from then on; any
other was taken in the session, at a time nobody recorded, and is shown from the open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.pricing import black_scholes
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.grid import Floats, grid
from trading_assets.simulator.recorded.instruments import Osi
from trading_assets.simulator.recorded.recorded_files import Table

_SAME_PRICE = 0.005
"""Dollars within which an underlying price is the recorded close (half a cent)."""

_SAMPLE = 400
"""Rows from which a vendor's units are told; the two possible units lie a factor of 100 (vega) and 365 (theta)
apart."""


@dataclass(frozen=True, slots=True)
class ChainQuote:
    """One contract's row of a snapshot, in the broker's units; None where the vendor has nothing."""

    session: int
    bid: float | None
    ask: float | None
    last: float | None
    volume: float | None
    open_interest: float | None
    underlying_price: float | None
    implied_volatility: float | None
    delta: float | None
    gamma: float | None
    vega: float | None
    theta: float | None


@dataclass(frozen=True, slots=True)
class _Snapshot:
    table: Table
    closing: frozenset[int]
    vega_scale: float
    theta_scale: float


class ChainQuotes:
    """All snapshots of a folder."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def at(self, osi: str, session: int, now: float) -> ChainQuote | None:
        """The contract's row of a session, if it was known at `now`."""
        for snapshot in self._snapshots:
            rows = snapshot.table.of(osi).of_session(session)
            times = grid().closes if session in snapshot.closing else grid().opens
            if len(rows) and times[session] <= now and not rows["stale"][-1] > 0:
                return _quote({name: float(values[-1]) for name, values in rows.columns.items()}, session, snapshot)
        return None

    def open_interest(self, osi: str, session: int) -> float | None:
        """The morning's open interest of a session."""
        for snapshot in self._snapshots:
            value = snapshot.table.last(osi, session, "open_interest")
            if value is not None:
                return _number(value)
        return None

    def underlying_price(self, symbol: str, first: int, now: float) -> tuple[int, float] | None:
        """The latest underlying price known at `now` that is not before session `first`, and its session."""
        known = [
            (session, price)
            for (name, session), (price, closing) in self._underlyings.items()
            if name == symbol and session >= first and (grid().closes if closing else grid().opens)[session] <= now
        ]
        return max(known) if known else None

    @cached_property
    def _snapshots(self) -> list[_Snapshot]:
        snapshots = []
        for file, table in self._archive.chain_quotes.items():
            closing = frozenset(
                session for (_, session), (_, at_close) in self._read_underlyings(file).items() if at_close
            )
            vega, theta = _units(table)
            snapshots.append(_Snapshot(table, closing, vega, theta))
        return snapshots

    @cached_property
    def _underlyings(self) -> dict[tuple[str, int], tuple[float, bool]]:
        merged: dict[tuple[str, int], tuple[float, bool]] = {}
        for file in self._archive.chain_quotes:
            merged.update(self._read_underlyings(file))
        return merged

    def _read_underlyings(self, file: Path) -> dict[tuple[str, int], tuple[float, bool]]:
        """By underlying and session, the underlying price of a file and whether the day's snapshot was taken at the
        close."""
        columns = ["quote_date", "underlying", "underlying_price"]
        if not set(columns) <= set(pq.read_schema(file).names):
            return {}
        table = pq.read_table(file, columns=columns)
        groups = table.group_by(["quote_date", "underlying"]).aggregate([("underlying_price", "max")])
        sessions = grid().of_days(
            groups.column("quote_date").cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
        )
        names, prices = groups.column("underlying").to_pylist(), groups.column("underlying_price_max").to_pylist()
        rows = zip(names, sessions.tolist(), prices, strict=True)
        found = [(name, session, price) for name, session, price in rows if session >= 0 and price is not None]
        at_close = {session for name, session, price in found if self._is_close(name, session, price)}
        return {(name, session): (float(price), session in at_close) for name, session, price in found}

    def _is_close(self, symbol: str, session: int, price: float) -> bool:
        close = self._archive.equity_daily.last(symbol, session, "close")
        return close is not None and abs(close - price) < _SAME_PRICE


def _quote(row: Mapping[str, float], session: int, snapshot: _Snapshot) -> ChainQuote:
    computed = row["iv"] > 0  # the vendors write 0 for "not computed"
    return ChainQuote(
        session=session,
        bid=_positive(row["bid"]),
        ask=_positive(row["ask"]),
        last=_positive(row["last"]),
        volume=_number(row["volume"]),
        open_interest=_number(row["open_interest"]),
        underlying_price=_positive(row["underlying_price"]),
        implied_volatility=row["iv"] if computed else None,
        delta=_number(row["delta"]) if computed else None,
        gamma=_number(row["gamma"]) if computed else None,
        vega=_number(row["vega"] * snapshot.vega_scale) if computed else None,
        theta=_number(row["theta"] * snapshot.theta_scale) if computed else None,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _positive(value: float) -> float | None:
    return float(value) if value > 0 else None


def _units(table: Table) -> tuple[float, float]:
    """What a vendor's vega and theta are multiplied with to be per volatility point and per day.

    Vendors write vega per point or per 1.00 and theta per day or per year (README of the recorded data). Which it is
    shows against Black-Scholes on contracts near the money. 1 and 1 where the file has no such columns.
    """
    rows = table.rows
    near = (
        (rows["iv"] > 0)
        & (np.abs(np.abs(rows["delta"]) - 0.5) < 0.2)
        & (rows["underlying_price"] > 0)
        & (rows["vega"] > 0)
        & (rows["theta"] < 0)
    )
    sample = np.flatnonzero(near)[:: max(1, int(near.sum()) // _SAMPLE)]
    if not len(sample):
        return 1.0, 1.0
    terms = [Osi.parse(table.keys[code]) for code in table.code[sample].tolist()]
    days = np.array(
        [
            (term.expiry - grid().dates[session]).days
            for term, session in zip(terms, rows.session[sample].tolist(), strict=True)
        ]
    )
    strikes: Floats = np.array([term.strike for term in terms])
    rights = np.array([term.right for term in terms])
    spot, volatility, years = (
        rows["underlying_price"][sample],
        rows["iv"][sample],
        np.maximum(days, 1) / black_scholes.DAYS_A_YEAR,
    )
    vega = np.median(rows["vega"][sample] / black_scholes.vega(spot, strikes, years, volatility, rights))
    theta = np.median(rows["theta"][sample] / black_scholes.theta(spot, strikes, years, volatility, rights))
    return 0.01 if vega > 10 else 1.0, 1 / black_scholes.DAYS_A_YEAR if theta > 20 else 1.0
