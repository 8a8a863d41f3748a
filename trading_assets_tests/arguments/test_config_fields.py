"""The run config of the UI: what it refuses, in which form values arrive, and that nothing is collected before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from trading_assets.arguments import checked_config
from trading_assets.assets.config import CONFIGS, EquityBarsConfig
from trading_assets.errors import InvalidRequest
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.run_config import check_run_config
from trading_assets.selection_rules import SelectionRules

WRONG = [
    ("symbols", ["A/B"], "is not a US stock"),
    ("bar_sizes", ["../x"], "Bars of '../x' are not collected. Bar sizes are: 1 secs"),
    ("first_session", "yesterday", "first_session is 'yesterday', which names no day"),
    ("last_session", "2024-02-30", "last_session is '2024-02-30', which names no day"),
    ("lookback_days", -1, "lookback_days is -1, and must be from 0 to 36,525 calendar days"),
]


@pytest.mark.parametrize(
    ("name", "field", "value", "said"),
    [(name, *wrong) for name, config in CONFIGS.items() for wrong in WRONG if wrong[0] in config.model_fields],
)
def test_the_run_config_refuses_what_the_other_doors_refuse(name: str, field: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CONFIGS[name](**{field: value})
    assert said in str(caught.value)


def test_the_run_config_brings_values_into_their_own_form() -> None:
    config = EquityBarsConfig(symbols=["aapl", "AAPL", "brk.b"], bar_sizes=["1 Day"], first_session="20240614")
    assert (config.symbols, config.bar_sizes, config.first_session) == (["AAPL", "BRK B"], ["1 day"], "2024-06-14")
    assert EquityBarsConfig().symbols == [] and EquityBarsConfig(symbols=[]).symbols == [], "as the other assets say"
    with pytest.raises(InvalidRequest, match="cannot end"):
        checked_config({"first_session": "2024-06-14", "last_session": "2024-06-13"})


def test_a_run_is_refused_before_its_first_step(tmp_path: Path) -> None:
    """Also when a later step's config is wrong: nothing is collected, and no folder is made."""

    @dg.op
    def first(archive: ArchiveResource) -> None:
        archive.open()
        raise AssertionError("no step may begin")

    @dg.op(config_schema=dict)
    def later() -> None:
        raise AssertionError("no step may begin")

    @dg.job(resource_defs={"archive": ArchiveResource.holding({"data_dir": str(tmp_path / "lake")})()})
    def job() -> None:
        first()
        later()

    for config, said in (
        ({"lookback_days": -5}, "lookback_days is -5, and must be from 0 to 36,525"),
        ({"symbols": ["A/B"]}, "is not a US stock"),
        ({"selection": {"min_days_to_expiry": 9, "max_days_to_expiry": 1}}, "no contract could be selected"),
    ):
        done = job.execute_in_process({"ops": {"later": {"config": config}}}, raise_on_error=False)
        assert not done.success and not done.get_step_failure_events()
        assert any(said in str(event.event_specific_data) for event in done.all_events), config
    assert list(tmp_path.iterdir()) == []
    check_run_config({"ops": {"later": {"config": {"symbols": [], "lookback_days": None}}}}, SelectionRules())
