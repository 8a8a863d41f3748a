"""Which folder holds a lake, and in which one may be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_assets.arguments import holds_lake, lake_folder, new_lake_folder, output_file
from trading_assets.errors import InvalidRequest, NotALake


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for special in (pipe, Path(os.devnull)):
        with pytest.raises(InvalidRequest, match=r"^--picture is '.*', and this is a device or a pipe, whose place"):
            output_file(special, tmp_path / "lake", "--picture")


def test_a_lake_is_told_by_its_identity_or_its_data(tmp_path: Path) -> None:
    foreign, identified, lost, older = (tmp_path / name for name in ("foreign", "identified", "lost", "older"))
    for file in (
        foreign / "contracts" / "Token.sol",
        identified / "lake.json",
        lost / "contracts" / "2024.parquet",
        older / "equity_bars" / "bar_size=1_day" / "2024.parquet",
    ):
        file.parent.mkdir(parents=True)
        file.touch()
    assert [holds_lake(folder) for folder in (foreign, identified, lost, older)] == [False, True, True, True]
    assert lake_folder(str(lost)) == lost
    with pytest.raises(NotALake, match=r"foreign holds no lake: it has neither lake\.json nor data\. Give the folder"):
        lake_folder(foreign)
    with pytest.raises(NotALake, match=r"there is no such folder\. Did you mean .*lost\?"):
        lake_folder(lost / "data")


def test_a_new_lake_may_be_made_anywhere_but_inside_another(tmp_path: Path) -> None:
    (tmp_path / "lake.json").touch()
    assert new_lake_folder(tmp_path / "simulated") == tmp_path / "simulated"
    assert new_lake_folder("contracts") == Path("contracts"), "a name is no lake"
    for folder in (tmp_path / "equity_bars", tmp_path / "lake.json"):
        with pytest.raises(NotALake, match="Did you mean"):
            new_lake_folder(folder)
    for value in ("", "  ", None, 5):
        with pytest.raises(InvalidRequest, match=r"base_path is .*, and the path of a data folder is wanted"):
            new_lake_folder(value)
    with pytest.raises(ValueError, match=r"a question mark"):
        new_lake_folder("what?")


def test_no_file_is_written_among_those_of_the_archive(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    (lake / "equity_bars").mkdir(parents=True)
    (tmp_path / "link").symlink_to(lake / "equity_bars")
    for allowed in (tmp_path / "bars.csv", lake / "reports" / "bars.csv", str(tmp_path / "new" / "bars.csv")):
        assert output_file(allowed, lake) == Path(allowed)
    for refused in (
        lake / "equity_bars" / "x.csv",
        tmp_path / "link" / "x.csv",
        lake / "lake.json",
        lake / "x" / ".." / "y",
    ):
        with pytest.raises(InvalidRequest, match=r"path is .*, in the data folder .*lake, .* or in .*reports\."):
            output_file(refused, lake)
    with pytest.raises(InvalidRequest, match="this is a folder"):
        output_file(tmp_path, lake)
    for value in ("", 5, None):
        with pytest.raises(InvalidRequest, match="the path of a file is wanted"):
            output_file(value, lake)
