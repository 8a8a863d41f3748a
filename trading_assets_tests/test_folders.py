"""Data folders with names that mean something in other languages: everything works there and stays there, or is refused
in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import deserialize_value

from trading_assets.cli.app import run
from trading_assets.folders import usable_folder
from trading_assets.repositories import connect, query, write_catalog
from trading_assets.resources.instance import dagster_instance, instance_reference
from trading_assets.resources.launcher import LaunchOnce
from trading_assets.resources.storage import CompactEventLogStorage
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps, through_dagster
from trading_assets_tests.endurance.conftest import NOW, settings_of

pytestmark = pytest.mark.slow

Output = pytest.CaptureFixture[str]

WORST = " 'a': \"b\" #c [1]*{d,e} 100% $HOME `;&=~ ü日本😀 [bold]"
"""Quotes of SQL, shell and YAML, a comment, patterns, markup, an incomplete escape, and characters of one to four
bytes."""

USABLE = ["a: b #c", "a[1]*b", 'it\'s "quoted"', "100% $HOME `x`", "ü日本😀", "~"]

REFUSED = {
    "a?b": "a question mark",
    "back\\slash": "a backslash",
    "a%20b": "a percent sign before two hexadecimal digits",
    "two\nlines": "a line break or another control character",
    "bell\x07": "a line break or another control character",
    "latin\udcfc": "a byte that is not UTF-8",
}


@pytest.fixture(scope="module")
def tws() -> Iterator[Simulator]:
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as simulator:
        yield simulator


@pytest.fixture
def desk(tws: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above the data folders; commands find the simulator."""
    for name in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    for name, value in settings_of(tmp_path, tws).environment().items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "desk"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def check_lake(settings: Settings, capsys: Output) -> None:
    """Everything that reads the lake finds what was collected, and nothing lies beside the folder."""
    folder = settings.data_dir
    assert run(["status", "--no-probe"]) == 0, capsys.readouterr().out
    assert str(folder) in capsys.readouterr().out
    assert run(["query", "select count(*) as n from equity_bars where bar_size = '1 day'", "--json"]) == 0
    (rows,) = query(folder, "select count(*) as n from equity_bars")["n"].to_pylist()
    assert rows > 0 and f'"n": {rows}' in capsys.readouterr().out
    assert connect(folder).execute("select count(distinct dataset) from coverage").fetchall() == [(4,)]
    with duckdb.connect(str(write_catalog(folder)), read_only=True) as client:
        assert client.execute("select count(*) from equity_bars").fetchall() == [(rows,)]
    assert run(["validate", "AAPL"]) == 0
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}
    assert {"lake.json", "state.db", "equity_bars"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", USABLE)
def test_a_folder_with_such_a_name_is_set_up_and_read(
    desk: Path, tws: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: Output, name: str
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(desk / name))
    settings = settings_of(desk / name, tws)
    Universe(settings.state_url).add(["AAPL"], now=NOW)
    assert by_the_steps(settings, ["AAPL"])["success"]
    check_lake(Settings(), capsys)
    assert connect_state(settings.state_url).url.database == str(desk / name / "state.db")


def test_a_dagster_run_works_in_the_worst_of_them(
    desk: Path, tws: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(desk / WORST))
    assert through_dagster(settings_of(desk / WORST, tws), ["AAPL"])["success"]
    check_lake(Settings(), capsys)
    assert (desk / WORST / "dagster" / "history" / "runs.db").is_file()


@pytest.mark.parametrize("name", ["a[1]*b", "a*", WORST])
def test_the_settings_of_dagster_hold_in_a_folder_named_like_a_pattern(tmp_path: Path, name: str) -> None:
    other = Settings(data_dir=tmp_path / "ab")  # a lake whose name the patterns match
    with dagster_instance(other):
        pass
    settings = Settings(data_dir=tmp_path / name)
    reference = deserialize_value(instance_reference(settings), InstanceRef)
    with dagster_instance(settings) as mine, dg.DagsterInstance.from_ref(reference) as handed_on:
        for instance in (mine, handed_on):
            assert isinstance(instance.event_log_storage, CompactEventLogStorage)
            assert isinstance(instance.run_launcher, LaunchOnce)
            assert instance.event_log_storage.path_for_shard("index").startswith(f"{settings.data_dir}/")
            assert not instance.telemetry_enabled and not instance.nux_enabled


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_cannot_work_is_refused_before_anything_is_made(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, name: str
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(desk / name))
    for command in (["status"], ["setup", "AAPL"], ["query", "select 1"], ["universe", "list"]):
        assert run(command) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and f"its path has {REFUSED[name]}" in said and "Rename the folder" in said
    with pytest.raises(ValueError, match=REFUSED[name]):
        connect(desk / name)
    with pytest.raises(ValueError, match=REFUSED[name]):
        usable_folder(desk / name / "below")
    assert list(desk.iterdir()) == []
