"""The recorded folder: which files there are, opened when first needed.

Here belong file names and columns. Every file may be absent: its table is then empty. Files of the folder that no
table names (recorded wire messages, reference greeks, the contract summary that looks ahead) are not read.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from hashlib import blake2s
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.simulator.recorded.factors import CorporateFactors
from trading_assets.simulator.recorded.recorded_files import BAR_COLUMNS, PRICES, Table

CHAIN_COLUMNS = (
    "underlying_price",
    "bid",
    "ask",
    "last",
    "volume",
    "open_interest",
    "iv",
    "delta",
    "gamma",
    "theta",
    "vega",
    "stale",
)

OPTION_FILES = (
    "option_bars_minute", "option_bars_hour", "option_bars_daily", "option_open_interest", "option_universe_lean",
    "option_chain_quotes_*",
)  # fmt: skip
EQUITY_FILES = ("equity_bars_daily", "equity_bars_hour", "equity_bars_minute")

_DISCOUNT_WINDOW_SPREAD = 0.50
"""Percentage points by which the Fed's primary credit rate stood above the policy rate for most of 2008-2020 (Federal
Reserve)."""


class Archive:
    """The tables of one folder. `folder` must exist; raises `FileNotFoundError` with a sentence if it does not."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder of recorded market data at {folder}: give an existing folder of Parquet files."
            )
        self.folder = folder

    def files(self, name: str) -> list[Path]:
        """The Parquet files of a name (a pattern), in order of name."""
        return sorted(self.folder.glob(f"{name}.parquet"))

    @cached_property
    def identity(self) -> str:
        """Eight hex digits that name the data: file names, row counts and sizes."""
        digest = blake2s(digest_size=4)
        for file in sorted(self.folder.glob("*.parquet")):
            digest.update(f"{file.name}:{pq.read_metadata(file).num_rows}:{file.stat().st_size};".encode())
        return digest.hexdigest()

    @cached_property
    def equity_daily(self) -> Table:
        return Table(self.files("equity_bars_daily"), "symbol", BAR_COLUMNS)

    @cached_property
    def equity_hour(self) -> Table:
        return Table(self.files("equity_bars_hour"), "symbol", BAR_COLUMNS)

    @cached_property
    def equity_minute(self) -> Table:
        return Table(self.files("equity_bars_minute"), "symbol", BAR_COLUMNS)

    @cached_property
    def option_daily(self) -> Table:
        return Table(self.files("option_bars_daily"), "osi", (*BAR_COLUMNS, "open_interest"))

    @cached_property
    def option_hour(self) -> Table:
        return Table(self.files("option_bars_hour"), "osi", BAR_COLUMNS)

    @cached_property
    def option_minute(self) -> Table:
        return Table(self.files("option_bars_minute"), "osi", BAR_COLUMNS)

    @cached_property
    def open_interest(self) -> Table:
        return Table(self.files("option_open_interest"), "osi", ("open_interest",))

    @cached_property
    def universe(self) -> Table:
        """Daily chain files: OHLC of quote mids. Their greeks come from a wrong underlying and are not read."""
        return Table(self.files("option_universe_lean"), "osi", (*PRICES, "open_interest"))

    @cached_property
    def chain_quotes(self) -> dict[Path, Table]:
        """Chain snapshots, one table a file, since each vendor has its own units (`chains`)."""
        return {file: Table([file], "osi", CHAIN_COLUMNS) for file in self.files("option_chain_quotes_*")}

    @cached_property
    def factors(self) -> CorporateFactors:
        return CorporateFactors(self.files("corporate_factors"))

    @cached_property
    def sec_types(self) -> dict[str, str]:
        """Security type of each symbol, where a file says it (the minute file does)."""
        found: dict[str, str] = {}
        for file in (file for name in EQUITY_FILES for file in self.files(name)):
            if {"symbol", "sec_type"} <= set(pq.read_schema(file).names):
                pairs = (
                    pq.read_table(file, columns=["symbol", "sec_type"]).group_by(["symbol", "sec_type"]).aggregate([])
                )
                found.update(zip(pairs.column("symbol").to_pylist(), pairs.column("sec_type").to_pylist(), strict=True))
        return found

    @cached_property
    def option_classes(self) -> dict[str, tuple[str, str]]:
        """Underlying and trading class of each OSI symbol in the folder."""
        found: dict[str, tuple[str, str]] = {}
        for file in (file for name in OPTION_FILES for file in self.files(name)):
            columns = ["osi", "underlying", "trading_class"]
            rows = (
                pq.read_table(file, columns=columns, read_dictionary=columns)
                .unify_dictionaries()
                .combine_chunks()
                .group_by(columns)
                .aggregate([])
            )
            osi, underlying, trading_class = (rows.column(name).to_pylist() for name in columns)
            found.update(zip(osi, zip(underlying, trading_class, strict=True), strict=True))
        return found

    @cached_property
    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        days, rates = [np.empty(0, dtype=np.int64)], [np.empty(0)]
        for file in self.files("interest_rate_us"):
            table = pq.read_table(file).sort_by("date")
            days.append(table.column("date").cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64))
            rates.append(table.column("fed_primary_credit_rate_pct").to_numpy())
        return np.concatenate(days), np.concatenate(rates)

    def interest_rate(self, day: date) -> float:
        """The short rate in force on a date, per 1.00 a year: primary credit less its usual spread; 0 where none is
        recorded."""
        days, rates = self._rates
        row = int(np.searchsorted(days, (day - date(1970, 1, 1)).days, side="right")) - 1
        return max(float(rates[row]) - _DISCOUNT_WINDOW_SPREAD, 0.0) / 100 if row >= 0 else 0.0
