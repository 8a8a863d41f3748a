"""Export: each format is read back as the rows of the lake."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from trading_assets.errors import InvalidRequest
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.as_of import FIRST
from trading_assets.repositories.export import FOLDERS, FORMATS, Format, export
from trading_assets.repositories.schemas import DATASETS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
from trading_assets_tests.repositories.frames import NOON, bar, chain_row, option_bar, table

SESSIONS = (date(2014, 6, 6), date(2014, 6, 9), date(2015, 12, 24))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    store = ParquetStore(tmp_path / "lake")
    rows = [bar(day, 90.0, symbol=s, wap=None) for day in SESSIONS for s in ("AAPL", "SPY")]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, rows))
    later = [bar(SESSIONS[0], 91.0, symbol="SPY", wap=None, collected_at=NOON + timedelta(days=9), request_id=9)]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, later))
    store.upsert(OPTION_CHAINS, table(OPTION_CHAINS, [chain_row(SESSIONS[0])]))
    return store.data_dir


def read(path: Path, format: str) -> pa.Table:
    if format == "csv":
        options = pyarrow.csv.ConvertOptions(column_types=EQUITY_BARS.schema, strings_can_be_null=False)
        return pyarrow.csv.read_csv(path, convert_options=options)
    return pyarrow.feather.read_table(path) if format == "feather" else pq.ParquetFile(path).read()


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_exported_is_what_the_lake_holds(lake: Path, tmp_path: Path, format: Format) -> None:
    out = tmp_path / "out" / f"bars.{format}"
    out.parent.mkdir()
    rows = export(lake, EQUITY_BARS, out, format=format)

    stored = ParquetStore(lake).read(EQUITY_BARS).to_pylist()
    assert rows == 6
    assert read(out, format).to_pylist() == sorted(stored, key=lambda row: (row["symbol"], row["start"]))
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_symbols_sessions_and_the_instant_restrict_the_rows(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "bars.parquet"
    assert export(lake, EQUITY_BARS, out, symbols=["SPY"], last=SESSIONS[1], as_of=FIRST) == 2
    assert pq.ParquetFile(out).read()["close"].to_pylist() == [90.0, 90.0]
    assert export(lake, EQUITY_BARS, out, symbols=["SPY"], last=SESSIONS[1]) == 2
    assert pq.ParquetFile(out).read()["close"].to_pylist() == [91.0, 90.0]
    assert export(lake, EQUITY_BARS, out, symbols=["MSFT"]) == 0
    assert pq.ParquetFile(out).read().schema.names == EQUITY_BARS.schema.names


def test_a_failed_export_leaves_what_was_there(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "bars.csv"
    out.write_text("mine")
    (lake / "equity_bars" / "1_day" / "2014.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(ValueError, match=r"2014\.parquet"):
        export(lake, EQUITY_BARS, out, format="csv")
    assert out.read_text() == "mine" and {path.name for path in tmp_path.iterdir()} == {"bars.csv", "lake"}


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format", FOLDERS)
def test_nothing_in_a_folder_is_replaced(lake: Path, tmp_path: Path, format: Format) -> None:
    ParquetStore(lake).upsert(OPTION_BARS, table(OPTION_BARS, [option_bar(SESSIONS[2])]))
    out = tmp_path / "out" / "bars"
    assert export(lake, EQUITY_BARS, out, format=format, symbols="SPY", first=SESSIONS[1]) == 2
    assert export(lake, OPTION_BARS, out, format=format) == 1, "the same folder holds both"
    mine = out / "mine.txt"
    mine.write_text("mine")
    before = listing(out)
    with pytest.raises(InvalidRequest, match=r"(SPY|spy).* exists, and nothing is replaced: remove it, or export into"):
        export(lake, EQUITY_BARS, out, format=format)
    assert listing(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["bars"]
    with pytest.raises(InvalidRequest, match=r"mine\.txt is a file: name a folder"):
        export(lake, EQUITY_BARS, mine, format=format)


@pytest.mark.parametrize("format", FOLDERS)
def test_a_folder_is_as_it_was_when_the_export_fails(lake: Path, tmp_path: Path, format: Format) -> None:
    out = tmp_path / "bars"
    (lake / "equity_bars" / "1_day" / "2014.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(ValueError, match=r"2014\.parquet"):
        export(lake, EQUITY_BARS, out, format=format)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_a_folder_is_for_bars(lake: Path, tmp_path: Path) -> None:
    for format in FOLDERS:
        for dataset in DATASETS.keys() - {"equity_bars", "option_bars"}:
            with pytest.raises(InvalidRequest, match=f"{format} is a format for bars: export equity_bars or option_ba"):
                export(lake, dataset, tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", FOLDERS)
def test_a_folder_holds_prices_as_first_collected(lake: Path, tmp_path: Path, format: Format) -> None:
    for name, as_of in (("now", None), ("first", FIRST)):
        export(lake, EQUITY_BARS, tmp_path / name, format=format, symbols="SPY", last=SESSIONS[0], as_of=as_of)
    now, first = listing(tmp_path / "now"), listing(tmp_path / "first")
    assert now.keys() == first.keys()
    assert now != first


def test_no_rows_make_an_empty_folder(lake: Path, tmp_path: Path) -> None:
    for format in FOLDERS:
        written = export(lake, EQUITY_BARS, tmp_path / format, format=format, symbols="MSFT")
        assert (written, written.left_out, written.zero_volumes) == (0, {}, 0)
        assert list((tmp_path / format).iterdir()) == []
