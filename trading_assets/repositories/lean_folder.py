"""Bars as the folders and zip files of Lean (QuantConnect), to copy into or use as its data folder.

Lean names a bar by its start, in New York: minutes and seconds in milliseconds since midnight, hours rounded down to
the hour (the bar that opens at 9:30 is 09:00) and days at midnight. Prices are whole numbers of 1/10000 dollar. Lean's
readers need neither map files nor factor files; with those of its own it would adjust prices for splits once more,
since equity bars are adjusted already. Options on an index are European, except on OEX.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from trading_assets.repositories.exported_bars import PRICES, Exported, decimals, each_symbol
from trading_assets.repositories.filled_folder import filling
from trading_assets.repositories.schemas import OPTION_BARS, Dataset

RESOLUTIONS = {"1 secs": "second", "1 min": "minute", "1 hour": "hour", "1 day": "daily"}
"""Lean's name of each bar size that it has."""

_SIZES = ", ".join(f"'{size}'" for size in RESOLUTIONS)

_REASONS = f"""
    when bar_size not in ({_SIZES}) then 'Lean has no bars of ' || bar_size
    when {decimals(*PRICES)} > 4 then 'a price has more than 4 decimals'"""

_EQUITY_REASONS = """
    when sec_type = 'IND' then 'bars of an index, whose time zone depends on the market hours of the Lean in use'"""

_OPTION_REASONS = f"""
    when {decimals("strike")} > 4 then 'a strike has more than 4 decimals'
    when multiplier <> 100 or regexp_matches(trading_class, '[0-9]$')
    then 'adjusted contracts, for which Lean has no name'"""

_CASES = " ".join(f"when '{size}' then '{name}'" for size, name in RESOLUTIONS.items())
_RESOLUTION = f"case bar_size {_CASES} end"

_TICKER = "lower(replace(replace({}, ' ', '.'), '@', '.'))"

_EQUITY_NAMES = f"""
    select *, strftime(session, '%Y%m%d') as day, {_RESOLUTION} as resolution, {_TICKER.format("symbol")} as ticker,
        'equity/usa/' || resolution || '/' || ticker as stem, bar_size in ('1 hour', '1 day') as coarse,
        stem || if(coarse, '', '/' || day || '_trade') || '.zip' as zip,
        if(coarse, ticker, concat_ws('_', day, ticker, resolution, 'trade')) || '.csv' as entry
    from bars where left_out is null"""

_OPTION_NAMES = f"""
    select *, strftime(session, '%Y%m%d') as day, {_RESOLUTION} as resolution,
        bar_size in ('1 hour', '1 day') as coarse, sec_type is not distinct from 'IND' as of_index,
        {_TICKER.format("if(of_index, trading_class, symbol)")} as ticker,
        if(of_index and trading_class <> 'OEX', 'european', 'american') as style,
        if(of_index, 'indexoption', 'option') || '/usa/' || resolution || '/' || ticker as stem,
        stem || if(coarse, '_' || year(session), '/' || day) || '_trade_' || style || '.zip' as zip,
        concat_ws('_', if(coarse, null, day), ticker, if(coarse, null, resolution), 'trade', style,
            if("right" = 'C', 'call', 'put'), {{strike}}, strftime(expiry, '%Y%m%d')) || '.csv' as entry
    from bars where left_out is null"""


def _tenthousandths(name: str) -> str:
    return f"cast(cast({name}_text as decimal(38, 4)) * 10000 as hugeint)"


_STAMP = """
    case resolution when 'daily' then day || ' 00:00'
        when 'hour' then day || ' ' || strftime(make_timestamp(on_the_grid), '%H:%M')
        else cast(since_midnight // 1000 as varchar) end"""

_LINE = f"concat_ws(',', {_STAMP}, {', '.join(map(_tenthousandths, PRICES))}, volume_text)"


def write_lean_folder(
    lake: duckdb.DuckDBPyConnection, dataset: Dataset, source: str, parameters: Sequence[Any], folder: Path
) -> Exported:
    """Write the bars that `source` selects as Lean's zip files. Raises `InvalidRequest` where one of them exists."""
    reasons = _REASONS + (_OPTION_REASONS if dataset is OPTION_BARS else _EQUITY_REASONS)
    names = _OPTION_NAMES.format(strike=_tenthousandths("strike")) if dataset is OPTION_BARS else _EQUITY_NAMES
    with filling(folder) as temporary:
        return Exported.together(
            _written(temporary, lake, names, part) for part in each_symbol(lake, dataset, source, parameters, reasons)
        )


def _written(folder: Path, lake: duckdb.DuckDBPyConnection, names: str, part: Exported) -> Exported:
    files = lake.execute(f"""
        select zip, entry, string_agg({_LINE}, chr(10) order by start) || chr(10)
        from ({names}) group by zip, entry order by zip, entry""")
    for name, entries in groupby(iter(files.fetchone, None), key=lambda row: row[0]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as file:
            for _, entry, lines in entries:
                # With a fixed time: the same rows give the same file.
                file.writestr(zipfile.ZipInfo(entry), lines, zipfile.ZIP_DEFLATED)
    return part
