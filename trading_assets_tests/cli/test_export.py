"""The commands `export` and `report`: files for other programs and for people."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading_assets.cli.app import run
from trading_assets_tests.cli.conftest import Output


def test_rows_are_written_in_the_format_of_the_files_name(small_lake: Path, tmp_path: Path, capsys: Output) -> None:
    arguments = ["--symbol", "aapl", "--from", "2015-12-22", "--to", "2015-12-23"]
    assert run(["export", "equity_bars", str(tmp_path / "bars.parquet"), *arguments]) == 0
    assert "2 rows of equity_bars" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "bars.parquet")["symbol"].to_pylist() == ["AAPL", "AAPL"]
    assert run(["export", "equity_bars", str(tmp_path / "bars.csv"), "--as-of", "2015-12-01T00:00Z"]) == 0
    assert len((tmp_path / "bars.csv").read_text().splitlines()) == 1, "nothing was known then"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["bars", "x.csv"], "'bars' is no dataset: contracts, option_chains"),
        (["equity_bars", "x.xls"], "'xls' is no format"),
        (["equity_bars", "x.csv", "--as-of", "2015-12-01"], "give an instant with a time zone"),
    ],
)
def test_what_cannot_be_written_is_refused(
    small_lake: Path, tmp_path: Path, capsys: Output, arguments: list[str], part: str
) -> None:
    assert run(["export", *arguments]) == 2
    assert part in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


def test_the_report_is_a_file_or_text(small_lake: Path, capsys: Output) -> None:
    assert run(["report"]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.parent == small_lake / "reports" and written.read_text().startswith("<!doctype html>")
    assert run(["report", "--text"]) == 0
    assert "Open alerts" in capsys.readouterr().out
