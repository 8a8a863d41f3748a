"""The commands `export` and `report`: files for other programs and for people."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading_assets.cli.app import run
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets_tests.cli.conftest import Output
from trading_assets_tests.repositories.frames import bar, table


def test_rows_are_written_in_the_format_of_the_files_name(small_lake: Path, tmp_path: Path, capsys: Output) -> None:
    arguments = ["--symbol", "aapl", "--from", "2015-12-22", "--to", "2015-12-23"]
    assert run(["export", "equity_bars", str(tmp_path / "bars.parquet"), *arguments]) == 0
    assert "2 rows of equity_bars" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "bars.parquet")["symbol"].to_pylist() == ["AAPL", "AAPL"]
    assert run(["export", "equity_bars", str(tmp_path / "bars.csv"), "--as-of", "2015-12-01T00:00Z"]) == 0
    assert len((tmp_path / "bars.csv").read_text().splitlines()) == 1, "nothing was known then"


@pytest.mark.parametrize(
    ("format", "file"), [("nautilus", "data/equity/*/*.parquet"), ("lean", "equity/usa/daily/*.zip")]
)
def test_bars_for_other_programs_fill_a_folder(
    small_lake: Path, tmp_path: Path, capsys: Output, format: str, file: str
) -> None:
    day = date(2015, 12, 28)
    odd = [bar(day, symbol="SPY", volume=None), bar(day, symbol="AAPL", open=100.00001)]
    ParquetStore(small_lake).upsert(EQUITY_BARS, table(EQUITY_BARS, odd))
    out = tmp_path / "bars"
    assert run(["export", "equity_bars", str(out), "--format", format]) == 0
    said = capsys.readouterr().out
    assert "Left out: 1 (no volume is known)." in said
    assert ("Left out: 1 (a price has more than 4 decimals)." in said) is (format == "lean")
    assert f"{8 if format == 'lean' else 9} rows of equity_bars in " in said
    assert len(list(out.glob(file))) == 2
    assert run(["export", "equity_bars", str(out), "--format", format]) == 2
    assert "exists, and nothing is replaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["bars", "x.csv"], "'bars' is no dataset: contracts, option_chains"),
        (["equity_bars", "x.xls"], "'xls' is no format"),
        (["equity_bars", "x"], "or give --format nautilus or lean for a folder"),
        (["contracts", "x", "--format", "lean"], "lean is a format for bars: export equity_bars or option_bars"),
        (["equity_bars", "x.csv", "--as-of", "2015-12-01"], "give an instant with a time zone"),
    ],
)
def test_what_cannot_be_written_is_refused(
    small_lake: Path, tmp_path: Path, capsys: Output, arguments: list[str], part: str
) -> None:
    assert run(["export", *arguments]) == 2
    assert part in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    "command",
    [
        ["export", "equity_bars", "equity_bars/1_day/2015.parquet"],
        ["export", "equity_bars", "--format", "lean", "lean"],
        ["report", "--out", "lake.json"],
        ["coverage", "--picture", "state.db"],
        ["quality", "--picture", "equity_bars/x.parquet"],
    ],
    ids=" ".join,
)
def test_no_command_writes_a_file_among_those_of_the_archive(
    small_lake: Path, capsys: Output, command: list[str]
) -> None:
    before = {path: path.read_bytes() for path in small_lake.rglob("*") if path.is_file()}
    assert run([*command[:-1], str(small_lake / command[-1])]) != 0
    assert "in the data folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in small_lake.rglob("*") if path.is_file()} == before


def test_there_is_no_report_of_a_folder_without_a_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "nothing"))
    assert run(["report"]) == run(["report", "--text"]) == 1
    assert "holds no lake" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_the_report_is_a_file_or_text(small_lake: Path, capsys: Output) -> None:
    assert run(["report"]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.parent == small_lake / "reports" and written.read_text().startswith("<!doctype html>")
    assert run(["report", "--text"]) == 0
    assert "Open alerts" in capsys.readouterr().out
