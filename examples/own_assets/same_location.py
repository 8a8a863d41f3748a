"""The archive with an asset of your own in one code location: `smiles`, downstream of `option_chains`."""

import dagster as dg
import pandas as pd
from frames import FrameFiles

import trading_assets as ta


@dg.asset(
    partitions_def=ta.session_partitions(),
    ins={
        "option_chains": dg.AssetIn(
            metadata={"columns": ["symbol", "session", "expiry", "strike", "right", "delta", "implied_volatility"]}
        )
    },
    io_manager_key="frames",
    group_name="research",
)
def smiles(option_chains: pd.DataFrame) -> pd.DataFrame:
    """Volatility by moneyness: one row a symbol, expiry and bucket of delta, of the session's quoted contracts."""
    quoted = option_chains.dropna(subset=["implied_volatility", "delta"])
    calls = quoted["delta"].where(quoted["right"] == "C", quoted["delta"] + 1)  # a put as the call of its strike
    return (
        quoted.assign(call_delta=calls.round(1))
        .groupby(["symbol", "session", "expiry", "call_delta"], as_index=False)
        .agg(implied_volatility=("implied_volatility", "mean"), contracts=("strike", "size"))
    )


@dg.asset_check(asset=smiles)
def volatilities_are_plausible(smiles: pd.DataFrame) -> dg.AssetCheckResult:
    """A check of your own asset is a Dagster check as any other."""
    wrong = smiles[~smiles["implied_volatility"].between(0.01, 5.0)]
    return dg.AssetCheckResult(passed=wrong.empty, metadata={"rows": len(wrong)})


def with_own_assets(frames: FrameFiles, **settings: object) -> dg.Definitions:
    """All of the archive and the own asset. `settings` win over the environment: a test gives its own, and its own
    `frames`."""
    own = dg.Definitions(
        assets=[smiles],
        asset_checks=[volatilities_are_plausible],
        jobs=[dg.define_asset_job("research", selection=dg.AssetSelection.assets(smiles))],
        resources={"frames": frames},
    )
    return dg.Definitions.merge(ta.build_defs(**settings), own)


defs = with_own_assets(FrameFiles(folder="research"))
