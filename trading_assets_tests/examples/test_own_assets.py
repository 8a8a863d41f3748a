"""Assets of a user downstream of the archive, in its code location and in another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from trading_assets.settings import Settings
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.examples.conftest import EXAMPLES, Example

CHAINS = dg.AssetKey("option_chains")
SESSION = "2024-01-02"


def test_an_asset_of_the_same_location(settings: Settings, example: Example, tmp_path: Path) -> None:
    module = example("own_assets/same_location")
    graph = module.defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey("smiles")).parent_keys == {CHAINS}
    assert graph.get(CHAINS).is_executable
    run = module.defs.resolve_job_def("research").execute_in_process(partition_key=SESSION)
    assert run.success
    smile = pd.read_parquet(tmp_path / "research" / "smiles" / f"{SESSION}.parquet")
    assert smile.groupby("symbol")["contracts"].sum().to_dict() == {"AAPL": 4, "SPY": 16}
    assert smile["call_delta"].between(0, 1).all()
    (check,) = run.get_asset_check_evaluations()
    assert check.passed


def test_an_asset_of_another_location(settings: Settings, example: Example, tmp_path: Path) -> None:
    module = example("own_assets/other_location")
    graph = module.defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey("put_call_ratios")).parent_keys == {CHAINS}
    assert graph.get(CHAINS).is_external
    job = module.defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(partition_key=SESSION).success
    ratios = pd.read_parquet(tmp_path / "research" / "put_call_ratios" / f"{SESSION}.parquet")
    assert ratios["symbol"].tolist() == ["AAPL", "SPY"]
    assert (ratios["by_interest"] > 0).all()


GRAPH = "{ assetNodes { assetKey { path } dependencyKeys { path } isMaterializable repository { location { name } } } }"


@pytest.mark.slow
def test_dagster_joins_the_graphs_of_both_locations(settings: Settings, tmp_path: Path) -> None:
    graphql = "from dagster_graphql.cli import main; main()"
    command = [sys.executable, "-c", graphql, "-w", str(EXAMPLES / "own_assets" / "workspace.yaml")]
    done = subprocess.run(
        [*command, "--ephemeral-instance", "-t", GRAPH],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    nodes = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))["data"]["assetNodes"]
    by_key = {node["assetKey"]["path"][0]: node for node in nodes}
    assert by_key["option_chains"]["repository"]["location"]["name"] == "trading_assets"
    assert by_key["option_chains"]["isMaterializable"], "the archive's asset, not the one that is only named"
    for name, location in (("smiles", "trading_assets"), ("put_call_ratios", "research")):
        assert by_key[name]["repository"]["location"]["name"] == location
        assert by_key[name]["dependencyKeys"] == [{"path": ["option_chains"]}]


@pytest.mark.slow
def test_the_users_test_passes(example: Example, tmp_path: Path) -> None:
    example("own_assets/test_own_assets").test_smiles_of_a_new_symbol(tmp_path)
