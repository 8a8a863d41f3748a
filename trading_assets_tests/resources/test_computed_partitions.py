"""The asset `option_greeks` on a lake of an earlier version: past sessions become partitions without a request."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg

from trading_assets.jobs.runner import run_job
from trading_assets.repositories import query
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of

FIRST, LAST = date(2023, 12, 20), date(2024, 1, 2)
KEY = dg.AssetKey("option_greeks")


def test_a_backfill_of_past_sessions_records_those_that_have_rows(tmp_path: Path) -> None:
    settings = Settings(data_dir=copy_of(PLAIN, tmp_path / "lake"), now=PLAIN_NOW, ib_port=1)  # no broker answers
    Universe(settings.state_url).remove(["AAPL"])
    config = {"option_greeks": {"symbols": ["SPY"]}}
    assert run_job(settings, "backfill_bars", [LAST], config, steps=["option_greeks"]).success
    with dagster_instance(settings) as instance:
        assert instance.get_materialized_partitions(KEY) == {LAST.isoformat()}, "of active symbols nothing is lacking"
    Universe(settings.state_url).add(["AAPL"])
    assert run_job(settings, "backfill_bars", [date(2023, 12, 28)], config, steps=["option_greeks"]).success
    with dagster_instance(settings) as instance:
        assert instance.get_materialized_partitions(KEY) == {LAST.isoformat()}, "AAPL has bars without rows"
    done = run_job(settings, "backfill_bars", [FIRST, LAST], {}, steps=["option_greeks"])
    assert done.success, done.error
    sql = "select distinct session from option_greeks order by session"
    stored = [day.isoformat() for day in query(settings.data_dir, sql)["session"].to_pylist()]
    assert len(stored) > 5 and stored[0] > FIRST.isoformat(), "no options were collected of the first sessions"
    with dagster_instance(settings) as instance:
        assert sorted(instance.get_materialized_partitions(KEY)) == stored
        (check,) = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(KEY, "rules")]
        ).values()
        newest = instance.get_latest_materialization_event(KEY)
    assert check.event is not None
    assert newest is not None and newest.asset_materialization is not None
    metadata = newest.asset_materialization.metadata
    rows = query(settings.data_dir, "select count(*) as n from option_greeks")["n"][0].as_py()
    assert metadata["dagster/row_count"].value == rows > metadata["inserted"].value > 0
    assert metadata["requests_sent"].value == 0
    assert "data:image/png" in metadata["volatility"].value
