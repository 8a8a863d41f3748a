"""How to test an asset of your own: the archive on a folder of the test and on a simulated TWS, over the wire."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd
from frames import FrameFiles
from same_location import with_own_assets

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket

AFTER_THE_CLOSE = datetime.fromisoformat("2024-06-03T16:30-04:00")
FEW = {"max_days_to_expiry": 8, "strikes_around_spot": 2}


def test_smiles_of_a_new_symbol(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=AFTER_THE_CLOSE, limits=False) as tws:
        defs = with_own_assets(
            FrameFiles(folder=str(tmp_path / "research")),
            **{"data_dir": tmp_path / "lake", "ib_port": tws.port, "now": AFTER_THE_CLOSE, "selection": FEW},
        )
        collected = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(name) for name in ("contracts", "option_chains", "smiles")],
            partition_key="2024-06-03",
            run_config={"ops": {"contracts": {"config": {"symbols": ["AAPL"]}}}},
        )
    assert collected.success
    smile = pd.read_parquet(tmp_path / "research" / "smiles" / "2024-06-03.parquet")
    assert set(smile["symbol"]) == {"AAPL"}
    assert smile["implied_volatility"].between(0.05, 2.0).all()
