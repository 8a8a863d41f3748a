"""Bars as a catalog of nautilus_trader, read with its `ParquetDataCatalog`.

The files are written with pyarrow alone, as releases 1.221 to 1.231 read them: prices and volumes are 128-bit integers
of 1e-16, which is what nautilus_trader's wheels for Linux and macOS hold ("high precision"). Bars are stamped with
their end (`ts_event` and `ts_init`): regular hours end a bar at the close. Options are at the venue SMART under their
OSI symbol, stocks at their primary exchange. What a bar of nautilus_trader has no place for (`wap`, `bar_count`, where
a row comes from) stays in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.repositories.exported_bars import BATCH_ROWS, NUMBERS, PRICES, Exported, decimals, each_symbol
from trading_assets.repositories.filled_folder import filling
from trading_assets.repositories.schemas import OPTION_BARS, Dataset
from trading_assets.sessions import NEW_YORK, calendar

PRECISION, LARGEST = 16, 17_014_118_346_046
"""Decimals of nautilus_trader's fixed-point numbers, and its largest price."""

_NUMBER = pa.binary(16)
_BAR = pa.schema(
    [pa.field(name, _NUMBER, False) for name in NUMBERS]
    + [pa.field(name, pa.uint64(), False) for name in ("ts_event", "ts_init")]
)
_FEES = dict.fromkeys(("margin_init", "margin_maint", "maker_fee", "taker_fee"), "0")
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("id", "strike_price"), pa.dictionary(pa.int64(), pa.string())),
    **dict.fromkeys(("asset_class", "option_kind"), pa.dictionary(pa.int8(), pa.string())),
    **dict.fromkeys(("raw_symbol", "isin", *_FEES), pa.string()),
    **dict.fromkeys(("price_precision", "size_precision"), pa.uint8()),
    **dict.fromkeys(("activation_ns", "expiration_ns", "ts_event", "ts_init"), pa.uint64()),
    "info": pa.binary(),
}
_TYPE_OF_OTHERS = pa.dictionary(pa.int16(), pa.string())

_REASONS = f"""
    when {decimals("volume")} > 0 then 'a volume has decimals, and nautilus_trader has whole units'
    when {decimals(*PRICES)} > {PRECISION} or greatest({", ".join(NUMBERS)}) > {LARGEST}
    then 'a number has more than {PRECISION} decimals or is too large'"""

_SERIES = """
    create or replace temp view series as
    select *, instrument || '-' || split_part(bar_size, ' ', 1)
            || case split_part(bar_size, ' ', 2)[1]
                when 's' then '-SECOND' when 'm' then '-MINUTE' when 'h' then '-HOUR' else '-DAY' end
            || '-LAST-EXTERNAL' as bar_type
    from (select *, replace({name}, '@', '_') || '.' || {venue} as instrument from bars where left_out is null)"""


def write_nautilus_catalog(
    lake: duckdb.DuckDBPyConnection, dataset: Dataset, source: str, parameters: Sequence[Any], folder: Path
) -> Exported:
    """Write the bars that `source` selects into a catalog. Raises `InvalidRequest` where it has such bars already."""
    with filling(folder, whole_folders=True) as temporary:
        parts = each_symbol(lake, dataset, source, parameters, _REASONS)
        return Exported.together(_written(temporary, lake, dataset is OPTION_BARS, part) for part in parts)


def _written(folder: Path, lake: duckdb.DuckDBPyConnection, options: bool, part: Exported) -> Exported:
    name, venue = ("local_symbol", "'SMART'") if options else ("symbol", "coalesce(primary_exchange, 'SMART')")
    lake.execute(_SERIES.format(name=name, venue=venue))
    instruments = lake.sql(f"""
        select instrument, greatest(2, max({decimals(*PRICES)})) as precision, any_value(columns(* exclude instrument))
        from series group by instrument""")
    precisions = {}
    for row in instruments.to_arrow_table().to_pylist():
        _write_instrument(folder, row, options)
        precisions[row["instrument"]] = row["precision"]
    _write_bars(folder, lake, precisions)
    return part


def _write_instrument(folder: Path, row: dict[str, Any], options: bool) -> None:
    precision, index = row["precision"], row["sec_type"] == "IND"
    values = {
        "id": row["instrument"],
        "raw_symbol": row["local_symbol" if options else "symbol"],
        "currency": "USD",
        "price_precision": precision,
        "price_increment": f"{10**-precision:.{precision}f}",
        "info": json.dumps({name: row[name] for name in ("con_id", "trading_class") if name in row}).encode(),
        **dict.fromkeys(("ts_event", "ts_init"), 0),
    }
    if options:
        kind, name = "OptionContract", "option_contract"
        values |= {"underlying": row["symbol"], "asset_class": "INDEX" if index else "EQUITY", "exchange": None}
        values |= {"option_kind": "CALL" if row["right"] == "C" else "PUT", "strike_price": row["strike_text"]}
        values |= {"multiplier": row["multiplier_text"], "lot_size": "1", "size_precision": 0, "size_increment": "1"}
        values |= {"activation_ns": 0, "expiration_ns": _expires(row["expiry"]), **_FEES}
    elif index:
        kind, name = "IndexInstrument", "index_instrument"
        values |= {"size_precision": 0, "size_increment": "1"}
    else:
        kind, name = "Equity", "equity"
        values |= {"lot_size": "1", "isin": None, **_FEES}
    schema = pa.schema([(name, _TYPES.get(name, _TYPE_OF_OTHERS)) for name in values], {"class": kind})
    pq.write_table(pa.Table.from_pylist([values], schema), _file(folder / "data" / name / row["instrument"], 0, 0))


def _expires(expiry: date) -> int:
    """The close of the last session of a contract, in nanoseconds; 16:00 in New York where the calendar ends before."""
    days = calendar()
    known = days.first <= expiry <= days.last
    close = days.closes_at(days.on_or_before(expiry)) if known else datetime.combine(expiry, time(16), NEW_YORK)
    return int(close.timestamp()) * 1_000_000_000


def _write_bars(folder: Path, lake: duckdb.DuckDBPyConnection, precisions: dict[str, int]) -> None:
    series = lake.execute("select bar_type, instrument, min(ends) * 1000, max(ends) * 1000 from series group by 1, 2")
    known = {bar_type: rest for bar_type, *rest in series.fetchall()}
    numbers = ", ".join(f"cast({name}_text as decimal(38, {PRECISION})) as {name}" for name in NUMBERS)
    sql = f"select {numbers}, cast(ends * 1000 as ubigint) as ts, bar_type from series order by bar_type, start"
    for bar_type, runs in groupby(_runs(lake.sql(sql).to_arrow_reader(BATCH_ROWS)), key=lambda run: run[0]):
        instrument, *between = known[bar_type]
        words = {"bar_type": bar_type, "instrument_id": instrument, "price_precision": str(precisions[instrument])}
        schema = _BAR.with_metadata({**words, "size_precision": "0"})
        with pq.ParquetWriter(_file(folder / "data" / "bar" / bar_type, *between), schema) as writer:
            for _, batch in runs:
                columns = [batch[name].view(_NUMBER) for name in NUMBERS]
                writer.write_batch(pa.record_batch([*columns, batch["ts"], batch["ts"]], schema))


def _runs(reader: pa.RecordBatchReader) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Parts of the batches that are of one series each."""
    for batch in reader:
        runs = pc.run_end_encode(batch["bar_type"])
        begin = 0
        for end, bar_type in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
            yield bar_type, batch.slice(begin, end - begin)
            begin = end


def _file(folder: Path, *instants: int) -> Path:
    """The file of what lies between two instants (nanoseconds), in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    words = (f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%dT%H-%M-%S}-{ns % 10**9:09}Z" for ns in instants)
    return folder / f"{'_'.join(words)}.parquet"
