"""`trading_assets.Archive`, the component for `dg`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import trading_assets as ta
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.examples.conftest import EXAMPLES


def built(**attributes: Any) -> dg.Definitions:
    """The definitions of a `defs.yaml` with these attributes."""
    component = ta.Archive.from_attributes_dict(attributes=attributes)
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_it_is_the_platform_with_the_settings_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "4001")
    monkeypatch.setenv("TRADING_ASSETS_SNAPSHOT_LEAD_MINUTES", "30")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    given = {"data_dir": "{{ env.FOLDER }}", "ib_port": 7497, "selection": {"max_days_to_expiry": 30}}
    defs = built(settings=given)
    archive = (defs.resources or {})["archive"]
    assert isinstance(archive, ta.ArchiveResource)
    settings = archive.settings()
    assert (settings.data_dir, settings.ib_port, settings.snapshot_lead_minutes) == (tmp_path, 7497, 30)
    assert settings.selection.max_days_to_expiry == 30
    ours = ta.build_defs()
    assert defs.resolve_asset_graph().get_all_asset_keys() == ours.resolve_asset_graph().get_all_asset_keys()
    assert {job.name for job in defs.jobs or ()} == {job.name for job in ours.jobs or ()}
    assert len(list(defs.sensors or ())) == len(list(ours.sensors or ()))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"symbols": ["A/B"]}, "'A/B' is not a US stock, ETF or index symbol"),
        ({"settings": {"data_dri": "x"}}, "data_dri"),
        ({"settings": {"ib_port": "many"}}, "valid integer"),
        ({"settings": {"snapshot_lead_minutes": 0}}, "greater than or equal to 1"),
        ({"settings": {"selection": {"max_days": 5}}}, "The selection of options has no max_days"),
        ({"settings": {"database_url": "postgresql://desk:secret@host/x"}}, "database_url"),
        ({"symbol": "AAPL"}, "symbol"),
    ],
)
def test_wrong_attributes_are_named(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        built(**attributes)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def test_declared_symbols_join_the_universe_once(settings: Settings) -> None:
    Universe(settings.state_url).add(["MSFT"])
    Universe(settings.state_url).remove("MSFT")
    defs = built(symbols=["aapl", "brk.b", "MSFT"], settings={"data_dir": str(settings.data_dir)})
    (sensor,) = [each for each in defs.sensors or () if each.name == "declared_symbols"]
    assert isinstance(sensor, dg.SensorDefinition)

    def look() -> str:
        with dg.build_sensor_context(resources={"archive": (defs.resources or {})["archive"]}) as context:
            found = sensor.evaluate_tick(context).skip_message
        assert found is not None
        return found

    assert look().startswith("Added to the universe: ")
    assert {"AAPL", "BRK B"} <= set(Universe(settings.state_url).active())
    assert "MSFT" not in Universe(settings.state_url).active(), "who removed it by hand meant it"
    assert look() == "The universe knows every symbol of defs.yaml."


@pytest.mark.slow
def test_dg_knows_and_checks_it(tmp_path: Path) -> None:
    project = EXAMPLES / "dg_project"
    dg_command = Path(sys.executable).with_name("dg")
    path = os.pathsep.join(map(str, (project / "src", REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")]))))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")},
        "PATH": f"{dg_command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": path,
        "PYTHONWARNINGS": "ignore",
        "HOME": str(tmp_path),
        "COLUMNS": "200",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [dg_command, *arguments],
            env=environment,
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert "trading_assets.Archive" in run("list", "components")
    assert "validated successfully" in run("check", "yaml")
    assert "All definitions loaded successfully" in run("check", "defs")
    assert not list((project / "src").rglob("*.db")), "checking opens no lake"
